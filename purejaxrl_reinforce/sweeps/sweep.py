"""Sweeps: many seeds of many settings, trained in slices that are stored as they finish."""

import contextlib
import itertools
import tempfile
import time
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from purejaxrl_reinforce.config import OBJECT_FIELDS, Config
from purejaxrl_reinforce.execution import known_faults
from purejaxrl_reinforce.execution.jax_settings import all_devices
from purejaxrl_reinforce.execution.processes import is_single_process
from purejaxrl_reinforce.execution.signals import StopRequest
from purejaxrl_reinforce.named import require_paths
from purejaxrl_reinforce.output.files import StrPath
from purejaxrl_reinforce.output.progress import Board
from purejaxrl_reinforce.output.text import count
from purejaxrl_reinforce.sweeps import studies, workers
from purejaxrl_reinforce.sweeps.plan import Axes, SweepPlan, make_plan
from purejaxrl_reinforce.sweeps.population import Job, Population, Slice, make_population
from purejaxrl_reinforce.sweeps.results import SweepResults, empty_results
from purejaxrl_reinforce.sweeps.store import CONFIRMATION, SavedSweep, SweepStore
from purejaxrl_reinforce.sweeps.summary import best_so_far

NUM_EPISODES = 100

# Programs whose compiled form is kept: further ones are trained to their end one by one.
_MOST_PROGRAMS = 64
# Slices of each of several programs, at least, between which others have their turn.
_TURNS = 4
# A slice that takes this long costs nothing to write, and little if it is lost.
_SECONDS_PER_SLICE = 10.0


def sweep(
    config: Config,
    keys: jax.Array | Sequence[int] | int,
    axes: Axes | None = None,
    *,
    zipped: bool = False,
    path: StrPath | None = None,
    slice_size: int | None = None,
    num_episodes: int = NUM_EPISODES,
    devices: Sequence[Any] | None = None,  # jax.Device, a type that pyright does not know
    extend: bool = False,
    executor: Executor | None = None,
    halving: int | None = None,
    until: Literal["decided"] | None = None,
    equal_within: float = 0.0,
    confirm: bool = True,
    progress: bool = False,
    total_steps: float | None = None,
) -> SweepResults:
    """Train every setting with every key; evaluate each agent greedily at the end.

    Agent (i, k) is `train(configs[i], keys[k])`, whatever else is trained beside it: bit for bit on
    a CPU, to the tolerance of docs/pages/reproducibility.md elsewhere. Settings that differ in
    floats only share one compiled program.

    Args:
        config: shared by all settings.
        keys: typed keys [seed], or whole numbers, which stand for `jax.random.key`; or how many, of
            0, 1, ...
        axes: lists of values by field, of `log_range` too; None: `config` alone.
        zipped: take first values together, then second ones, ..., not all combinations.
        path: of a directory that keeps everything, the agents' parameters too, and resumes the
            same sweep. None: it is kept for as long as the results are.
        slice_size: agents per slice. None: as many as take some seconds and fit into memory.
        num_episodes: of each agent's evaluation.
        devices: to use; None: all.
        extend: let the sweep in `path` have these settings and seeds beside its own. What is
            trained stays.
        executor: whose workers train slices, each on one device: threads, processes that are
            spawned, a Dask cluster (`Client(address).get_executor(pure=False)`). None: all devices
            of this process do.
        halving: a number N: all settings get 1/N of their updates, the best 1/N of them the next
            part, and so on. None: all get all updates.
        until: "decided": add groups of seeds to the settings that may still be the best, until one
            is left or has all keys. None: train all keys.
        equal_within: end such a study also if all remaining settings differ by less.
        confirm: after halving or such a study, train the best two settings again on unseen seeds,
            see `SweepResults.confirmed`.
        total_steps: of each agent at most, instead of num_updates, see `with_total_steps`.
        progress: whether the terminal or notebook shows how far it is.

    Raises:
        ValueError: an axis or value is wrong, results or a program do not fit into memory, or
            `path` holds something else.
        OSError: files could not be written, or workers are lost; slices that are finished stay.

    Example:
        >>> from purejaxrl_reinforce import Config, sweep
        >>> config = Config(num_envs=4, num_steps=50, num_updates=3)
        >>> results = sweep(config, 2, {"policy_lr": [0.01, 0.1]}, path="sweeps/tiny")
        >>> results.scores.shape
        (2, 2)
    """
    plan = make_plan(config, keys, axes or {}, zipped, num_episodes, total_steps)
    plan = studies.study(plan, until, equal_within)
    for setting in plan.configs if path is not None else ():
        require_paths(*(getattr(setting, name) for name in OBJECT_FIELDS))
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory())
        directory = Path(scratch, "sweep") if path is None else Path(path)
        loop = SweepLoop(
            plan, directory, slice_size, devices, extend=extend, executor=executor,
            halving=halving, confirm=confirm,
        )  # fmt: skip
        with contextlib.closing(loop):
            loop.run(quiet=not progress)
        # The parameters stay as long as the results do.
        weakref.finalize(loop.results, stack.pop_all().close)
    return loop.results


