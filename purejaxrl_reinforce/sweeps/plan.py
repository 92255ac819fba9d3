"""The plan of a sweep: settings, seeds, and the agents that they make together."""

import functools
import numbers
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import psutil

from purejaxrl_reinforce.algorithm.environments import environment
from purejaxrl_reinforce.algorithm.reinforce import state_shapes
from purejaxrl_reinforce.algorithm.state import Metrics
from purejaxrl_reinforce.config import Config, checked_seed, get_field
from purejaxrl_reinforce.execution.memory import tree_bytes
from purejaxrl_reinforce.output.files import nearest_existing
from purejaxrl_reinforce.sweeps.axes import MOST_SETTINGS, Axes, make_settings, num_settings

MOST_AGENTS = 1_000_000

# A row of the table as CSV, with a little room.
_TABLE_BYTES_PER_ROW = 250
_METRICS_BYTES = 4 * len(Metrics._fields) + 4  # env_steps has 8


@dataclass(frozen=True)
class SweepPlan:
    """Settings and seeds; agent `setting * num_seeds + seed` trains a setting with a seed.

    Attributes:
        config: what all settings share.
        axes: the swept fields and their values.
        zipped: whether values are taken together rather than in all combinations.
        key_data: of each seed's key, [seed, ...] uint32. Every setting gets the same keys.
        num_episodes: of each agent's greedy evaluation.
        configs: of each setting.
    """

    config: Config
    axes: dict[str, tuple[Any, ...]]
    zipped: bool
    key_data: np.ndarray
    num_episodes: int
    configs: tuple[Config, ...]

    @property
    def num_seeds(self) -> int:
        """Number of seeds of each setting."""
        return len(self.key_data)

    @property
    def seeds(self) -> list[int]:
        """Number each seed: s where its key is `jax.random.key(s)`, else the key's bits."""
        return seed_numbers(self.key_data)

    def agent_number(self, setting: int, seed: int) -> int:
        """Return the number of the agent with this setting, from 0, and seed.

        Raises:
            ValueError: there is none.
        """
        if not 0 <= setting < len(self.configs):
            last = len(self.configs) - 1
            raise ValueError(f"setting must lie between 0 and {last}, not {setting}")
        if seed not in self.seeds:
            raise ValueError(f"the sweep has no seed {seed}")
        return setting * self.num_seeds + self.seeds.index(seed)

    @property
    def num_agents(self) -> int:
        """Number of agents."""
        return len(self.configs) * self.num_seeds

    @property
    def num_updates(self) -> int:
        """Updates of the setting that has most."""
        return max(config.num_updates for config in self.configs)

    def config_of(self, agent: int) -> Config:
        """Return the configuration of an agent."""
        return self.configs[agent // self.num_seeds]

    def keys_of(self, agents: Sequence[int]) -> np.ndarray:
        """Return the data of the keys of agents, [agent, ...]."""
        return self.key_data[np.asarray(agents) % self.num_seeds]

    @functools.cached_property
    def programs(self) -> list[list[int]]:
        """Return the agents of each static setting; each needs a program of its own.

        Within each, the first seed of all settings comes first, so that settings can be compared
        early.
        """
        settings: dict[Any, list[int]] = {}
        for i, config in enumerate(self.configs):
            settings.setdefault(jax.tree.structure(config), []).append(i)
        return [
            [setting * self.num_seeds + seed for seed in range(self.num_seeds) for setting in equal]
            for equal in settings.values()
        ]


def seed_numbers(key_data: np.ndarray) -> list[int]:
    """Return of each key its seed s, where it is `jax.random.key(s)`, else its bits."""
    return [
        sum(int(word) << 32 * i for i, word in enumerate(reversed(words)))
        for words in key_data.tolist()
    ]


def make_plan(
    config: Config, keys: jax.Array | Sequence[int] | range, axes: Axes, zipped: bool, episodes: int
) -> SweepPlan:
    """Return the plan of `axes` around `config`, after checking that it can be done.

    Args:
        config: what all settings share.
        keys: typed keys [seed], or whole numbers, which stand for `jax.random.key`.
        axes: values by field: see `make_settings`.
        zipped: take values together rather than in all combinations.
        episodes: of each agent's greedy evaluation.

    Raises:
        ValueError: an axis or a value is wrong, or the results do not fit into memory.
    """
    _check_sizes(keys, num_settings(axes, zipped), episodes)
    lengths = axes.get("num_updates", [config.num_updates])
    updates = max((n for n in lengths if isinstance(n, int)), default=1)
    _require_memory(num_settings(axes, zipped) * len(keys), updates, episodes)
    configs = tuple(
        environment.checked(setting) if setting.env_params else setting
        for setting in make_settings(config, axes, zipped)
    )
    values = {
        name: tuple(dict.fromkeys(get_field(c, name) for c in configs))
        if not zipped
        else tuple(get_field(c, name) for c in configs)
        for name in axes
    }
    plan = SweepPlan(config, values, zipped, _key_data(keys), episodes, configs)
    for program in plan.programs:
        environment.checked(plan.config_of(program[0]))
    return plan


def _check_sizes(keys: jax.Array | Sequence[int] | range, settings: int, num_episodes: int) -> None:
    if isinstance(keys, jax.Array) and (
        not jax.dtypes.issubdtype(keys.dtype, jax.dtypes.prng_key) or keys.ndim != 1
    ):
        raise ValueError("keys must be typed keys of shape [seed], as of jax.random.split")
    if not len(keys):
        raise ValueError("a sweep needs at least 1 seed")
    if num_episodes < 1:
        raise ValueError(f"the evaluation needs at least 1 episode, not {num_episodes}")
    for number, what, most in (
        (settings, "settings", MOST_SETTINGS),
        (settings * len(keys), "agents", MOST_AGENTS),
    ):
        if number > most:
            raise ValueError(f"a sweep has at most {most:,} {what}, not {number:,}")


def _key_data(keys: jax.Array | Sequence[int] | range) -> np.ndarray:
    if isinstance(keys, jax.Array):
        if jax.random.key_impl(keys) != jax.random.key_impl(jax.random.key(0)):
            raise ValueError("keys must be of jax's default kind, as jax.random.key makes them")
        data = np.asarray(jax.random.key_data(keys))
    else:
        for seed in (keys[0], keys[-1]) if isinstance(keys, range) else keys:
            whole = isinstance(seed, numbers.Integral) and not isinstance(seed, bool)
            checked_seed(int(seed) if whole else seed)
        made = jax.vmap(jax.random.key)(jnp.asarray(np.asarray(keys, np.uint32)))
        data = np.asarray(jax.random.key_data(made))
    if len(np.unique(data, axis=0)) < len(data):
        raise ValueError("duplicate seed")
    return data


def require_disk(plan: SweepPlan, path: Path) -> None:
    """Raise ValueError if the files of a plan do not fit on the disk below `path`."""
    rows = plan.num_agents * plan.num_updates
    states = sum(
        len(agents) * tree_bytes(state_shapes(plan.config_of(agents[0])))
        for agents in plan.programs
    )
    existing = nearest_existing(path.absolute())
    _require_room(
        2 * _result_bytes(plan.num_agents, plan.num_updates, plan.num_episodes)
        + states
        + rows * _TABLE_BYTES_PER_ROW,
        shutil.disk_usage(existing).free,
        f"on the disk of {existing}",
    )


def _require_memory(agents: int, updates: int, episodes: int) -> None:
    """Raise ValueError if the results of so many agents do not fit into memory."""
    # Once as arrays, once in a file or a table.
    needed = 2 * _result_bytes(agents, updates, episodes)
    _require_room(needed, psutil.virtual_memory().available, "into memory")


def _result_bytes(agents: int, updates: int, episodes: int) -> int:
    return agents * (updates * _METRICS_BYTES + 4 * episodes)


def _require_room(needed: int, free: int, where: str) -> None:
    if needed > free:
        raise ValueError(
            f"the results do not fit {where}: they need {needed / 1e9:,.1f} GB and"
            f" {free / 1e9:,.1f} GB are free; sweep fewer"
        )
