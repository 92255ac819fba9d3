"""JSON that is valid with every number: infinities and NaN are the strings "inf", "-inf", "nan"."""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

_NON_FINITE = {str(x): x for x in (math.inf, -math.inf, math.nan)}


def dump_json(value: Any) -> str:
    """Return `value` as JSON text."""
    return json.dumps(json_value(value), indent=1, allow_nan=False) + "\n"


def parse_json(text: str | bytes) -> Any:
    """Return the value of JSON text, see `parsed`."""
    return parsed(json.loads(text))


def parsed(value: Any) -> Any:
    """Return a value of JSON in which the three strings are numbers again."""
    if isinstance(value, dict):
        return {key: parsed(x) for key, x in value.items()}
    if isinstance(value, list):
        return [parsed(x) for x in value]
    return _NON_FINITE.get(value, value) if isinstance(value, str) else value


def json_value(value: Any) -> Any:
    """Return `value` as JSON has it.

    Mappings and named tuples become objects, sequences and arrays lists.
    """
    if isinstance(value, np.ndarray | np.generic):
        return json_value(value.tolist())
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return json_value(value._asdict())
    if isinstance(value, Mapping):
        return {str(key): json_value(x) for key, x in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(x) for x in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
