"""The directory of a sweep: its plan, and its agents, slice by slice as they finish.

Every file carries the identity of the sweep under its checksum: a slice of another sweep is
refused, whatever its name and its shapes. A slice names its agents by the digests of their
configurations and by their keys: it stays theirs however the plan grows.
"""

import functools
import operator
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from purejaxrl_reinforce.algorithm.reinforce import state_shapes
from purejaxrl_reinforce.algorithm.state import Metrics
from purejaxrl_reinforce.config_file import CONFIG_FILE, config_digest
from purejaxrl_reinforce.execution import machine
from purejaxrl_reinforce.output import directories, sealed
from purejaxrl_reinforce.runs.checkpoint import named_arrays, restore_tree
from purejaxrl_reinforce.sweeps.plan import (
    SweepPlan,
    field_values,
    plan_facts,
    plan_of,
    require_room,
)
from purejaxrl_reinforce.sweeps.population import DEVICE_NAME, Slice

PLAN_FILE = "sweep.json"
LOG_FILE = "sweep.log"
SLICES = "slices"
# A sweep of its own, see studies.py.
CONFIRMATION = "confirmation"
# Counts up whenever the content of these files changes.
FORMAT = 8

# Slices are counted in the order in which they finish.
_SLICE_FILES = f"{SLICES}/{'[0-9]' * 9}.npz"
_SLICE_NAME = re.compile(r"(?:damaged-)?(\d{9})\.npz")

# Of the arrays of a user's own metrics.
_OWN = "metrics/own/"

# All that a sweep makes in its directory.
_PATHS = re.compile(
    rf"{PLAN_FILE}|{LOG_FILE}|results\.npz|summary\.json|table\.(csv|parquet)"
    r"|(learning_curves|evaluation_curves|final_returns|performance_profiles|heatmap)\.png"
    rf"|({CONFIRMATION}/)?{SLICES}(/(damaged-)?\d{{9}}\.npz)?"
    rf"|{CONFIRMATION}(/({PLAN_FILE}|{LOG_FILE}))?"
)


