"""The directory of a sweep: its plan, and its agents, slice by slice as they finish.

Every file carries the identity of the sweep under its checksum: a slice of another sweep is
refused, whatever its name and its shapes.
"""

import contextlib
import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from purejaxrl_reinforce.algorithm.reinforce import state_shapes
from purejaxrl_reinforce.algorithm.state import Metrics
from purejaxrl_reinforce.config import FIELD_KINDS, Config
from purejaxrl_reinforce.config_file import CONFIG_FILE, is_identity_of, new_identity
from purejaxrl_reinforce.execution import machine
from purejaxrl_reinforce.output import files, json_text, sealed
from purejaxrl_reinforce.output.text import setting_labels
from purejaxrl_reinforce.runs.checkpoint import named_arrays, restore_tree
from purejaxrl_reinforce.sweeps.plan import SweepPlan, require_room, seed_numbers

PLAN_FILE = "sweep.json"
LOG_FILE = "sweep.log"
SLICES = "slices"
# Counts up whenever the content of these files changes.
FORMAT = 6

# A slice has the number of its first agent, in this pattern of digits.
_SLICE_FILES = f"{SLICES}/{'[0-9]' * 9}.npz"

# All that a sweep makes in its directory.
_PATHS = re.compile(
    rf"{PLAN_FILE}|{LOG_FILE}|results\.npz|summary\.json|table\.(csv|parquet)"
    r"|(learning_curves|evaluation_curves|final_returns|performance_profiles|heatmap)\.png"
    rf"|{SLICES}(/(damaged-)?\d{{9}}\.npz)?"
)


class Slice(NamedTuple):
    """Finished agents of one static setting, as NumPy.

    Attributes:
        agents: their numbers in the plan, [agent].
        metrics: [agent, update].
        evaluation: returns of greedy episodes, [agent, episode].
        seconds: each one's share of the time that training them took, [agent].
        state: the TrainState after the last update, [agent, ...], with its key's data for its key;
            None where nobody needs it.
    """

    agents: np.ndarray
    metrics: Metrics
    evaluation: np.ndarray
    seconds: np.ndarray
    state: Any


class SavedSweep(NamedTuple):
    """What the directory of a sweep has.

    Attributes:
        started: with which `settings` of jax, `versions` and `machine`, see execution/machine.py.
        identity: that all of its files carry.
    """

    path: Path
    plan: SweepPlan
    started: dict[str, dict[str, Any]]
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
                loaded: Slice = restore_tree(arrays, _slice_shapes(self.plan, arrays["agents"]))
        except sealed.DamagedError as error:
            again = "rerun the same sweep command to train it again"
            raise sealed.DamagedError(f"{error}; {again}") from None
        except OSError as error:
            raise ValueError(f"cannot read {file}: {error.strerror}") from None
        return loaded

    def agent(self, setting: int, seed: int) -> Slice:
        """Load one agent: a row of the slice that has it.

        Raises:
            ValueError: there is no such agent, none has it yet, or one cannot be loaded.
        """
        seeds, num_settings = seed_numbers(self.plan.key_data), len(self.plan.configs)
        if not 0 <= setting < num_settings:
            raise ValueError(f"setting must lie between 0 and {num_settings - 1}, not {setting}")
        if seed not in seeds:
            raise ValueError(f"the sweep has no seed {seed}")
        number = seeds.index(seed) * num_settings + setting
        for part in map(self.load, self.files()):
            if number in part.agents:
                row = part.agents.tolist().index(number)
                agent: Slice = jax.tree.map(operator.itemgetter(row), part)
                return agent
        raise ValueError(f"{self.path} does not have this agent yet")


def saved_sweep(path: Path) -> SavedSweep:
    """Return the sweep in a directory.

    Raises:
        ValueError: it is not the directory of a sweep, or damaged, or of another format.
    """
    file = path / PLAN_FILE
    if not file.exists():
        raise ValueError(f"{path} is not the directory of a sweep: it has no {file.name}")
    try:
        content, identity = sealed.read_sealed(file)
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror}") from None
    with sealed.parsing(file):
        found, facts = content["format"], content["plan"]
    if found != FORMAT:
        raise ValueError(
            f"{path} has sweep format {found}, of another release; this one reads format {FORMAT}"
        )
    with sealed.parsing(file):
        plan = SweepPlan(
            tuple(facts["axes"]),
            tuple(Config(**setting) for setting in facts["settings"]),
            np.asarray(facts["key_data"], np.uint32).reshape(-1, 2),
            int(facts["num_episodes"]),
        )
        facts = json_text.json_value(facts)
        # Whatever else may be wrong is not what would be written of this plan.
        if not plan.num_agents or _plan_facts(plan) != facts or not is_identity_of(identity, facts):
            raise ValueError("its plan is none, or another sweep's")
        started = {name: dict(content[name]) for name in ("settings", "versions", "machine")}
    return SavedSweep(path, plan, started, identity)


def _slice_shapes(plan: SweepPlan, agents: np.ndarray) -> Slice:
    """Return the shapes and dtypes of a slice; ValueError: the plan has none of these agents."""
    config, (first, *_, last) = plan.config_of(int(agents[0])), sorted([*agents, agents[0]])
    programs = {jax.tree.structure(plan.config_of(agent)) for agent in agents.tolist()}
    if not 0 <= first <= last < plan.num_agents or len(programs) > 1:
        raise ValueError("its agents are not in the plan, or not of one program")

    def stacked(shape: tuple[int, ...], dtype: Any) -> Any:
        return np.broadcast_to(np.zeros((), dtype), (len(agents), *shape))

    dtypes: dict[str, Any] = {"num_episodes": np.int32, "num_steps": np.int32, "finite": np.bool}
    metrics = (
        stacked((config.num_updates,), dtypes.get(name, np.float32)) for name in Metrics._fields
    )
    key_data: Any = np.empty(2, np.uint32)
    state = state_shapes(config)._replace(key=key_data)
    return Slice(
        stacked((), np.int64),
        Metrics(*metrics),
        stacked((plan.num_episodes,), np.float32),
        stacked((), np.float64),
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
            f"{path} is the directory of neither a run nor a sweep:"
            f" it has no {CONFIG_FILE} and no {PLAN_FILE}"
        )
    return found[0]


