"""Sweeps: many seeds of many settings, trained in slices that are stored as they finish."""

import contextlib
import tempfile
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
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
from purejaxrl_reinforce.sweeps.population import Population
from purejaxrl_reinforce.sweeps.results import SweepResults, gather_results, save_results
from purejaxrl_reinforce.sweeps.slice_size import SliceSizes, make_population, slice_mesh
from purejaxrl_reinforce.sweeps.store import Slice, SweepStore

NUM_EPISODES = 100

# Of training per chunk: progress shows and signals are handled in between.
_SECONDS_PER_CHUNK = 1.0


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
        doing: what the sweep waits for, if it does.
    """

    def __init__(self, plan: SweepPlan) -> None:
        self.doing = "starting"
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
        axes: values by field, lists or a LogRange; None: `config` alone.
        zipped: take first values together, then second ones, ..., not all combinations.
        path: of a directory that keeps everything, the agents' parameters too, and resumes the
            same sweep. None: it is kept for as long as the results are.
        width: agents per slice. None: chosen from memory and from what is measured.
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
        with open_sweep(plan, directory, width, devices) as run:
            for _ in run.train():
                pass
            results = run.finish()
    except BaseException:
        scratch.cleanup()
        raise
    weakref.finalize(results, scratch.cleanup)  # the parameters stay as long as the results do
    return results


@contextlib.contextmanager
def open_sweep(
    plan: SweepPlan,
    path: Path,
    width: int | None = None,
    devices: Sequence[jax.Device] | None = None,
    warn: Callable[[str], None] = warnings.warn,
    force: bool = False,
) -> Iterator["SweepLoop"]:
    """Give a sweep that has locked its directory; see `sweep` for arguments and errors.

    `warn` takes a line for each slice that is damaged and trained again; with `force` another sweep
    in the directory is replaced.
    """
    meshes = run_on_all(lambda: _meshes(plan, width, devices or jax.devices()))
    store = run_on_all(lambda: _open_store(plan, path, force) if is_primary() else None)
    try:
        yield SweepLoop(plan, meshes, width, store, warn)
    except ValueError:  # what was asked for cannot be done, as it turned out on the way
        if store is not None:
            store.discard_if_empty()
        raise
    finally:
        if store is not None:
            store.close()


def _open_store(plan: SweepPlan, path: Path, force: bool) -> SweepStore:
    try:
        require_disk(plan, path)
        return SweepStore(path, plan, force)
    except OSError as error:
        raise ValueError(f"cannot write to {path}: {error.strerror}") from None


def _meshes(plan: SweepPlan, width: int | None, devices: Sequence[jax.Device]) -> list[Mesh]:
    if width is not None and width < 1:
        raise ValueError(f"width must be at least 1 agent, not {width}")
    return [
        slice_mesh(plan.config_of(program[0]), len(program), devices, width)
        for program in plan.programs()
    ]


class SweepLoop:
    """One sweep, on each of the processes that share it.

    Attributes:
        plan: of the sweep.
        progress: so far.
        store: its directory, locked by the first process; None on others.
    """

    def __init__(
        self,
        plan: SweepPlan,
        meshes: list[Mesh],
        width: int | None,
        store: SweepStore | None,
        warn: Callable[[str], None],
    ) -> None:
        self.plan, self.store, self._warn = plan, store, warn
        self._meshes, self._width = meshes, width
        self.progress = SweepProgress(plan)

    def train(self) -> Iterator[SweepProgress]:
        """Train the agents that are not on disk yet; give the progress about once a second."""
        done = self._load_done()
        yield self.progress
        programs = self.plan.programs()
        for i, (agents, mesh) in enumerate(zip(programs, self._meshes, strict=True)):
            todo = [agent for agent in agents if agent not in done]
            if todo:
                self.progress.doing = f"compiling program {i + 1:,} of {len(programs):,}"
                yield self.progress
                yield from self._train_program(todo, mesh)

    def finish(self) -> SweepResults:
        """Gather the results of all agents, which must be trained; write them; return them."""

        def gather() -> tuple[dict[str, np.ndarray], np.ndarray]:
            assert self.store is not None
            results = gather_results(self.store.path, self.plan)
            save_results(self.store.path, results)
            return results.metrics, results.evaluation

        plan = self.plan
        path = None if self.store is None else self.store.path
        metrics, evaluation = broadcast_from_primary(gather)
        return SweepResults(plan.axes, plan.configs, plan.key_data, metrics, evaluation, path)

    def log(self, message: str) -> None:
        """Append a line to the sweep's log."""
        if self.store is not None:
            self.store.log.write(message)

    def _load_done(self) -> set[int]:
        def load() -> list[tuple[Any, Any, Any]]:
            assert self.store is not None
            done = self.store.load_done(self._warn)
            return [(part.agents, part.metrics.num_steps, part.evaluation) for part in done]

        # The other processes need the numbers and the returns, not the states.
        parts = broadcast_from_primary(load)
        for part in parts:
            self.progress.skip(*part)
        done = {int(agent) for agents, _, _ in parts for agent in agents}
        if done:
            self.log(f"{count(len(done), 'agent')} already trained")
        return done

    def _train_program(self, todo: list[int], mesh: Mesh) -> Iterator[SweepProgress]:
        config = self.plan.config_of(todo[0])
        population = make_population(config, len(todo), mesh, self._width, self.plan.num_episodes)
        sizes = SliceSizes(population.layout, self._width)
        self.log(f"compiled for {len(todo)} agents in {population.compile_seconds:.1f} s")
        while todo:
            chosen, todo = todo[: sizes.next], todo[sizes.next :]
            yield from self._train_slice(population, sizes, chosen)
        tried = ", ".join(f"{trial.sps:,.0f} with {trial.agents}" for trial in sizes.trials)
        self.log(f"agents per slice: {sizes.next}; steps per second: {tried or 'not compared'}")

    def _train_slice(
        self, population: Population, sizes: SliceSizes, chosen: list[int]
    ) -> Iterator[SweepProgress]:
        plan, progress, started_at = self.plan, self.progress, self.progress.seconds
        configs = [plan.config_of(agent) for agent in chosen]
        progress.doing = f"training {count(len(chosen), 'agent')}"
        yield progress
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
            yield progress
        progress.doing = f"evaluating {count(len(chosen), 'agent')}"
        yield progress
        part = Slice(
            np.asarray(chosen),
            jax.tree.map(lambda *x: np.concatenate(x, axis=1), *parts),
            population.evaluate(agents, jax.random.key(0)),
            population.states(agents),
            progress.seconds - started_at,
        )
        run_on_primary(lambda: self.store.add(part) if self.store is not None else None)
        sizes.note(len(chosen), _total(part.metrics.num_steps), part.seconds)
        progress.finish(part.agents, part.evaluation)
        progress.doing = ""
        yield progress


def _total(num_steps: Any) -> int:
    return int(np.sum(num_steps, dtype=np.int64))
