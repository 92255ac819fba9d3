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
from purejaxrl_reinforce.execution.processes import (
    broadcast_from_primary,
    is_primary,
    run_on_all,
    run_on_primary,
)
from purejaxrl_reinforce.execution.program import run_chunks
from purejaxrl_reinforce.output.files import StrPath
from purejaxrl_reinforce.output.text import count
from purejaxrl_reinforce.sweeps.axes import Axes
from purejaxrl_reinforce.sweeps.plan import SweepPlan, make_plan, require_disk
from purejaxrl_reinforce.sweeps.population import (
    AGENTS,
    Population,
    make_population,
    population_mesh,
)
from purejaxrl_reinforce.sweeps.results import SweepResults, gather_results
from purejaxrl_reinforce.sweeps.store import Slice, SweepStore

NUM_EPISODES = 100

# Of training per chunk: progress shows and signals are handled in between.
_SECONDS_PER_CHUNK = 1.0
# A slice that takes this long costs nothing to write, and little if it is lost.
_SECONDS_PER_SLICE = 10.0


class SweepProgress:
    """How far a sweep has come; counts up as it goes.

    Attributes:
        agents: trained, those of earlier processes included.
        updates: of the agents of this process, all counted.
        updates_left: likewise.
        steps: valid environment steps of this process.
        seconds: that they took, compilation apart.
        scores: of each setting, the mean greedy return of its agents that are trained; -inf where
            it is not finite.
    """

    def __init__(self, plan: SweepPlan) -> None:
        self.agents, self.updates, self.steps, self.seconds = 0, 0, 0, 0.0
        self.updates_left = sum(config.num_updates for config in plan.configs) * plan.num_seeds
        self._num_seeds = plan.num_seeds
        self.scores: list[list[float]] = [[] for _ in plan.configs]

    def add(self, metrics: Metrics, seconds: float) -> None:
        """Count the metrics [agent, update] of a chunk."""
        self.updates += np.size(metrics.num_steps)
        self.updates_left -= np.size(metrics.num_steps)
        self.steps += _total(metrics.num_steps)
        self.seconds += seconds

    def finish(self, agents: np.ndarray, evaluation: np.ndarray) -> None:
        """Count the agents of a finished slice."""
        means = evaluation.astype(np.float64).mean(axis=1)
        for agent, score in zip(agents, np.where(np.isfinite(means), means, -np.inf), strict=True):
            self.scores[agent // self._num_seeds].append(float(score))
        self.agents += len(agents)

    def skip(self, agents: np.ndarray, num_steps: Any, evaluation: np.ndarray) -> None:
        """Count the agents of a slice of an earlier process."""
        self.updates_left -= np.size(num_steps)
        self.finish(agents, evaluation)


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

    Agent (i, k) is `train(configs[i], keys[k])`, whatever else is trained beside it, to the
    tolerance that README.md states. Settings that differ in floats only share one compiled program.

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
        ValueError: an axis or value is wrong, results or batches do not fit into memory or on
            disk, or `path` holds something else; nothing was written.
        OSError: files could not be written; slices that are finished stay.
    """
    plan = run_on_all(lambda: make_plan(config, keys, axes or {}, zipped, num_episodes))
    scratch = tempfile.TemporaryDirectory()
    directory = Path(scratch.name, "sweep") if path is None else Path(path)
    try:
        with contextlib.closing(SweepLoop(plan, directory, width, devices)) as run:
            for _ in run.train():
                pass
            results = run.finish()
    except BaseException:
        scratch.cleanup()
        raise
    weakref.finalize(results, scratch.cleanup)  # the parameters stay as long as the results do
    return results


class SweepLoop:
    """A sweep in a directory that it locks, on each of the processes that share it; close it.

    Args:
        plan: of the sweep.
        path: of its directory.
        width: agents per slice, see `sweep`.
        devices: to use; None: all.
        warn: takes a line for each slice that is damaged and trained again.
        force: whether another sweep in the directory is replaced.

    Attributes:
        plan: of the sweep.
        progress: so far.

    Raises:
        ValueError: the directory holds something else or cannot be written, or the results do not
            fit on its disk; nothing was written.
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
        self.plan, self.progress = plan, SweepProgress(plan)
        self._width, self._warn = width, warn
        self._meshes = run_on_all(lambda: _meshes(plan, width, devices or jax.devices()))
        self._store = run_on_all(lambda: _open_store(plan, path, force) if is_primary() else None)

    def close(self) -> None:
        """Release the directory; it goes if it has no slice yet."""
        if self._store is not None:
            self._store.close()

    def log(self, message: str) -> None:
        """Append a line to the sweep's log."""
        if self._store is not None:
            self._store.log.write(message)

    def train(self) -> Iterator[str]:
        """Train the agents that are not on disk yet.

        About once a second, when `progress` has changed, this yields which program is compiled
        next, or "".
        """
        done = self._load_done()
        yield ""
        programs = self.plan.programs
        for i, (agents, mesh) in enumerate(zip(programs, self._meshes, strict=True)):
            todo = [agent for agent in agents if agent not in done]
            if todo:
                yield f"compiling program {i + 1:,} of {len(programs):,}"
                yield from self._train_program(todo, mesh)

    def finish(self) -> SweepResults:
        """Return the results of all agents, which must be trained."""

        def gather() -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
            assert self._store is not None
            results = gather_results(self._store.saved)
            return results.metrics, results.evaluation, results.seconds

        plan = self.plan
        path = None if self._store is None else self._store.saved.path
        arrays = broadcast_from_primary(gather)
        return SweepResults(plan.axes, plan.configs, plan.key_data, *arrays, path)

    def _add(self, part: Slice) -> None:
        def write() -> None:
            assert self._store is not None
            self._store.add(part)

        run_on_primary(write)

    def _load_done(self) -> set[int]:
        """Count the agents that are on disk; return their numbers."""

        def load() -> list[tuple[Any, Any, Any]]:
            assert self._store is not None
            done = self._store.load_done(self._warn)
            return [(part.agents, part.metrics.num_steps, part.evaluation) for part in done]

        # The other processes need the numbers and the returns, not the states.
        parts = broadcast_from_primary(load)
        for part in parts:
            self.progress.skip(*part)
        done = {int(agent) for agents, _, _ in parts for agent in agents}
        if done:
            self.log(f"{count(len(done), 'agent')} already trained")
        return done

    def _train_program(self, todo: list[int], mesh: Mesh) -> Iterator[str]:
        """Train agents of one static setting, slice by slice."""
        plan, shares = self.plan, mesh.shape[AGENTS]
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
            self._add(part)
            self.progress.finish(part.agents, part.evaluation)
            yield ""
            if grows:
                growth = min(2.0, _SECONDS_PER_SLICE / max(part.seconds, 1e-9))
                size = min(max(1, int(size * growth / shares)) * shares, population.capacity)

    def _train_slice(
        self, population: Population, chosen: list[int]
    ) -> Generator[str, None, Slice]:
        """Train and evaluate some agents; yield after each chunk of updates; return them."""
        plan, progress, started_at = self.plan, self.progress, self.progress.seconds
        configs = [plan.config_of(agent) for agent in chosen]
        agents = population.start(configs, plan.keys_of(chosen))
        parts: list[Metrics] = []
        for chunk in run_chunks(
            population.advance,
            agents,
            configs[0].num_updates,
            population.longest_call,
            _SECONDS_PER_CHUNK,
        ):
            agents = chunk.state
            parts.append(chunk.metrics)
            progress.add(chunk.metrics, chunk.seconds)
            yield ""
        return Slice(
            np.asarray(chosen),
            jax.tree.map(lambda *x: np.concatenate(x, axis=1), *parts),
            population.evaluate(agents, jax.random.key(0)),
            population.states(agents),
            progress.seconds - started_at,
        )


def _open_store(plan: SweepPlan, path: Path, force: bool) -> SweepStore:
    try:
        require_disk(plan, path)
        return SweepStore(path, plan, force)
    except OSError as error:
        raise ValueError(f"cannot write to {path}: {error.strerror}") from None


def _meshes(plan: SweepPlan, width: int | None, devices: Sequence[jax.Device]) -> list[Mesh]:
    """Return the mesh of each program's slices.

    It depends on all agents of the program, not on how many are left to train, so that results do
    not.
    """
    if width is not None and width < 1:
        raise ValueError(f"width must be at least 1 agent, not {width}")
    return [
        population_mesh(
            min(width or len(agents), len(agents)), plan.config_of(agents[0]).num_envs, devices
        )
        for agents in plan.programs
    ]


def _total(num_steps: Any) -> int:
    return int(np.sum(num_steps, dtype=np.int64))
