"""What a sweep trains: fields of the configuration with their values, settings, seeds, agents."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import psutil

from purejaxrl_reinforce.algorithm.rollout import with_total_steps
from purejaxrl_reinforce.algorithm.state import Metrics
from purejaxrl_reinforce.config import (
    ENV_PARAM,
    FIELD_KINDS,
    Config,
    checked_seed,
    field_hint,
    get_field,
    with_fields,
)
from purejaxrl_reinforce.environments import environment
from purejaxrl_reinforce.output.json_text import json_value
from purejaxrl_reinforce.output.text import setting_labels
from purejaxrl_reinforce.tasks import grouped, task

Axes = Mapping[str, Sequence[Any]]

# More are not planned, let alone listed in sweep.json, within seconds.
_MOST_SETTINGS = 100_000
_MOST_AGENTS = 1_000_000

_METRICS_BYTES = 4 * len(Metrics._fields) + 4  # env_steps has 8


@dataclass(frozen=True)
class SweepPlan:
    """Settings and seeds; an agent trains a setting with a seed.

    Attributes:
        swept: names of the swept fields.
        configs: of each setting.
        key_data: of each seed's key, [seed, 2] uint32. Every setting gets the same keys.
        num_episodes: of each agent's greedy evaluation.
        goals: after how many updates each agent stops, [setting, seed]; 0: it is not trained.
        equal_within: a study ends when it is decided, or when the settings left differ by less;
            0: they never do; None: each setting gets all seeds.
    """

    swept: tuple[str, ...]
    configs: tuple[Config, ...]
    key_data: np.ndarray
    num_episodes: int
    goals: np.ndarray
    equal_within: float | None

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """The values of each swept field, in the order given."""
        values = {name: [get_field(c, name) for c in self.configs] for name in self.swept}
        return {name: tuple(dict.fromkeys(found)) for name, found in values.items()}

    @property
    def labels(self) -> list[str]:
        """Name each setting by its swept fields."""
        return setting_labels(self.configs, self.swept) if self.swept else [self.configs[0].env]

    @property
    def seeds(self) -> list[int]:
        """Number each seed: s where its key is `jax.random.key(s)`, else the key's bits."""
        return [(high << 32) + low for high, low in self.key_data.tolist()]

    @property
    def num_seeds(self) -> int:
        """Number of seeds that a setting can get."""
        return len(self.key_data)

    @property
    def num_agents(self) -> int:
        """Number of agents that are to be trained."""
        return int((self.goals > 0).sum())

    @property
    def programs(self) -> list[list[int]]:
        """The settings of each compiled program, which differ in floats alone."""
        structures = list(map(jax.tree.structure, self.configs))
        return list(grouped(range(len(structures)), structures.__getitem__).values())

    def by_task(self, settings: Iterable[int]) -> dict[str, list[int]]:
        """Return the settings of each task; only settings of one task are compared."""
        return grouped(settings, lambda i: task(self.configs[i]))

    def extended(self, other: "SweepPlan") -> "SweepPlan":
        """Return the plan with the agents of both; settings and seeds of this one come first.

        Raises:
            ValueError: their agents are evaluated in other ways, settings differ in a field that is
                not swept, or there are too many agents.
        """
        if self.num_episodes != other.num_episodes:
            raise ValueError(f"episodes={self.num_episodes}, here episodes={other.num_episodes}")
        swept = tuple(dict.fromkeys((*self.swept, *other.swept)))
        configs = tuple(dict.fromkeys((*self.configs, *other.configs)))
        keys = dict.fromkeys(tuple(key) for x in (self, other) for key in x.key_data.tolist())
        for name, (first, *others) in field_values(configs).items():
            is_partly_set = name.startswith(ENV_PARAM) and None in (first, *others)
            if others and (name not in swept or is_partly_set):
                raise ValueError(f"{name}={first}, here {name}={others[0]}: sweep it with `axis`")
        _require_few(len(configs), len(keys))
        rows, columns = ({x: i for i, x in enumerate(items)} for items in (configs, keys))
        goals = np.zeros((len(configs), len(keys)), np.int64)
        for plan in (self, other):
            own = [columns[tuple(key)] for key in plan.key_data.tolist()]
            cells = np.ix_([rows[config] for config in plan.configs], own)
            goals[cells] = np.maximum(goals[cells], plan.goals)
        key_data = np.array(list(keys), np.uint32)
        return SweepPlan(swept, configs, key_data, self.num_episodes, goals, other.equal_within)


