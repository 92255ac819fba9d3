"""The directory of a sweep: its plan, and its agents, slice by slice as they finish."""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from purejaxrl_reinforce.algorithm.reinforce import state_shapes
from purejaxrl_reinforce.algorithm.state import Metrics, TrainState
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.config_file import CONFIG_FILE
from purejaxrl_reinforce.execution.machine import describe_machine, describe_versions
from purejaxrl_reinforce.output.checksums import (
    load_arrays,
    read_sealed,
    save_arrays,
    write_sealed,
)
from purejaxrl_reinforce.output.files import (
    LockedLog,
    first_free,
    is_unfinished,
    remove_unfinished,
)
from purejaxrl_reinforce.output.json_text import json_value
from purejaxrl_reinforce.output.replacing import Replacement
from purejaxrl_reinforce.runs.loggers import MODULES
from purejaxrl_reinforce.sweeps.axes import make_settings, num_settings
from purejaxrl_reinforce.sweeps.plan import SweepPlan

SETTINGS_FILE = "sweep.json"
LOG_FILE = "sweep.log"
SLICES = "slices"
# Counts up whenever the content of these files changes.
FORMAT = 3

# A slice has the number of its first agent.
_SLICE_NAME = re.compile(r"\d{9,}\.npz")

# All that a sweep makes in its directory.
_PATHS = re.compile(
    rf"{SETTINGS_FILE}|{LOG_FILE}|results\.npz|summary\.json|table\.(csv|parquet)"
    r"|(learning_curves|evaluation_curves|final_returns|performance_profiles|heatmap)\.png"
    rf"|{SLICES}(/(damaged-)?\d{{9,}}(-\d+)?\.npz)?|({'|'.join(MODULES)})(/.+)?"
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


class SweepStore:
    """The files of one sweep, locked by one process at a time.

    Args:
        path: the directory. Made if it is not there.
        plan: of the sweep.
        force: whether another sweep there is replaced, once this one has its first slice.

    Raises:
        ValueError: the directory holds something else, another sweep, or is in use.
        OSError: it cannot be written.
    """

    def __init__(self, path: Path, plan: SweepPlan, force: bool = False) -> None:
        self.path, self._plan = path, plan
        self._replaced: Replacement | None = None
        try:
            _require_same_sweep(path, plan)
        except ValueError:
            if not force:
                raise
            self._replaced = Replacement(path, LOG_FILE, _PATHS, load_plan)
            _require_same_sweep(path, plan)
        ours = map(path.joinpath, (SETTINGS_FILE, LOG_FILE, SLICES))
        self._made = [p for p in (*ours, path, *path.absolute().parents) if not p.exists()]
        path.mkdir(parents=True, exist_ok=True)
        self.log = LockedLog(path / LOG_FILE, "sweeping")
        try:
            self._prepare()
        except BaseException:
            self.discard_if_empty()
            raise

    def _prepare(self) -> None:
        """Remove what a killed process left half-written; write the plan."""
        remove_unfinished(self.path)
        remove_unfinished(self.path / SLICES)
        if not (self.path / SETTINGS_FILE).exists():
            origin = {"versions": describe_versions(), "machine": describe_machine()}
            write_sealed(self.path / SETTINGS_FILE, plan_facts(self._plan) | origin)
        (self.path / SLICES).mkdir(exist_ok=True)

    def add(self, part: Slice) -> None:
        """Write a slice."""
        arrays = {
            "agents": part.agents,
            "evaluation": part.evaluation,
            "seconds": np.asarray(part.seconds),
            **{f"metrics/{name}": x for name, x in part.metrics._asdict().items()},
            **{f"state/{i}": x for i, x in enumerate(jax.tree.leaves(part.state))},
        }
        save_arrays(self.path / SLICES / _slice_name(part.agents), arrays)
        if self._replaced is not None:
            self._replaced.commit()
            self._replaced = None

    def load_done(self, warn: Callable[[str], None]) -> Iterator[Slice]:
        """Give the intact slices; rename damaged ones, each with a line for `warn` and the log."""
        for file, part in load_slices(self.path, self._plan):
            if part is None:
                aside = first_free(file.parent, f"damaged-{file.stem}", file.suffix)
                file.rename(aside)
                message = f"{file} is damaged; its agents are trained again, it is now {aside.name}"
                self.log.write(f"warning: {message}")
                warn(message)
            else:
                yield part

    def discard_if_empty(self) -> None:
        """Remove what opening it made, unless there is a slice."""
        self.log.close()
        if any((self.path / SLICES).glob("*")):
            return
        for path in self._made:
            with contextlib.suppress(OSError):  # not there, or with something of someone else's
                path.rmdir() if path.is_dir() else path.unlink()
        if self._replaced is not None:
            with contextlib.suppress(OSError):
                self._replaced.rollback()
            self._replaced = None  # what is there now is not to be discarded

    def close(self) -> None:
        """Release the directory; a sweep that nothing has replaced comes back."""
        self.log.close()
        if self._replaced is not None:
            self.discard_if_empty()


def plan_facts(plan: SweepPlan) -> dict[str, Any]:
    """Return a plan as JSON has it."""
    facts: dict[str, Any] = {
        "format": FORMAT,
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


def load_plan(path: Path) -> SweepPlan:
    """Return the plan of the sweep in a directory.

    Raises:
        ValueError: it is not the directory of a sweep, or damaged, or of another format.
    """
    facts = _facts_in(path)
    try:
        plan = SweepPlan(
            Config(**facts["config"]),
            {name: tuple(map(_hashable, values)) for name, values in facts["axes"].items()},
            facts["zipped"],
            np.asarray(facts["key_data"], np.uint32),
            facts["num_episodes"],
            tuple(Config(**setting) for setting in facts["settings"]),
        )
        _require_consistent(plan, facts["num_seeds"])
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path / SETTINGS_FILE} is damaged: {error!r}") from None
    return plan


def _require_consistent(plan: SweepPlan, num_seeds: Any) -> None:
    """Raise ValueError unless `make_plan` could have made this."""
    number = num_settings(plan.axes, plan.zipped)  # before so many are made
    if number != len(plan.configs) or list(plan.configs) != make_settings(
        plan.config, plan.axes, plan.zipped
    ):
        raise ValueError("settings that are not those of the axes")
    if plan.key_data.shape != (num_seeds, 2) or not num_seeds:
        raise ValueError("key_data that are not the keys of num_seeds seeds")
    if type(plan.num_episodes) is not int or plan.num_episodes < 1:
        raise ValueError("num_episodes is no number of episodes")


def load_origin(path: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the package versions that started the sweep in a directory, and facts of its machine.

    Raises:
        ValueError: it is not the directory of a sweep, or damaged, or of another format.
    """
    facts = _facts_in(path)
    try:
        return dict(facts["versions"]), dict(facts["machine"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path / SETTINGS_FILE} is damaged: {error!r}") from None


def load_agent_slice(path: Path, plan: SweepPlan, agent: int) -> tuple[int, Slice]:
    """Return the slice that holds an agent, and where in it.

    Raises:
        ValueError: no intact slice has it.
    """
    for _, part in load_slices(path, plan):
        if part is not None and agent in part.agents:
            return int(np.flatnonzero(part.agents == agent)[0]), part
    raise ValueError(f"{path} does not have this agent yet, or its slice is damaged")


def load_slices(path: Path, plan: SweepPlan) -> Iterator[tuple[Path, Slice | None]]:
    """Give each slice in the directory of a sweep; None for one that is damaged.

    Raises:
        ValueError: a slice cannot be opened.
    """
    for file in sorted((path / SLICES).glob("*.npz")):
        if not _SLICE_NAME.fullmatch(file.name) or not file.is_file():
            continue  # not ours
        try:
            yield file, _load_slice(file, plan)
        except OSError as error:
            raise ValueError(f"cannot read {file}: {error.strerror}") from None
        except (IndexError, KeyError, TypeError, ValueError):
            yield file, None


def _load_slice(file: Path, plan: SweepPlan) -> Slice:
    arrays = load_arrays(file)
    agents = arrays["agents"]
    config = plan.config_of(int(agents[0]))
    leaves, structure = jax.tree.flatten(state_shapes(config))
    states = [arrays[f"state/{i}"] for i in range(len(leaves))]
    metrics: Any = [arrays[f"metrics/{name}"] for name in Metrics._fields]
    part = Slice(
        agents,
        Metrics(*metrics),
        arrays["evaluation"],
        jax.tree.unflatten(structure, states),
        float(arrays["seconds"]),
    )
    expected: list[tuple[np.ndarray, tuple[int, ...]]] = [
        *((x, (config.num_updates,)) for x in metrics),
        (part.evaluation, (plan.num_episodes,)),
        *((x, leaf.shape) for x, leaf in zip(states, leaves, strict=True)),
    ]
    if file.name != _slice_name(agents) or not 0 <= agents.min() <= agents.max() < plan.num_agents:
        raise ValueError("agents of another slice")
    # Key data have a dimension more than the key.
    if any(x.shape[: 1 + len(shape)] != (len(agents), *shape) for x, shape in expected):
        raise ValueError("arrays of another sweep")
    return part


def _slice_name(agents: np.ndarray) -> str:
    return f"{agents[0]:09}.npz"


def _require_same_sweep(path: Path, plan: SweepPlan) -> None:
    """Raise ValueError unless `path` is new, empty, or of a sweep of the same settings."""
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path} exists and is not a directory; choose another --sweep-dir")
    if not path.exists() or all(_is_from_the_start(file) for file in path.iterdir()):
        return
    there, here = plan_facts(load_plan(path)), plan_facts(plan)
    old, new = _by_name(there), _by_name(here)
    for name in old | new:
        if old.get(name) != new.get(name):
            difference = f"its {name} is {_show(old.get(name))}, here it is {_show(new.get(name))}"
            raise ValueError(f"{path} is of another sweep: {difference}")
    for name, what in (("key_data", "its seeds differ"), ("settings", "its axes' order differs")):
        if there[name] != here[name]:
            raise ValueError(f"{path} is of another sweep: {what}")


def _is_from_the_start(file: Path) -> bool:
    """Return whether a sweep that was killed before it had written its plan leaves this."""
    return file.name == LOG_FILE or is_unfinished(file)


def _by_name(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a plan, with all values of those that are swept, and its numbers."""
    numbers = {name: facts[name] for name in ("num_seeds", "zipped", "num_episodes")}
    return facts["config"] | facts["axes"] | numbers


def _show(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _facts_in(path: Path) -> dict[str, Any]:
    file = path / SETTINGS_FILE
    try:
        facts: dict[str, Any] = read_sealed(file)
        found = facts["format"]
    except FileNotFoundError:
        raise ValueError(f"{path} is not the directory of a sweep: it has no {file.name}") from None
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror}") from None
    except (KeyError, TypeError):
        raise ValueError(f"{file} is damaged") from None
    if found != FORMAT:
        raise ValueError(
            f"{path} has sweep format {found}, of another release; this one reads format {FORMAT}"
        )
    return facts


def is_sweep(path: Path) -> bool:
    """Return whether a directory is a sweep's, rather than a run's.

    Raises:
        ValueError: it is neither.
    """
    if (path / SETTINGS_FILE).exists():
        return True
    if (path / CONFIG_FILE).exists():
        return False
    raise ValueError(
        f"{path} is the directory of neither a run nor a sweep:"
        f" it has no {CONFIG_FILE} and no {SETTINGS_FILE}"
    )
