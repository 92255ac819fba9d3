"""Estimates with their uncertainty."""

from typing import Any, NamedTuple


class Interval(NamedTuple):
    """An estimate with the 95% interval around it: numbers, or arrays of one shape."""

    value: Any
    low: Any
    high: Any