@dataclass(frozen=True)
class SavedSweep:
    """A sweep directory.

    Attributes:
        started: with which `settings` of jax, and `started_on`, see execution/machine.py; later
            starts that trained something are in `continued`.
        identity: that all of its files carry.
    """

    path: Path
    plan: SweepPlan
    started: dict[str, Any]
    identity: str

    def files(self) -> list[Path]:
        """Return the paths of the slices."""
        return sorted(self.path.glob(_SLICE_FILES))

    def load(self, file: Path) -> Slice:
        """Load a slice.

        Raises:
            DamagedError: it is damaged, or does not fit the plan.
            ValueError: it is another sweep's, or cannot be read.
        """
        try:
            arrays = sealed.load_arrays(file, self.identity)
            with sealed.parsing(file):
                arrays["agents"] = self._agents_of(arrays.pop("settings"), arrays.pop("keys"))
                num_updates = arrays["metrics/finite"].shape[1]
                own = [x.removeprefix(_OWN) for x in arrays if x.startswith(_OWN)]
                shapes = slice_shapes(self.plan, arrays["agents"], num_updates, own)
                loaded: Slice = restore_tree(arrays, shapes)
        except sealed.DamagedError as error:
            again = "rerun the same sweep command to train it again"
            raise sealed.DamagedError(f"{error}; {again}") from None
        return loaded

    def agent(self, setting: int, seed: int) -> Slice:
        """Load one agent: a row of the slice that has it.

        Raises:
            ValueError: there is no such agent, none has it yet, or one cannot be loaded.
        """
        seeds, num_settings = self.plan.seeds, len(self.plan.configs)
        if not 0 <= setting < num_settings:
            raise ValueError(f"setting must lie between 0 and {num_settings - 1}, not {setting}")
        if seed not in seeds:
            raise ValueError(f"the sweep has no seed {seed}")
        for part in map(self.load, reversed(self.files())):  # the last one is trained furthest
            if (wanted := [setting, seeds.index(seed)]) in (agents := part.agents.tolist()):
                agent: Slice = jax.tree.map(operator.itemgetter(agents.index(wanted)), part)
                return agent
        raise ValueError(f"{self.path} does not have this agent yet")

    @functools.cached_property
    def _places(self) -> tuple[dict[bytes, int], dict[bytes, int]]:
        """Settings by their digests, and seeds by their keys."""
        digests = (config_digest(config).encode() for config in self.plan.configs)
        keys = (key.tobytes() for key in self.plan.key_data)
        return {x: i for i, x in enumerate(digests)}, {x: i for i, x in enumerate(keys)}

    def _agents_of(self, digests: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """Return setting and seed of each agent; KeyError: the plan does not have them."""
        settings, seeds = self._places
        named = zip(digests.tolist(), keys, strict=True)
        return np.array([(settings[digest], seeds[key.tobytes()]) for digest, key in named])


def saved_sweep(path: Path) -> SavedSweep:
    """Return the sweep in a directory.

    Raises:
        ValueError: it is not a sweep directory, or damaged, or of another format.
    """
    file = path / PLAN_FILE
    if not file.exists():
        raise ValueError(f"{path} is not a sweep directory: it has no {file.name}")
    content, identity = sealed.read_sealed(file)
    with sealed.parsing(file):
        found, facts = content["format"], content["plan"]
    if found != FORMAT:
        raise ValueError(
            f"{path} has sweep format {found}, of another release; this one reads format {FORMAT}"
        )
    with sealed.parsing(file):
        plan = plan_of(facts)
        started = {name: content[name] for name in content if name not in ("format", "plan")}
        for start in (started, *started.get("continued", ())):
            machine.in_words(start)  # it has all that a report says
    return SavedSweep(path, plan, started, identity)


def slice_shapes(plan: SweepPlan, agents: np.ndarray, num_updates: int, own: list[str]) -> Slice:
    """Return the shapes and dtypes of a slice; ValueError: there is no such slice."""
    configs = [plan.configs[setting] for setting in agents[:, 0].tolist()]
    config, programs = configs[0], set(map(jax.tree.structure, configs))
    if not 1 <= num_updates <= config.num_updates or len(programs) > 1:
        raise ValueError("its agents are not of one program, or have too many updates")

    def stacked(shape: tuple[int, ...], dtype: Any) -> Any:
        return np.broadcast_to(np.zeros((), dtype), (len(agents), *shape))

    dtypes: dict[str, Any] = {"num_episodes": np.int32, "num_steps": np.int32, "finite": np.bool}
    metrics = (stacked((num_updates,), dtypes.get(name, np.float32)) for name in Metrics._fields)
    owned = dict.fromkeys(own, stacked((num_updates,), np.float32))
    key_data: Any = np.empty(2, np.uint32)
    state = state_shapes(config)._replace(key=key_data)
    return Slice(
        stacked((2,), np.int64),
        Metrics(*metrics)._replace(own=owned),
        stacked((plan.num_episodes,), np.float32),
        stacked((), np.float64),
        stacked((), DEVICE_NAME),
        jax.tree.map(lambda x: stacked(x.shape, x.dtype), state),
    )


def is_sweep(path: Path) -> bool:
    """Return whether a directory is a sweep's, rather than a run's.

    Raises:
        ValueError: it is neither.
    """
    found = [(path / name).exists() for name in (PLAN_FILE, CONFIG_FILE)]
    if not any(found):
        raise ValueError(
            f"{path} is not a run or sweep directory: it has no {CONFIG_FILE} and no {PLAN_FILE}"
        )
    return found[0]


class SweepStore(directories.LockedDirectory):
    """The files of one sweep, locked: no other process can open them as a SweepStore.

    Args:
        path: the directory. Made if it is not there.
        plan: of the sweep.
        force: whether another sweep there is replaced, once this one has its first slice.
        extend: whether the sweep there gets the settings and seeds of the plan beside its own.

    Attributes:
        saved: the sweep with its existing and wanted agents. The next slice writes to disk what
            has changed of it.

    Raises:
        ValueError: the directory holds something else, another sweep, is in use or cannot be
            written, or results do not fit into memory; nothing was written.
    """

    saved: SavedSweep

    def __init__(
        self, path: Path, plan: SweepPlan, force: bool = False, extend: bool = False
    ) -> None:
        super().__init__(path, LOG_FILE, "sweeping")
        # Of each agent that is on disk: the slice that has it, and after how many updates.
        self._found: dict[tuple[int, ...], tuple[int, Path]] = {}
        try:
            self._open(plan, force, extend)
        except OSError as error:
            self.end()
            raise ValueError(f"cannot write to {path}: {error.strerror}") from None

    def _open(self, plan: SweepPlan, force: bool, extend: bool) -> None:
        file, slices = self.path / PLAN_FILE, self.path / SLICES
        is_new = not file.exists()
        try:
            plan = _with_saved(self.path, plan, extend)
        except ValueError:
            if not force:
                raise
            is_new = True
        if is_new or extend:
            require_room(plan)
        if is_new and force:
            self.set_aside(_PATHS, lambda there: (saved_sweep(there).identity,))
        self.lock((PLAN_FILE, SLICES))
        directories.remove_unfinished(slices)
        if file.exists():
            saved = saved_sweep(self.path)
            starts = [*saved.started.get("continued", []), machine.started_on()]
            self.saved = replace(saved, plan=plan, started={**saved.started, "continued": starts})
            self._is_written = False
        else:
            started = {"settings": machine.result_settings(), **machine.started_on()}
            self.saved = SavedSweep(self.path, plan, started, secrets.token_hex(16))
            self._write_plan()
        slices.mkdir(exist_ok=True)
        named = (_SLICE_NAME.fullmatch(file.name) for file in slices.iterdir())
        self._num_slices = 1 + max((int(name[1]) for name in named if name), default=-1)

    def _write_plan(self) -> None:
        content = {"format": FORMAT, "plan": plan_facts(self.saved.plan), **self.saved.started}
        sealed.write_sealed(self.path / PLAN_FILE, content, self.saved.identity)
        self._is_written = True

    def grow(self, goals: np.ndarray) -> None:
        """Want agents to be trained for so many updates, [setting, seed]."""
        self.saved = replace(self.saved, plan=replace(self.saved.plan, goals=goals))
        self._is_written = False

    def add(self, part: Slice) -> None:
        """Write a slice, and before it the plan and the starts where these have grown."""
        if not self._is_written:
            self._write_plan()
        arrays, plan = named_arrays(part), self.saved.plan
        settings, seeds = arrays.pop("agents").T
        configs = (plan.configs[setting] for setting in settings.tolist())
        arrays["settings"] = np.array([config_digest(config) for config in configs], "S16")
        arrays["keys"] = plan.key_data[seeds]
        file = self.path / SLICES / f"{self._num_slices:09}.npz"
        sealed.save_arrays(file, arrays, self.saved.identity)
        self._num_slices += 1
        self._remember(part, file)
        self.drop_replaced()

    def _remember(self, part: Slice, file: Path) -> None:
        found = part.metrics.finite.shape[1], file
        for agent in map(tuple, part.agents.tolist()):
            self._found[agent] = max(found, self._found.get(agent, found))

    def load_done(self, warn: Callable[[str], None]) -> Iterator[Slice]:
        """Load the intact slices; rename damaged ones, each with a line for `warn` and the log.

        Raises:
            ValueError: a slice is another sweep's, or cannot be read.
        """
        for file in self.saved.files():
            try:
                part = self.saved.load(file)
            except sealed.DamagedError:
                aside = file.rename(file.with_name(f"damaged-{file.name}"))
                message = f"{file} is damaged; its agents are trained again, it is now {aside.name}"
                self.log(f"warning: {message}")
                warn(message)
                continue
            self._remember(part, file)
            yield part

    def merge(self, other: SavedSweep) -> Iterator[Slice]:
        """Copy agents of another sweep that are trained further there; yield their slices.

        The plan has them.

        Raises:
            ValueError: it was trained with other settings of jax, or one is damaged: none is
                copied.
        """
        machine.require_result_settings(other.path, other.started["settings"])
        there = replace(other, plan=self.saved.plan)
        for file in there.files():
            there.load(file)
        for part in map(there.load, there.files()):
            updates = part.metrics.finite.shape[1]
            agents = map(tuple, part.agents.tolist())
            new = np.array([self._found.get(agent, (0,))[0] < updates for agent in agents])
            if new.any():
                part = jax.tree.map(operator.itemgetter(new), part)
                self.add(part)
                yield part

    def load_agents(self, agents: np.ndarray) -> Slice:
        """Load agents of one program, trained equally far, from the slices that have them.

        Raises:
            ValueError: a slice is damaged, or cannot be read.
        """
        wanted, rows = list(map(tuple, agents.tolist())), {}
        for file in sorted({self._found[agent][1] for agent in wanted}):
            part = self.saved.load(file)
            for row, agent in enumerate(map(tuple, part.agents.tolist())):
                if self._found.get(agent, ())[1:] == (file,):
                    rows[agent] = jax.tree.map(operator.itemgetter(row), part)
        stacked: Slice = jax.tree.map(lambda *x: np.stack(x), *(rows[agent] for agent in wanted))
        return stacked

    def end(self) -> None:
        """Release the directory. Without a slice, remove the files that opening it made.

        A sweep that was to be replaced is then renamed back.
        """
        has_slices = any((self.path / SLICES).glob("*"))
        self.close() if has_slices else self.undo()


def _with_saved(path: Path, plan: SweepPlan, extend: bool) -> SweepPlan:
    """Return a plan with the further agents of the directory of this sweep.

    Raises:
        ValueError: `path` is neither new nor empty, and holds another sweep, or one with other
            settings of jax; or a sweep that cannot be extended.
    """
    if not path.exists() or directories.is_begun(path, LOG_FILE):
        return plan
    saved = saved_sweep(path)
    machine.require_result_settings(path, saved.started["settings"])
    if extend:
        try:
            return saved.plan.extended(plan)
        except ValueError as error:
            raise ValueError(f"{path} cannot be extended: {error}") from None
    old, new = _by_name(saved.plan), _by_name(plan)
    for name in old | new:
        if old.get(name) != new.get(name):
            texts = (",".join(map(str, facts.get(name, [None]))) for facts in (old, new))
            there, here = (text if len(text) < 60 else f"{text[:60]}..." for text in texts)
            raise ValueError(
                f"{path} is of another sweep: {name}={there}, here {name}={here}; `extend` adds"
                " seeds and settings"
            )
    return replace(plan, goals=np.maximum(plan.goals, saved.plan.goals))


def _by_name(plan: SweepPlan) -> dict[str, Any]:
    """Return the values that distinguish sweeps: of each field, seeds, episodes and axes."""
    return field_values(plan.configs) | {
        "seeds": plan.seeds,
        "episodes": [plan.num_episodes],
        "axes": plan.swept,
        "settings": plan.labels,
        "until": ["all seeds" if plan.equal_within is None else "decided"],
        "equal_within": [plan.equal_within],
    }