class SweepStore:
    """The files of one sweep, locked: no other process can open them as a SweepStore.

    Args:
        path: the directory. Made if it is not there.
        plan: of the sweep.
        force: whether another sweep there is replaced, once this one has its first slice.

    Raises:
        ValueError: the directory holds something else, another sweep, is in use or cannot be
            written, or results do not fit into memory; nothing was written.
    """

    def __init__(self, path: Path, plan: SweepPlan, force: bool = False) -> None:
        self._path = path
        self._log: files.LockedLog | None = None
        self._replaced: files.Replacement | None = None
        self._made: list[Path] = []
        try:
            self._open(plan, force)
        except OSError as error:
            self.close()
            raise ValueError(f"cannot write to {path}: {error.strerror}") from None

    def _open(self, plan: SweepPlan, force: bool) -> None:
        path, file, log, slices = map(self._path.joinpath, ("", PLAN_FILE, LOG_FILE, SLICES))
        is_new = not file.exists()
        try:
            _require_same_sweep(path, plan)
        except ValueError:
            if not force:
                raise
            is_new = True
        if is_new:
            require_room(plan)
            if force:
                self._replaced = files.Replacement(path, LOG_FILE, _PATHS, saved_sweep)
        ours = (file, log, slices, path, *path.absolute().parents)
        self._made = [path for path in ours if not path.exists()]
        path.mkdir(parents=True, exist_ok=True)
        self._log = files.LockedLog(log, "sweeping")
        files.remove_unfinished(path)  # which a killed process leaves
        files.remove_unfinished(slices)
        if not file.exists():
            facts = _plan_facts(plan)
            started = {
                "settings": machine.result_settings(),
                "versions": machine.describe_versions(),
                "machine": machine.describe_machine(),
            }
            content = {"format": FORMAT, "plan": facts, **started}
            sealed.write_sealed(file, content, new_identity(facts))
        slices.mkdir(exist_ok=True)
        self._saved = saved_sweep(path)

    def log(self, message: str) -> None:
        """Append a line to the log."""
        if self._log is not None:
            self._log.write(message)

    def add(self, part: Slice) -> None:
        """Write a slice."""
        file = self._path / SLICES / f"{part.agents[0]:09}.npz"
        sealed.save_arrays(file, named_arrays(part), self._saved.identity)
        if self._replaced is not None:
            self._replaced.commit()
            self._replaced = None

    def load_done(self, warn: Callable[[str], None]) -> Iterator[Slice]:
        """Load the intact slices; rename damaged ones, each with a line for `warn` and the log.

        Raises:
            ValueError: a slice is another sweep's, or cannot be read.
        """
        for file in self._saved.files():
            try:
                yield self._saved.load(file)
            except sealed.DamagedError:
                aside = file.rename(file.with_name(f"damaged-{file.name}"))
                message = f"{file} is damaged; its agents are trained again, it is now {aside.name}"
                self.log(f"warning: {message}")
                warn(message)

    def close(self) -> None:
        """Release the directory. Without a slice, what opening it has made goes.

        A sweep that was to be replaced then comes back.
        """
        if self._log is not None:
            self._log.close()
        if any((self._path / SLICES).glob("*")):
            return
        for path in self._made:
            with contextlib.suppress(OSError):  # not there, or with something of someone else's
                path.rmdir() if path.is_dir() else path.unlink()
        self._made = []
        if self._replaced is not None:
            with contextlib.suppress(OSError):
                self._replaced.rollback()


def _plan_facts(plan: SweepPlan) -> Any:
    """Return a plan as JSON has it."""
    return json_text.json_value(
        {
            "axes": plan.axes,
            "settings": list(map(asdict, plan.configs)),
            "key_data": plan.key_data,
            "num_episodes": plan.num_episodes,
        }
    )


def _require_same_sweep(path: Path, plan: SweepPlan) -> None:
    """Raise ValueError unless `path` is new, empty, or of this sweep with these settings of jax."""
    if not path.exists() or files.is_begun(path, LOG_FILE):
        return
    saved = saved_sweep(path)
    old, new = _by_name(saved.plan), _by_name(plan)
    for name, value in new.items():
        if old[name] != value:
            texts = (",".join(map(str, values)) for values in (old[name], value))
            there, here = (text if len(text) < 60 else f"{text[:60]}..." for text in texts)
            raise ValueError(f"{path} is of another sweep: {name}={there}, here {name}={here}")
    machine.require_result_settings(path, saved.started["settings"])


def _by_name(plan: SweepPlan) -> dict[str, Any]:
    """Return what tells sweeps apart: all values of each field, and what else there is."""
    fields = {
        name: list(dict.fromkeys(getattr(c, name) for c in plan.configs)) for name in FIELD_KINDS
    }
    return fields | {
        "seeds": seed_numbers(plan.key_data),
        "episodes": [plan.num_episodes],
        "axes": list(plan.axes),
        "settings": setting_labels(plan.configs, list(plan.axes)),
    }
