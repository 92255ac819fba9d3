"""What a sweep trains: fields of the configuration with their values, settings, seeds, agents."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import psutil

from purejaxrl_reinforce.algorithm.environments import environment
from purejaxrl_reinforce.algorithm.state import Metrics
from purejaxrl_reinforce.config import (
    ENV_PARAM,
    FIELD_KINDS,
    Config,
    checked_seed,
    get_field,
    nearest,
    with_fields,
)

Axes = Mapping[str, Sequence[Any]]

# More are not planned, let alone listed in sweep.json, within seconds.
_MOST_SETTINGS = 100_000
_MOST_AGENTS = 1_000_000

_METRICS_BYTES = 4 * len(Metrics._fields) + 4  # env_steps has 8


@dataclass(frozen=True)
class SweepPlan:
    """Settings and seeds; agent `seed * num_settings + setting` trains a setting with a seed.

    Attributes:
        swept: names of the swept fields.
        configs: of each setting.
        key_data: of each seed's key, [seed, ...] uint32. Every setting gets the same keys.
        num_episodes: of each agent's greedy evaluation.
    """

    swept: tuple[str, ...]
    configs: tuple[Config, ...]
    key_data: np.ndarray
    num_episodes: int

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """The values of each swept field, in the order given."""
        values = {name: [get_field(c, name) for c in self.configs] for name in self.swept}
        return {name: tuple(dict.fromkeys(found)) for name, found in values.items()}

    @property
    def num_seeds(self) -> int:
        """Number of seeds of each setting."""
        return len(self.key_data)

    @property
    def num_agents(self) -> int:
        """Number of agents."""
        return len(self.configs) * self.num_seeds

    def config_of(self, agent: int) -> Config:
        """Return the configuration of an agent."""
        return self.configs[agent % len(self.configs)]

    def keys_of(self, agents: Sequence[int]) -> np.ndarray:
        """Return the data of the keys of agents, [agent, ...]."""
        return self.key_data[np.asarray(agents) // len(self.configs)]

    @property
    def programs(self) -> list[list[int]]:
        """The agents of each static setting, in order; each needs a program of its own.

        The first seed of all settings comes first, so that settings can be compared early.
        """
        settings: dict[Any, list[int]] = {}
        for i, config in enumerate(self.configs):
            settings.setdefault(jax.tree.structure(config), []).append(i)
        firsts = range(0, self.num_agents, len(self.configs))
        return [[first + i for first in firsts for i in equal] for equal in settings.values()]


def seed_numbers(key_data: np.ndarray) -> list[int]:
    """Return of each key its seed s, where it is `jax.random.key(s)`, else its bits."""
    return [
        sum(int(word) << 32 * i for i, word in enumerate(reversed(words)))
        for words in key_data.tolist()
    ]


def make_plan(
    config: Config, keys: jax.Array | Sequence[int], axes: Axes, zipped: bool, episodes: int
) -> SweepPlan:
    """Return the plan of a sweep; see `sweep`.

    Raises:
        ValueError: an axis, a value, a key or a number is wrong.
    """
    if episodes < 1:
        raise ValueError(f"the evaluation needs at least 1 episode, not {episodes}")
    configs = make_settings(config, axes, zipped)
    key_data = _key_data(keys, len(configs))
    configs = [environment.checked(c) if c.env_params else c for c in configs]
    plan = SweepPlan(tuple(axes), tuple(configs), key_data, episodes)
    for agents in plan.programs:
        environment.checked(plan.config_of(agents[0]))
    return plan


def make_settings(config: Config, axes: Axes, zipped: bool) -> list[Config]:
    """Return `config` with each combination of values, the last field varying fastest.

    Zipped: with the first values of all fields, then with the second, ...

    Raises:
        ValueError: a field does not exist, has no value, or, zipped, not as many as the others; a
            value does not fit its field, or two of a combination exclude each other; two settings
            are equal, or there are too many.
    """
    settings: dict[Config, None] = {}
    for values in _combinations(axes, zipped):
        plain = (value.item() if getattr(value, "ndim", None) == 0 else value for value in values)
        setting = with_fields(config, dict(zip(axes, plain, strict=True)))
        if setting in settings:
            same = ", ".join(f"{name}={get_field(setting, name)}" for name in axes)
            raise ValueError(f"duplicate setting: {same}")
        settings[setting] = None
    return list(settings)


def _combinations(axes: Axes, zipped: bool) -> Iterator[tuple[Any, ...]]:
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
    return (
        zip(*axes.values(), strict=True) if zipped and axes else itertools.product(*axes.values())
    )


def require_field(name: str) -> None:
    """Raise ValueError unless the configuration has a field of that name."""
    if name == "env_params":
        raise ValueError("sweep one parameter of the environment: env_params.NAME")
    if name not in FIELD_KINDS and not name.startswith(ENV_PARAM):
        raise ValueError(f"there is no field {name!r} to sweep{nearest(name, FIELD_KINDS)}")


def log_range(low: float, high: float, num: int) -> list[float]:
    """Return `num` numbers from `low` to `high`, both included, evenly spaced on a log scale.

    Raises:
        ValueError: an end is not above 0, or there are fewer than two numbers or too many.
    """
    if not (0 < low < math.inf and 0 < high < math.inf):
        raise ValueError(f"a log range needs ends above 0, not {low} and {high}")
    if not isinstance(num, int) or not 2 <= num <= _MOST_SETTINGS:
        raise ValueError(f"a log range needs between 2 and {_MOST_SETTINGS:,} values, not {num}")
    return [*(low * (high / low) ** (i / (num - 1)) for i in range(num - 1)), high]


def _key_data(keys: jax.Array | Sequence[int], num_settings: int) -> np.ndarray:
    """Return the data of the keys, [seed, ...] uint32."""
    if isinstance(keys, jax.Array) and (keys.ndim != 1 or keys.dtype != jax.random.key(0).dtype):
        raise ValueError("keys must be typed keys [seed] of jax's default kind: jax.random.split")
    if not len(keys):
        raise ValueError("a sweep needs at least 1 seed")
    if (number := num_settings * len(keys)) > _MOST_AGENTS:
        raise ValueError(f"a sweep has at most {_MOST_AGENTS:,} agents, not {number:,}")
    if not isinstance(keys, jax.Array):
        keys = jax.vmap(jax.random.key)(np.array(list(map(checked_seed, keys)), np.uint32))
    data = np.asarray(jax.random.key_data(keys))
    if len(np.unique(data, axis=0)) < len(data):
        raise ValueError("duplicate seed")
    return data


def require_room(plan: SweepPlan) -> None:
    """Raise ValueError if results do not fit into memory, once as arrays and once in a table."""
    metrics = max(config.num_updates for config in plan.configs) * _METRICS_BYTES
    needed = 2 * plan.num_agents * (metrics + 4 * plan.num_episodes)
    free = psutil.virtual_memory().available
    if needed > free:
        raise ValueError(
            f"the results do not fit into memory: they need {needed / 1e9:,.1f} GB and"
            f" {free / 1e9:,.1f} GB are free; sweep fewer"
        )
