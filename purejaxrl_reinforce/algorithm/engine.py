"""Sizes that change speed and memory but not results, with defaults for each kind of device."""

import math
from typing import NamedTuple

import jax

from purejaxrl_reinforce.config import Config


class Engine(NamedTuple):
    """How the batch of one device is cut up.

    Attributes:
        block_steps: time steps of a rollout between two looks at whether any lane is alive.
        lane_width: most lanes that a rollout plays at once; further ones are played afterwards.
        block_rows: most rows (steps of one lane) per block of the backward pass.
    """

    block_steps: int
    lane_width: int
    block_rows: int


# On a CPU a step's arrays should stay in a core's cache: see benchmarks/README.md for what was
# measured. The others have not been measured: an accelerator wants few and large operations.
DEFAULTS = {
    "cpu": Engine(block_steps=10, lane_width=1024, block_rows=1024),
    "gpu": Engine(block_steps=32, lane_width=2**20, block_rows=2**18),
    "tpu": Engine(block_steps=32, lane_width=2**20, block_rows=2**18),
}


def engine(config: Config) -> Engine:
    """Return the sizes that `config` sets, and the default device's for those that it leaves."""
    default = DEFAULTS.get(jax.default_backend(), DEFAULTS["gpu"])
    set_sizes = (config.block_steps, config.lane_width, config.block_rows)
    return Engine(*(size or usual for size, usual in zip(set_sizes, default, strict=True)))


def num_groups(num_lanes: int, lane_width: int) -> int:
    """Return into how many equal groups of at most `lane_width` lanes a rollout is cut.

    That is a power of two. Lanes that it does not divide stay in larger groups.
    """
    wanted = -(-num_lanes // lane_width)
    return math.gcd(num_lanes, 2 ** (wanted - 1).bit_length())
