"""Faults of jax's versions that bear on this package, listed in known_faults.toml."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import jaxlib

from purejaxrl_reinforce.algorithm.blocks import tuning
from purejaxrl_reinforce.config import Config


class Fault(NamedTuple):
    """A fault of one version of jaxlib on one kind of device, and its remedy.

    `issue` is its report, as jax#39103: issue 39103 of github.com/jax-ml/jax. Programs that take
    `rows` or more at once may meet it.
    """

    issue: str
    jaxlib: str
    platform: str
    rows: int
    effect: str
    remedy: str


FAULTS = [
    Fault(issue, **fields)
    for issue, fields in tomllib.loads(Path(__file__).with_suffix(".toml").read_text()).items()
]


def known_faults() -> list[Fault]:
    """Return the faults of the installed version on the devices that jax sees."""
    platforms = {device.platform for device in jax.devices()}
    return [x for x in FAULTS if x.jaxlib == jaxlib.__version__ and x.platform in platforms]


def warnings_for(*configs: Config) -> Iterator[str]:
    """Yield a line for each known fault that training one of these would meet.

    Agents of a sweep do not add up: their products are batched, which was right in all sizes tried.
    """
    shapes = [(config.num_envs, tuning(config)) for config in configs]
    rows = max(max(x.block_rows, min(lanes, x.lane_width)) for lanes, x in shapes)
    for fault in known_faults():
        if rows >= fault.rows:
            yield f"jaxlib {fault.jaxlib} ({fault.issue}): {fault.effect}; {fault.remedy}"
