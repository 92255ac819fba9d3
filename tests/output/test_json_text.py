"""JSON with non-finite numbers: valid, and the same values when parsed."""

import json
import math
from typing import NamedTuple

import numpy as np
import pytest

from purejaxrl_reinforce.output.json_text import dump_json, parse_json


class Pair(NamedTuple):
    low: float
    high: np.ndarray


def test_non_finite_numbers_are_strings_in_valid_json():
    text = dump_json({"x": [math.inf, -math.inf, math.nan, 1.5, None]})
    found = json.loads(text, parse_constant=pytest.fail)
    assert found == {"x": ["inf", "-inf", "nan", 1.5, None]}


def test_parsing_gives_the_numbers_back():
    x = {"a": [math.inf, -math.inf, 0.1, 3], "b": {"c": "information"}}
    assert parse_json(dump_json(x)) == x
    assert math.isnan(parse_json(dump_json(math.nan)))


def test_named_tuples_are_objects_and_arrays_lists():
    value = Pair(0.5, np.array([[1, np.inf]]))
    assert json.loads(dump_json(value)) == {"low": 0.5, "high": [[1, "inf"]]}
