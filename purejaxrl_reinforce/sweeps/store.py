"""The directory of a sweep: its plan, and its agents, slice by slice as they finish.

Every file carries the identity of the sweep under its checksum: a slice of another sweep is
refused, whatever its name and its shapes.
"""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from purejaxrl_reinforce.algorithm.reinforce import state_shapes
from purejaxrl_reinforce.algorithm.state import Metrics, TrainState
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.config_file import CONFIG_FILE, is_identity_of, new_identity
from purejaxrl_reinforce.execution.machine import describe_machine, describe_versions
from purejaxrl_reinforce.output.files import (
    LockedLog,
    Replacement,
    first_free,
    is_unfinished,
    remove_unfinished,
)
from purejaxrl_reinforce.output.json_text import json_value
from purejaxrl_reinforce.output.sealed import (
    DamagedError,
    load_arrays,
    read_sealed,
    save_arrays,
    write_sealed,
)
from purejaxrl_reinforce.sweeps.plan import SweepPlan

PLAN_FILE = "sweep.json"
LOG_FILE = "sweep.log"
SLICES = "slices"
# Counts up whenever the content of these files changes.
FORMAT = 4

# A slice has the number of its first agent.
_SLICE_NAME = re.compile(r"\d{9,}\.npz")

# All that a sweep makes in its directory.
_PATHS = re.compile(
    rf"{PLAN_FILE}|{LOG_FILE}|results\.npz|summary\.json|table\.(csv|parquet)"
    r"|(learning_curves|evaluation_curves|final_returns|performance_profiles|heatmap)\.png"
    rf"|{SLICES}(/(damaged-)?\d{{9,}}(-\d+)?\.npz)?"
)


class Slice(NamedTuple):
    """Finished agents of one static setting, as NumPy.

    Attributes:
        agents: their numbers in the plan, [agent].
        metrics: [agent, update].
        evaluation: returns of greedy episodes, [agent, episode].
        state: after the last update, [agent, ...]; of the key, its data.
        seconds: that training them took.
    """

    agents: np.ndarray
    metrics: Metrics
    evaluation: np.ndarray
    state: TrainState
    seconds: float


@dataclass(frozen=True)
class SavedSweep:
    """What the directory of a sweep has.

    Attributes:
        path: of the directory.
        plan: of the sweep.
        identity: that all of its files carry.
        versions: of the packages that started it.
        machine: that started it, as `describe_machine` returns it.
    """

    path: Path
    plan: SweepPlan
    identity: str
    versions: dict[str, str]
    machine: dict[str, Any]

    def files(self) -> list[Path]:
        """Return the paths of the slices."""
        found = sorted((self.path / SLICES).glob("*.npz"))
        return [file for file in found if _SLICE_NAME.fullmatch(file.name) and file.is_file()]

    def slices(self) -> Iterator[Slice]:
        """Load all slices, one after the other.

        Raises:
            ValueError: one is damaged, another sweep's, or cannot be read.
        """
        return map(self.load, self.files())

    def slice_with(self, agent: int) -> tuple[Slice, int]:
        """Load the slice that has an agent, by its number in the plan; return its row there too.

        Raises:
            ValueError: none has it, or one is damaged, another sweep's, or cannot be read.
        """
        for part in self.slices():
            if agent in part.agents:
                return part, part.agents.tolist().index(agent)
        raise ValueError(f"{self.path} does not have this agent yet")

    def load(self, file: Path) -> Slice:
        """Load a slice.

        Raises:
            DamagedError: it is damaged.
            ValueError: it is another sweep's, or cannot be read.
        """
        try:
            arrays = load_arrays(file, self.identity)
        except DamagedError as error:
            raise DamagedError(f"{error}; rerun the same sweep command to train it again") from None
        except OSError as error:
            raise ValueError(f"cannot read {file}: {error.strerror}") from None
        agents = arrays["agents"]
        if file.name != _slice_name(agents):
            raise DamagedError(f"{file} has the agents of {_slice_name(agents)}")
        shapes = state_shapes(self.plan.config_of(int(agents[0])))
        states = [arrays[f"state/{i}"] for i in range(len(jax.tree.leaves(shapes)))]
        metrics: Any = [arrays[f"metrics/{name}"] for name in Metrics._fields]
        return Slice(
            agents,
            Metrics(*metrics),
            arrays["evaluation"],
            jax.tree.unflatten(jax.tree.structure(shapes), states),
            float(arrays["seconds"]),
        )


def saved_sweep(path: Path) -> SavedSweep:
    """Return the sweep in a directory.

    Raises:
        ValueError: it is not the directory of a sweep, or damaged, or of another format.
    """
    file = path / PLAN_FILE
    if not file.exists():
        raise ValueError(f"{path} is not the directory of a sweep: it has no {file.name}")
    try:
        content, identity = read_sealed(file)
        found, facts = content["format"], content["plan"]
        origin = content["versions"], content["machine"]
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror}") from None
    except (KeyError, TypeError):
        raise ValueError(f"{file} is not what a sweep writes") from None
    if found != FORMAT:
        raise ValueError(
            f"{path} has sweep format {found}, of another release; this one reads format {FORMAT}"
        )
    if not is_identity_of(identity, json_value(facts)):
        raise ValueError(f"{file} is damaged: it has the identity of another sweep")
    plan = SweepPlan(
        Config(**facts["config"]),
        {name: tuple(map(_hashable, values)) for name, values in facts["axes"].items()},
        facts["zipped"],
        np.asarray(facts["key_data"], np.uint32),
        facts["num_episodes"],
        tuple(Config(**setting) for setting in facts["settings"]),
    )
    return SavedSweep(path, plan, identity, *origin)


