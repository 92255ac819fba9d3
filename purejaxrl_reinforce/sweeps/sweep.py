"""Sweeps: many seeds of many settings, trained in slices that are stored as they finish."""

import contextlib
import tempfile
import warnings
import weakref
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from purejaxrl_reinforce.algorithm.state import Metrics
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.execution import known_faults, processes, program
from purejaxrl_reinforce.execution.jax_settings import all_devices
from purejaxrl_reinforce.output.files import StrPath
from purejaxrl_reinforce.output.text import count
from purejaxrl_reinforce.sweeps.plan import Axes, SweepPlan, make_plan
from purejaxrl_reinforce.sweeps.population import Population, make_population, population_mesh
from purejaxrl_reinforce.sweeps.results import SweepResults, empty_results
from purejaxrl_reinforce.sweeps.store import Slice, SweepStore

NUM_EPISODES = 100

# Of training per chunk: progress shows and signals are handled in between.
_SECONDS_PER_CHUNK = 1.0
# A slice that takes this long costs nothing to write, and little if it is lost.
_SECONDS_PER_SLICE = 10.0


def sweep(
    config: Config,
    keys: jax.Array | Sequence[int],
    axes: Axes | None = None,
    *,
    zipped: bool = False,
    path: StrPath | None = None,
    width: int | None = None,
    num_episodes: int = NUM_EPISODES,
    devices: Sequence[Any] | None = None,  # jax.Device, a type that pyright does not know
) -> SweepResults:
    """Train every setting with every key; evaluate each agent greedily at the end.

    Agent (i, k) is `train(configs[i], keys[k])`, whatever else is trained beside it: bit for bit on
    a CPU, to the tolerance of docs/pages/reproducibility.md elsewhere. Settings that differ in
    floats only share one compiled program.

    Args:
        config: what all settings share.
        keys: typed keys [seed], or whole numbers, which stand for `jax.random.key`.
        axes: lists of values by field, of `log_range` too; None: `config` alone.
        zipped: take first values together, then second ones, ..., not all combinations.
        path: of a directory that keeps everything, the agents' parameters too, and resumes the
            same sweep. None: it is kept for as long as the results are.
        width: agents per slice. None: as many as take some seconds and fit into memory.
        num_episodes: of each agent's evaluation.
        devices: to use; None: all.

    Raises:
        ValueError: an axis or value is wrong, results or a program do not fit into memory, or
            `path` holds something else.
        OSError: files could not be written; slices that are finished stay.
    """
    with processes.together():
        plan = make_plan(config, keys, axes or {}, zipped, num_episodes)
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory())
        directory = Path(scratch, "sweep") if path is None else Path(path)
        with contextlib.closing(SweepLoop(plan, directory, width, devices)) as run:
            for _ in run.train():
                pass
        # The parameters stay as long as the results do.
        weakref.finalize(run.results, stack.pop_all().close)
    return run.results


