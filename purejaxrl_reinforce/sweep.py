"""Sweeps: many seeds of many settings, trained in slices that are on disk as they finish."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from purejaxrl_reinforce.axes import Axes
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.population import Agents, Population
from purejaxrl_reinforce.slicing import SliceSizes, make_population
from purejaxrl_reinforce.state import Metrics
from purejaxrl_reinforce.study import Study, make_study, require_disk
from purejaxrl_reinforce.sweep_results import SweepResults, gather_results, save_results
from purejaxrl_reinforce.sweep_store import Slice, SweepStore

NUM_EPISODES = 100
# Of training per call, so that progress shows and a signal is heard.
_SECONDS_PER_CALL = 1.0


class Progress(NamedTuple):
    """How far a sweep has come.

    Attributes:
        agents: finished, those of earlier processes included.
        updates: done by the agents of this process, all counted.
        updates_left: to be done.
        steps: valid environment steps of this process.
        seconds: that they took, compilation apart.
        best: the setting with the highest mean return of the greedy episodes so far, if any.
        best_return: that return.
    """

    agents: int
    updates: int
    updates_left: int
    steps: int
    seconds: float
    best: int | None
    best_return: float


def sweep(
    config: Config,
    keys: jax.Array | Sequence[int],
    axes: Axes | None = None,
    *,
    zipped: bool = False,
    path: Path | None = None,
    width: int | None = None,
    num_episodes: int = NUM_EPISODES,
    devices: Sequence[jax.Device] | None = None,
) -> SweepResults:
    """Train every setting with every key; evaluate each agent greedily at the end.

    Agent (i, k) is `train(configs[i], keys[k])`: the same keys for all settings, so that they can
    be compared seed by seed. Settings that differ in floats only share one compiled program. What
    is trained together, and on which devices, changes nothing but the time it takes: README.md
    says to which tolerance.

    Args:
        config: what all settings share.
        keys: typed keys [seed], or whole numbers, which stand for `jax.random.key`.
        axes: values by field, lists or a LogRange; None: `config` alone.
        zipped: take first values together, then second ones, ..., not all combinations.
        path: of a directory that keeps everything, the agents' parameters too. What it has of the
            same sweep is not trained again. None: nothing is kept but what is returned.
        width: agents per slice. None: chosen from memory and from what is measured.
        num_episodes: of each agent's evaluation.
        devices: to use; None: all.

    Raises:
        ValueError: an axis or value is wrong, results or batches do not fit into memory or on
            disk, or `path` holds something else; nothing was written.
        OSError: files could not be written; slices that are finished stay.
    """
    study = make_study(config, keys, axes or {}, zipped, num_episodes)
    with tempfile.TemporaryDirectory() as scratch:
        store = open_store(study, Path(scratch) / "sweep" if path is None else path)
        try:
            for _ in train_agents(study, store, width, devices):
                pass
            return finish(study, store)
        finally:
            store.close()


def open_store(study: Study, path: Path) -> SweepStore:
    """Open the directory of a sweep, after checking that its results fit on the disk."""
    require_disk(study, path)
    return SweepStore(path, study)


def finish(study: Study, store: SweepStore) -> SweepResults:
    """Gather the results of a study all of whose agents are trained; write them; return them."""
    results = gather_results(study, store)
    save_results(store.path, results)
    return results


def train_agents(
    study: Study,
    store: SweepStore,
    width: int | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> Iterator[Progress]:
    """Train the agents that `store` does not have, about a second between two looks at progress.

    Raises:
        ValueError: `width` is not positive.
    """
    if width is not None and width < 1:
        raise ValueError(f"width must be at least 1 agent, not {width}")
    devices = jax.devices() if devices is None else devices
    counter = _Counter(study)
    done = _load_done(store, counter)
    yield counter.progress()
    for agents in study.programs():
        todo = [agent for agent in agents if agent not in done]
        if not todo:
            continue
        config = study.config_of(todo[0])
        population = make_population(config, len(todo), devices, width, study.num_episodes)
        sizes = SliceSizes(population.layout, width)
        store.log.write(
            f"compiled for agents such as {todo[0]} in {population.compile_seconds:.1f} s"
        )
        while todo:
            chosen, todo = todo[: sizes.next], todo[sizes.next :]
            yield from _train_slice(study, store, population, sizes, chosen, counter)


def _load_done(store: SweepStore, counter: "_Counter") -> set[int]:
    done: set[int] = set()
    for file, part in store.load():
        if part is None:
            store.log.write(f"warning: {file.name} is damaged; its agents are trained again")
            file.unlink()
        else:
            done |= set(part.agents.tolist())
            counter.skip(part)
    if done:
        store.log.write(f"{len(done)} agents were done before")
    return done


def _train_slice(
    study: Study,
    store: SweepStore,
    population: Population,
    sizes: SliceSizes,
    chosen: list[int],
    counter: "_Counter",
) -> Iterator[Progress]:
    configs = [study.config_of(agent) for agent in chosen]
    agents = population.start(configs, study.keys_of(chosen))
    parts: list[Metrics] = []
    started_at = counter.seconds
    for trained, metrics, seconds in _calls(population, agents, configs[0].num_updates):
        parts.append(metrics)
        counter.add(metrics, seconds)
        yield counter.progress()
    whole: Any = jax.tree.map(lambda *x: np.concatenate(x, axis=1), *parts)
    part = Slice(
        np.asarray(chosen),
        whole,
        population.evaluate(trained, jax.random.key(0)),
        population.states(trained),
        counter.seconds - started_at,
    )
    store.add(part)
    sizes.note(len(chosen), int(whole.num_steps.sum(dtype=np.int64)), part.seconds)
    counter.finish(part)
    yield counter.progress()


def _calls(
    population: Population, agents: Agents, num_updates: int
) -> Iterator[tuple[Agents, Metrics, float]]:
    """Give agents, metrics and seconds after each call, until all updates are done."""
    done, length = 0, 1
    while done < num_updates:
        length = min(length, population.longest_call, num_updates - done)
        started = time.perf_counter()
        agents, metrics = population.advance(agents, length)
        seconds = time.perf_counter() - started
        yield agents, metrics, seconds
        done += length
        length = max(1, min(4 * length, int(length * _SECONDS_PER_CALL / seconds)))


class _Counter:
    """Counts what `Progress` says."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._agents, self._updates, self._steps = 0, 0, 0
        self._left = sum(config.num_updates for config in study.configs) * study.num_seeds
        self._return_sums = np.zeros(len(study.configs))
        self._evaluated = np.zeros(len(study.configs), int)
        self.seconds = 0.0

    def add(self, metrics: Metrics, seconds: float) -> None:
        """Count the metrics [agent, update] of a call."""
        self._updates += metrics.num_steps.size
        self._left -= metrics.num_steps.size
        self._steps += int(metrics.num_steps.sum(dtype=np.int64))
        self.seconds += seconds

    def finish(self, part: Slice) -> None:
        """Count the agents of a finished slice."""
        settings = part.agents // self._study.num_seeds
        np.add.at(self._return_sums, settings, part.evaluation.mean(axis=1))
        np.add.at(self._evaluated, settings, 1)
        self._agents += len(part.agents)

    def skip(self, part: Slice) -> None:
        """Count the agents of a slice that was finished before."""
        self._left -= part.metrics.num_steps.size
        self.finish(part)

    def progress(self) -> Progress:
        """Return where the sweep stands."""
        best, best_return = None, float("nan")
        if self._evaluated.any():
            means = self._return_sums / np.where(self._evaluated, self._evaluated, np.nan)
            best = int(np.nanargmax(means))
            best_return = float(means[best])
        return Progress(
            self._agents, self._updates, self._left, self._steps, self.seconds, best, best_return
        )
