"""Axes of a sweep: fields of the configuration, their values, and the settings they make."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from purejaxrl_reinforce.config import (
    ENV_PARAM,
    FIELD_KINDS,
    Config,
    get_field,
    nearest,
    with_fields,
)

Axes = Mapping[str, Sequence[Any]]


# More settings are not planned, let alone listed in sweep.json, within seconds.
MOST_SETTINGS = 100_000


def log_range(low: float, high: float, num: int) -> list[float]:
    """Return `num` numbers from `low` to `high`, both included, evenly spaced on a log scale.

    Raises:
        ValueError: an end is not above 0, or there are fewer than two numbers or too many.
    """
    if not (0 < low < math.inf and 0 < high < math.inf):
        raise ValueError(f"a log range needs ends above 0, not {low} and {high}")
    if not isinstance(num, int) or not 2 <= num <= MOST_SETTINGS:
        raise ValueError(f"a log range needs between 2 and {MOST_SETTINGS:,} values, not {num}")
    return [*(low * (high / low) ** (i / (num - 1)) for i in range(num - 1)), high]


def require_field(name: str) -> None:
    """Raise ValueError unless the configuration has a field of that name."""
    if name == "env_params":
        raise ValueError("sweep one parameter of the environment: env_params.NAME")
    if name not in FIELD_KINDS and not name.startswith(ENV_PARAM):
        raise ValueError(f"there is no field {name!r} to sweep{nearest(name, FIELD_KINDS)}")


def num_settings(axes: Axes, zipped: bool) -> int:
    """Return how many settings `axes` make, without making them.

    Raises:
        ValueError: a field does not exist, has no value, or, zipped, not as many as the others.
    """
    for name, values in axes.items():
        require_field(name)
        if isinstance(values, str) or not isinstance(values, Sequence):
            raise ValueError(f"{name} needs a list of values, not {values!r}")
        if not len(values):
            raise ValueError(f"the grid is empty: {name} has no value")
    if not zipped:
        return math.prod(len(values) for values in axes.values())
    lengths = {name: len(values) for name, values in axes.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise ValueError(f"zipped fields need equally many values, but {found}")
    return next(iter(lengths.values()), 1)


def make_settings(config: Config, axes: Axes, zipped: bool) -> list[Config]:
    """Return `config` with each combination of values, the last field varying fastest.

    Args:
        config: what all settings share.
        axes: values by field. None of them: `config` alone.
        zipped: take the first values together, then the second, ..., instead of all combinations.

    Raises:
        ValueError: a value does not fit its field, or two of a combination exclude each other; or
            two settings are equal.
    """
    num_settings(axes, zipped)
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
    if zipped and axes:
        return zip(*axes.values(), strict=True)
    return itertools.product(*axes.values())