def is_sweep(path: Path) -> bool:
    """Return whether a directory is a sweep's, rather than a run's.

    Raises:
        ValueError: it is neither.
    """
    if (path / PLAN_FILE).exists():
        return True
    if (path / CONFIG_FILE).exists():
        return False
    raise ValueError(
        f"{path} is the directory of neither a run nor a sweep:"
        f" it has no {CONFIG_FILE} and no {PLAN_FILE}"
    )


class SweepStore:
    """The files of one sweep, locked: no other process can open them as a SweepStore.

    Args:
        path: the directory. Made if it is not there.
        plan: of the sweep.
        force: whether another sweep there is replaced, once this one has its first slice.

    Attributes:
        saved: what the directory has.

    Raises:
        ValueError: the directory holds something else, another sweep, or is in use.
        OSError: it cannot be written.
    """

    def __init__(self, path: Path, plan: SweepPlan, force: bool = False) -> None:
        self._path = path
        self._replaced: Replacement | None = None
        try:
            _require_same_sweep(path, plan)
        except ValueError:
            if not force:
                raise
            self._replaced = Replacement(path, LOG_FILE, _PATHS, saved_sweep)
        ours = map(path.joinpath, (PLAN_FILE, LOG_FILE, SLICES))
        self._made = [p for p in (*ours, path, *path.absolute().parents) if not p.exists()]
        path.mkdir(parents=True, exist_ok=True)
        self._log = LockedLog(path / LOG_FILE, "sweeping")
        try:
            self.saved = _prepare(path, plan)
        except BaseException:
            self.close()
            raise

    def log(self, message: str) -> None:
        """Append a line to the log."""
        self._log.write(message)

    def add(self, part: Slice) -> None:
        """Write a slice."""
        arrays = {
            "agents": part.agents,
            "evaluation": part.evaluation,
            "seconds": np.asarray(part.seconds),
            **{f"metrics/{name}": x for name, x in part.metrics._asdict().items()},
            **{f"state/{i}": x for i, x in enumerate(jax.tree.leaves(part.state))},
        }
        file = self.saved.path / SLICES / _slice_name(part.agents)
        save_arrays(file, arrays, self.saved.identity)
        if self._replaced is not None:
            self._replaced.commit()
            self._replaced = None

    def load_done(self, warn: Callable[[str], None]) -> Iterator[Slice]:
        """Load the intact slices; rename damaged ones, each with a line for `warn` and the log.

        Raises:
            ValueError: a slice is another sweep's, or cannot be read.
        """
        for file in self.saved.files():
            try:
                yield self.saved.load(file)
            except DamagedError:
                aside = first_free(file.parent, f"damaged-{file.stem}", file.suffix)
                file.rename(aside)
                message = f"{file} is damaged; its agents are trained again, it is now {aside.name}"
                self.log(f"warning: {message}")
                warn(message)

    def close(self) -> None:
        """Release the directory. Without a slice, what opening it has made goes.

        A sweep that was to be replaced then comes back.
        """
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


class NoStore:
    """The store of a process that writes nothing."""

    def log(self, message: str) -> None:
        """Do nothing."""

    def add(self, part: Slice) -> None:
        """Do nothing."""

    def load_done(self, _: Callable[[str], None]) -> Iterator[Slice]:
        """Load nothing."""
        return iter(())

    def close(self) -> None:
        """Do nothing."""


def _prepare(path: Path, plan: SweepPlan) -> SavedSweep:
    """Remove what a killed process left half-written; write the plan."""
    remove_unfinished(path)
    remove_unfinished(path / SLICES)
    if not (path / PLAN_FILE).exists():
        facts = plan_facts(plan)
        content = {
            "format": FORMAT,
            "plan": facts,
            "versions": describe_versions(),
            "machine": describe_machine(),
        }
        write_sealed(path / PLAN_FILE, content, new_identity(facts))
    (path / SLICES).mkdir(exist_ok=True)
    return saved_sweep(path)


def plan_facts(plan: SweepPlan) -> dict[str, Any]:
    """Return a plan as JSON has it."""
    facts: dict[str, Any] = {
        "config": asdict(plan.config),
        "axes": plan.axes,
        "zipped": plan.zipped,
        "num_episodes": plan.num_episodes,
        "num_seeds": plan.num_seeds,
        "key_data": plan.key_data,
        "settings": list(map(asdict, plan.configs)),
    }
    plain: dict[str, Any] = json_value(facts)
    return plain


def _require_same_sweep(path: Path, plan: SweepPlan) -> None:
    """Raise ValueError unless `path` is new, empty, or of a sweep of the same settings."""
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path} exists and is not a directory; choose another --sweep-dir")
    # A sweep that was killed before it had written its plan leaves no more than its log.
    begun = path.iterdir() if path.exists() else ()
    if all(file.name == LOG_FILE or is_unfinished(file) for file in begun):
        return
    old, new = _by_name(saved_sweep(path).plan), _by_name(plan)
    for name in old | new:
        if old.get(name) != new.get(name):
            values = (_show(facts.get(name)) for facts in (old, new))
            there, here = (f"{name}={value}" for value in values)
            raise ValueError(f"{path} is of another sweep: {there}, here {here}")


def _by_name(plan: SweepPlan) -> dict[str, Any]:
    """Return what tells sweeps apart: all values of each field, and what else there is."""
    numbers = {name: getattr(plan, name) for name in ("zipped", "num_episodes", "seeds")}
    return asdict(plan.config) | plan.axes | numbers | {"axes": list(plan.axes)}


def _show(value: Any) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) < 60 else f"{text[:60]}..."


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _slice_name(agents: np.ndarray) -> str:
    return f"{agents[0]:09}.npz"