class SweepLoop:
    """A sweep in a directory that it locks, on each of the processes that share it; close it.

    Takes the arguments of `SweepStore`, and:

    Args:
        width: agents per slice, see `sweep`.
        devices: to use; None: all.
        warn: takes a line for each slice that is damaged and trained again.

    Attributes:
        plan: of the sweep.
        results: of the agents that are trained so far.
        updates: of agents that this process has trained, counted over all of them.
        updates_left: likewise.
        steps: valid environment steps of those updates.
        seconds: that they took, excluding compilation.

    Raises:
        ValueError: as `SweepStore`, or the width or number of devices is wrong.
    """

    def __init__(
        self,
        plan: SweepPlan,
        path: Path,
        width: int | None = None,
        devices: Sequence[jax.Device] | None = None,
        warn: Callable[[str], None] = warnings.warn,
        force: bool = False,
    ) -> None:
        self.plan, self._width, self._warn = plan, width, warn
        self.updates, self.steps, self.seconds = 0, 0, 0.0
        self.updates_left = sum(config.num_updates for config in plan.configs) * plan.num_seeds
        with processes.together():
            if width is not None and width < 1:
                raise ValueError(f"width must be at least 1 agent, not {width}")
            # Of all agents of a program, not of those that are left: results do not depend on that.
            self._meshes = [
                population_mesh(min(width or len(agents), len(agents)), devices or all_devices())
                for agents in plan.programs
            ]
        for line in known_faults.warnings_for(*plan.configs) if processes.is_primary() else ():
            warn(line)
        with processes.together():  # the primary process alone writes
            self._store = SweepStore(path, plan, force) if processes.is_primary() else None
        self.results = empty_results(plan, path if processes.is_primary() else None)

    def log(self, message: str) -> None:
        """Append a line to the log."""
        if self._store is not None:
            self._store.log(message)

    def close(self) -> None:
        """Release the directory; without a slice, what opening it has made goes."""
        if self._store is not None:
            self._store.close()

    def train(self) -> Iterator[str]:
        """Train the agents that are not on disk yet.

        Yields about once a second: which program is compiled next, or "".
        """
        self._load_done()
        yield ""
        trained, programs = np.isfinite(self.results.seconds).T.ravel(), self.plan.programs
        for i, (agents, mesh) in enumerate(zip(programs, self._meshes, strict=True)):
            todo = [agent for agent in agents if not trained[agent]]
            if todo:
                yield f"compiling program {i + 1:,} of {len(programs):,}"
                yield from self._train_program(todo, mesh)

    def _load_done(self) -> None:
        """Take what is on disk, but for the states, to all processes."""
        parts = processes.broadcast_from_primary(
            lambda: [part[:-1] for part in self._store.load_done(self._warn)] if self._store else []
        )
        for agents, metrics, evaluation, seconds in parts:
            self.results.add(Slice(agents, Metrics(*metrics), evaluation, seconds, state=None))
            self.updates_left -= metrics[0].size
        if parts:
            self.log(f"{count(self.results.num_trained, 'agent')} already trained")

    def _train_program(self, todo: list[int], mesh: Mesh) -> Iterator[str]:
        """Train agents of one static setting, slice by slice."""
        plan, shares = self.plan, len(mesh.devices)
        population = make_population(
            plan.config_of(todo[0]), len(todo), mesh, self._width, plan.num_episodes
        )
        self.log(f"compiled for {len(todo)} agents in {population.compile_seconds:.1f} s")
        # One by one, agents take no longer in short slices: these grow to some seconds.
        grows = self._width is None and population.one_by_one
        size = self._width or (shares if grows else population.capacity)
        while todo:
            part = yield from self._train_slice(population, todo[:size])
            todo = todo[size:]
            with processes.together():
                if self._store is not None:
                    self._store.add(part)
            self.results.add(part)
            yield ""
            if grows:
                growth = min(2.0, _SECONDS_PER_SLICE / max(part.seconds.sum(), 1e-9))
                size = min(max(1, int(size * growth / shares)) * shares, population.capacity)

    def _train_slice(
        self, population: Population, chosen: list[int]
    ) -> Generator[str, None, Slice]:
        """Train and evaluate some agents; yield after each chunk of updates; return them."""
        plan, before = self.plan, self.seconds
        configs = [plan.config_of(agent) for agent in chosen]
        agents = population.start(configs, plan.keys_of(chosen))
        parts: list[Metrics] = []
        sizes = configs[0].num_updates, population.longest_call
        for chunk in program.run_chunks(population.advance, agents, *sizes, _SECONDS_PER_CHUNK):
            agents = chunk.state
            parts.append(chunk.metrics)
            self.updates += chunk.metrics.num_steps.size
            self.updates_left -= chunk.metrics.num_steps.size
            self.steps += int(np.sum(chunk.metrics.num_steps, dtype=np.int64))
            self.seconds += chunk.seconds
            yield ""
        return Slice(
            np.asarray(chosen),
            jax.tree.map(lambda *x: np.concatenate(x, axis=1), *parts),
            population.evaluate(agents),
            np.full(len(chosen), (self.seconds - before) / len(chosen)),
            population.states(agents),
        )