def field_values(configs: Sequence[Config]) -> dict[str, list[Any]]:
    """Return the different values of each field, and of each parameter of the environment.

    A parameter that is not set is None.
    """
    rows = [
        vars(config) | {f"{ENV_PARAM}{name}": value for name, value in config.env_params.items()}
        for config in configs
    ]
    names = dict.fromkeys(name for row in rows for name in row if name != "env_params")
    return {name: list(dict.fromkeys(row.get(name) for row in rows)) for name in names}


def make_plan(
    config: Config,
    keys: jax.Array | Sequence[int] | int,
    axes: Axes,
    zipped: bool,
    episodes: int,
    total_steps: float | None = None,
) -> SweepPlan:
    """Return the plan of a sweep; see `sweep`.

    Raises:
        ValueError: an axis, a value, a key or a number is wrong.
    """
    if episodes < 1:
        raise ValueError(f"the evaluation needs at least 1 episode, not {episodes}")
    configs = make_settings(config, axes, zipped)
    if total_steps is not None:
        configs = [with_total_steps(config, total_steps) for config in configs]
    key_data = key_data_of(keys, len(configs))
    configs = [environment.checked(c) if c.env_params else c for c in configs]
    goals = np.repeat([[config.num_updates] for config in configs], len(key_data), axis=1)
    plan = SweepPlan(tuple(axes), tuple(configs), key_data, episodes, goals, None)
    for first, *_ in plan.programs:
        environment.checked(configs[first])
    return plan


def make_extension(
    plan: SweepPlan,
    fields: Mapping[str, Any],
    axes: Axes,
    keys: Sequence[int] | None,
    zipped: bool,
) -> SweepPlan:
    """Return the plan of an extension. Arguments that are not given are as in the sweep.

    Args:
        plan: of the sweep.
        fields: values of its settings' fields.
        axes: of the new settings, added to the axes of the sweep. Without fields and axes, all
            settings of the sweep get the seeds.
        keys: None: as in the sweep.
        zipped: see `sweep`.

    Raises:
        ValueError: as `make_plan`; or settings that are no grid have axes that are not given.
    """
    if not (fields or axes):
        if keys is None:
            return plan
        key_data = key_data_of(keys, len(plan.configs))
        goals = np.repeat(plan.goals.max(axis=1, keepdims=True), len(key_data), axis=1)
        return replace(plan, key_data=key_data, goals=goals)
    own = {name: values for name, values in plan.axes.items() if name not in fields}
    if zipped or math.prod(map(len, plan.axes.values())) != len(plan.configs):
        if missing := [name for name in own if name not in axes]:
            raise ValueError(f"the settings are not a grid: also sweep {missing[0]} with `axis`")
        own = {}
    axes = {**own, **axes}
    first = {name: values[0] for name, values in axes.items() if values}
    config = with_fields(plan.configs[0], {**fields, **first})
    own_keys = jax.random.wrap_key_data(jnp.asarray(plan.key_data))
    return make_plan(config, own_keys if keys is None else keys, axes, zipped, plan.num_episodes)


def plan_facts(plan: SweepPlan) -> Any:
    """Return a plan as JSON has it."""
    facts = vars(plan) | {"axes": plan.swept, "settings": list(map(asdict, plan.configs))}
    return json_value({x: value for x, value in facts.items() if x not in ("swept", "configs")})


def plan_of(facts: Mapping[str, Any]) -> SweepPlan:
    """Return the plan of `plan_facts`, which have been through JSON.

    Raises:
        Exception: of any kind, where the facts do not describe a plan.
    """
    plan = SweepPlan(
        tuple(facts["axes"]),
        tuple(Config(**setting) for setting in facts["settings"]),
        np.asarray(facts["key_data"], np.uint32).reshape(-1, 2),
        int(facts["num_episodes"]),
        np.asarray(facts["goals"], np.int64),
        facts["equal_within"] if facts["equal_within"] is None else float(facts["equal_within"]),
    )
    fits = plan.goals.size and plan.goals.shape == (len(plan.configs), plan.num_seeds)
    # Whatever else may be wrong is not what would be written of this plan.
    if not fits or plan_facts(plan) != json_value(facts):
        raise ValueError("its plan is none")
    return plan