class SweepLoop:
    """A sweep in a directory that it locks; close it.

    Takes the arguments of `SweepStore` and `sweep`, and:

    Args:
        warn: takes a line for each slice that is damaged and trained again, and for each further
            kind of device.
        merged: other sweeps whose agents are taken. The plan has them.

    Attributes:
        results: of the agents that are trained so far; their plan grows.
        log, close: `log` and `end` of the `SweepStore`.
        updates: of agents that this process has trained, counted over all of them.
        updates_left: that the plan wants beside them.
        steps: valid environment steps of those updates.
        seconds: that they took, excluding compilation.

    Raises:
        ValueError: as `SweepStore`, or the slice_size or number of devices is wrong.
    """

    def __init__(
        self,
        plan: SweepPlan,
        path: Path,
        slice_size: int | None = None,
        devices: Sequence[jax.Device] | None = None,
        warn: Callable[[str], None] = warnings.warn,
        force: bool = False,
        extend: bool = False,
        merged: Sequence[SavedSweep] = (),
        executor: Executor | None = None,
        halving: int | None = None,
        confirm: bool = True,
    ) -> None:
        self._path, self._slice_size, self._executor = path, slice_size, executor
        self._warn, self._merged, self._halving, self._confirm = warn, merged, halving, confirm
        self._devices = devices or (all_devices() if executor is None else jax.devices())
        self.updates, self.updates_left, self.steps, self.seconds = 0, 0, 0, 0.0
        if slice_size is not None and slice_size < 1:
            raise ValueError(f"slice_size must be at least 1 agent, not {slice_size}")
        if not is_single_process():
            raise ValueError("a sweep runs in one process; --dask or an executor distributes it")
        if halving is not None:
            plan = studies.first_part(plan, halving)
        for line in known_faults.warnings_for(*plan.configs):
            warn(line)
        self._store = SweepStore(path, plan, force, extend)
        self.log, self.close = self._store.log, self._store.end
        self.results = empty_results(self._store.saved.plan, path)
        self._kinds: set[str] = set()
        # Of programs by number: what is compiled, and the number of agents of the next slice.
        self._populations: dict[int, Population] = {}
        self._sizes: dict[int, int] = {}

    def grow(self, goals: np.ndarray) -> None:
        """Want agents to be trained for so many updates, [setting, seed], or as many as before."""
        self.results = replace(self.results, goals=np.maximum(self.results.goals, goals))
        self._store.grow(self.results.goals)

    def run(self, stop: StopRequest | None = None, quiet: bool = True) -> int | None:
        """Train to the end, or until a signal; return its number, or None.

        Where a study or halving has chosen, its first two settings are then confirmed.
        """
        number = self._run(stop, quiet)
        has_chosen = self._halving is not None or self.results.equal_within is not None
        if number is not None or not (has_chosen and self._confirm):
            return number
        plan = studies.confirmation_plan(self.results)
        if not quiet:
            agents = count(plan.num_agents, "agent")
            print(f"confirmation: {agents} with unseen seeds", flush=True)
        loop = SweepLoop(
            plan, self._path / CONFIRMATION, self._slice_size, self._devices, self._warn,
            extend=True, executor=self._executor,
        )  # fmt: skip
        with contextlib.closing(loop):
            return loop._run(stop, quiet)

    def _run(self, stop: StopRequest | None, quiet: bool) -> int | None:
        """Train, and show how far it is."""
        best, known = "", 0
        with Board("starting", quiet=quiet) as board:
            for compiling in self.train():
                trained, total = self.results.num_trained, self.results.num_agents
                if trained > known and not quiet:
                    best, known = "  ".join(best_so_far(self.results)), trained
                speed = f"{self.steps / self.seconds:,.0f} SPS" if self.seconds else ""
                board.show(
                    f"{trained:,}/{total:,} agents",
                    self.updates + trained,  # an agent's evaluation counts as one more update
                    self.updates + self.updates_left + total,
                    self.seconds,
                    "  ".join(filter(None, [speed, best, compiling])),
                    # The command has said that the first program is compiled.
                    self.updates > 0 and compiling != "",
                )
                if stop is not None and stop.signal and self.updates_left:
                    return stop.signal
        return None

    def train(self) -> Iterator[str]:
        """Train the agents that the plan wants and that are not on disk yet.

        Every setting gets its first seed, then its second: slices are cut from this order, and
        programs take turns. With halving, the plan grows for the better settings, part by part; in
        a study, for those that may be the best, group by group of seeds.
        Yields about once a second: which program is compiled next, or "".
        """
        self._load_done()
        yield ""
        while True:
            yield from self._train_missing()
            goals = studies.next_goals(self.results, self._halving)
            if (goals <= self.results.goals).all():
                return
            self.grow(goals)

    def _train_missing(self) -> Iterator[str]:
        todo = self._missing()
        self.updates_left = int((todo[:, 4] - todo[:, 3]).sum())
        if self._executor is not None:
            yield from self._train_elsewhere(self._executor, todo)
            return
        while len(todo):
            number = int(todo[0, 2])
            if number not in self._populations:
                yield f"compiling program {number + 1:,} of {len(self.results.programs):,}"
                self._compile(number, int((todo[:, 2] == number).sum()))
            job, todo = self._next_job(todo, self._sizes[number])
            yield from self._train_slice(number, job)

    def _missing(self) -> np.ndarray:
        """Return a row for each agent to train, the next one first.

        Its columns: setting, seed, program, updates behind it, updates after which it stops.
        """
        done, goals, programs = self.results.done, self.results.goals, self.results.programs
        program = np.zeros(len(goals), np.int64)
        for number, settings in enumerate(programs):
            program[settings] = number
        setting, seed = own = np.nonzero(goals > done)
        order = [setting, program[setting], seed]
        if len(programs) > _MOST_PROGRAMS:
            order = [setting, seed, program[setting]]
        rows = np.stack([setting, seed, program[setting], done[own], goals[own]])
        return rows.T[np.lexsort(order)]

    def _next_job(self, todo: np.ndarray, size: int) -> tuple[Job, np.ndarray]:
        """Take agents of one program that are trained equally far; return the other rows, too."""
        done, goal = todo[0, 3:].tolist()
        alike = np.flatnonzero((todo[:, 2:] == todo[0, 2:]).all(axis=1))[:size]
        agents = todo[alike, :2]
        configs = [self.results.configs[setting] for setting in agents[:, 0].tolist()]
        keys = self.results.key_data[agents[:, 1]]
        before = self._store.load_agents(agents) if done else None
        job = Job(agents, configs, keys, self.results.num_episodes, size, done, goal, before)
        return job, np.delete(todo, alike, axis=0)

    def _load_done(self) -> None:
        """Take what is on disk, and in merged sweeps."""
        others = map(self._store.merge, self._merged)
        for part in itertools.chain(self._store.load_done(self._warn), *others):
            self._take(part)
        if self.results.num_trained:
            self.log(f"{count(self.results.num_trained, 'agent')} already trained")

    def _take(self, part: Slice) -> None:
        """Fill in agents that are on disk; warn of each further kind of device."""
        self.results.add(part)
        for name in sorted({name.decode() for name in part.device.tolist()} - self._kinds):
            if self._kinds:
                others = " and ".join(sorted(self._kinds))
                self._warn(f"agents were trained on {others}, others on {name}: bits may differ")
            self._kinds.add(name)

    def _compile(self, number: int, num_agents: int) -> None:
        """Compile a program for slices of so many agents, or fewer."""
        settings = self.results.programs[number]
        # It does not depend on which agents are left to train.
        most = len(settings) * self.results.num_seeds
        devices = self._devices[: min(self._slice_size or most, most)]
        takes_turns = len(self.results.programs) > 1 and self._slice_size is None
        population = make_population(
            self.results.configs[settings[0]],
            -(-num_agents // _TURNS) if takes_turns else num_agents,
            devices, self._slice_size, self.results.num_episodes,
        )  # fmt: skip
        self.log(f"compiled for {num_agents} agents in {population.compile_seconds:.1f} s")
        if len(self.results.programs) > _MOST_PROGRAMS:
            self._populations.clear()
        self._populations[number] = population
        # One by one, agents take no longer in short slices: these grow to some seconds.
        grows = self._slice_size is None and population.one_by_one
        size = len(devices) if grows else self._slice_size or population.capacity
        self._sizes[number] = min(size, population.capacity)

    def _train_slice(self, number: int, job: Job) -> Iterator[str]:
        """Train a slice of a program; yield after each chunk of updates."""
        population, before = self._populations[number], self.seconds
        for found in population.train(job):
            if isinstance(found, Slice):
                self._store.add(found)
                self._take(found)
            else:
                self._count(found.metrics.num_steps, found.seconds)
                yield ""
        if self._slice_size is None and population.one_by_one:
            growth = min(2.0, _SECONDS_PER_SLICE / max(self.seconds - before, 1e-9))
            size, shares = self._sizes[number], population.num_devices
            size = max(1, int(size * growth / shares)) * shares
            self._sizes[number] = min(size, population.capacity)
        yield ""

    def _train_elsewhere(self, executor: Executor, todo: np.ndarray) -> Iterator[str]:
        """Train slices by the workers of an executor; yield where one is finished."""
        sizes = workers.slice_sizes(np.bincount(todo[:, 2]), self._slice_size)

        def jobs(left: np.ndarray) -> Iterator[Job]:
            while len(left):
                job, left = self._next_job(left, sizes[left[0, 2]])
                yield job

        at = time.perf_counter()
        for trained in workers.train_jobs(executor, jobs(todo)):
            if trained is not None:
                now, (job, part) = time.perf_counter(), trained
                self._count(part.metrics.num_steps[:, job.done :], now - at)
                self._store.add(part)
                self._take(part)
                at = now
            yield ""

    def _count(self, num_steps: Any, seconds: float) -> None:
        """Count updates of agents, of so many steps, that took some seconds."""
        self.updates += num_steps.size
        self.updates_left -= num_steps.size
        self.steps += int(np.sum(num_steps, dtype=np.int64))
        self.seconds += seconds
