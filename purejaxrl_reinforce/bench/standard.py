"""Standard workloads: each has a name, and computes the same wherever and whenever it runs.

They are written out in standard.toml beside this file.
"""

import tomllib
from pathlib import Path
from typing import NamedTuple

from purejaxrl_reinforce.config import Config, nearest

# Fields that change the time of a training and not what it computes: free in every workload.
FREE_FIELDS = ("engine", "platform", "block_steps", "lane_width", "block_rows")


class Standard(NamedTuple):
    """What is measured.

    Attributes:
        name: with its version.
        config: of each training.
        num_agents: that are trained side by side; 1: one, whose lanes are sharded over all devices.
        num_seeds: that are trained until the mean return of an update reaches `target`; of many
            agents, as many as these are, each through all updates and then played greedily.
        target: the mean return that solves it.
        least_solved: share of the seeds below which a result does not count.
    """

    name: str
    config: Config
    num_agents: int = 1
    num_seeds: int = 32
    target: float = 475.0
    least_solved: float = 0.9


_TABLES = tomllib.loads(Path(__file__).with_name("standard.toml").read_text())
_COMMON = _TABLES.pop("common")
# Fields that every result of a workload has to have.
FIXED_FIELDS = tuple(_COMMON)

STANDARDS = {
    name: Standard(name, **table | {"config": Config(**_COMMON | table["config"])})
    for name, table in _TABLES.items()
}


def standard(name: str) -> Standard:
    """Return a workload by its name.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in STANDARDS:
        raise ValueError(
            f"unknown workload {name!r}; there are {', '.join(STANDARDS)}{nearest(name, STANDARDS)}"
        )
    return STANDARDS[name]