def make_settings(config: Config, axes: Axes, zipped: bool) -> list[Config]:
    """Return `config` with each combination of values, the last field varying fastest.

    Zipped: with the first values of all fields, then with the second, ...

    Raises:
        ValueError: a field does not exist, has no value, or, zipped, not as many as the others; a
            value does not fit its field, or two of a combination exclude each other; two settings
            are equal, or there are too many.
    """
    if not isinstance(axes, Mapping):
        raise ValueError(f"the axes are lists of values by field, not {axes!r}")
    for name, values in axes.items():
        require_field(name)
        if isinstance(values, str) or not isinstance(values, Sequence):
            raise ValueError(f"{name} needs a list of values, not {values!r}")
        if not len(values):
            raise ValueError(f"the grid is empty: {name} has no value")
    lengths = {name: len(values) for name, values in axes.items()}
    if zipped and len(set(lengths.values())) > 1:
        found = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise ValueError(f"zipped fields need equally many values, but {found}")
    number = max(lengths.values(), default=1) if zipped else math.prod(lengths.values())
    if number > _MOST_SETTINGS:
        raise ValueError(f"a sweep has at most {_MOST_SETTINGS:,} settings, not {number:,}")
    settings: dict[Config, None] = {}
    combine = zip if zipped and axes else itertools.product
    for values in combine(*axes.values()):
        plain = (value.item() if getattr(value, "ndim", None) == 0 else value for value in values)
        setting = with_fields(config, dict(zip(axes, plain, strict=True)))
        if setting in settings:
            same = ", ".join(f"{name}={get_field(setting, name)}" for name in axes)
            raise ValueError(f"duplicate setting: {same}")
        settings[setting] = None
    return list(settings)


def require_field(name: str) -> None:
    """Raise ValueError unless the configuration has a field of that name."""
    if name == "env_params":
        raise ValueError("sweep one parameter of the environment: env_params.NAME")
    if name not in FIELD_KINDS and not name.startswith(ENV_PARAM):
        raise ValueError(f"there is no field {name!r} to sweep{field_hint(name)}")


def log_range(low: float, high: float, num: int) -> list[float]:
    """Return `num` numbers from `low` to `high`, both included, evenly spaced on a log scale.

    Raises:
        ValueError: an end is not above 0, or there are fewer than two numbers or too many.

    Example:
        >>> from purejaxrl_reinforce import log_range
        >>> log_range(1, 100, 3)
        [1.0, 10.0, 100]
    """
    if not (0 < low < math.inf and 0 < high < math.inf):
        raise ValueError(f"a log range needs ends above 0, not {low} and {high}")
    if not isinstance(num, int) or not 2 <= num <= _MOST_SETTINGS:
        raise ValueError(f"a log range needs between 2 and {_MOST_SETTINGS:,} values, not {num}")
    return [*(low * (high / low) ** (i / (num - 1)) for i in range(num - 1)), high]


def key_data_of(keys: jax.Array | Sequence[int] | int, num_settings: int) -> np.ndarray:
    """Return the data of the keys, [seed, ...] uint32."""
    keys = range(keys) if isinstance(keys, int) else keys
    if not hasattr(keys, "__len__"):
        raise ValueError(f"keys must be a number, whole numbers or typed keys, not {keys!r}")
    if isinstance(keys, jax.Array) and (keys.ndim != 1 or keys.dtype != jax.random.key(0).dtype):
        raise ValueError("keys must be typed keys [seed] of jax's default kind: jax.random.split")
    if not len(keys):
        raise ValueError("a sweep needs at least 1 seed")
    _require_few(num_settings, len(keys))
    if not isinstance(keys, jax.Array):
        keys = jax.vmap(jax.random.key)(np.array(list(map(checked_seed, keys)), np.uint32))
    data = np.asarray(jax.random.key_data(keys))
    if len(np.unique(data, axis=0)) < len(data):
        raise ValueError("duplicate seed")
    return data


def _require_few(num_settings: int, num_seeds: int) -> None:
    if (number := num_settings * num_seeds) > _MOST_AGENTS:
        raise ValueError(f"a sweep has at most {_MOST_AGENTS:,} agents, not {number:,}")


def require_room(plan: SweepPlan) -> None:
    """Raise ValueError if results do not fit into memory, once as arrays and once in a table."""
    metrics = max(config.num_updates for config in plan.configs) * _METRICS_BYTES
    rows = len(plan.configs) * plan.num_seeds
    needed = 2 * rows * (metrics + 4 * plan.num_episodes)
    free = psutil.virtual_memory().available
    if needed > free:
        raise ValueError(
            f"the results do not fit into memory: they need {needed / 1e9:,.1f} GB and"
            f" {free / 1e9:,.1f} GB are free; sweep fewer"
        )
