"""Sealed files: what is read is what was written by this owner, or one line says that it is not."""

import json
import math
from typing import NamedTuple

import ml_dtypes
import numpy as np
import pytest

from purejaxrl_reinforce.output import sealed
from purejaxrl_reinforce.output.json_text import dump_json, parse_json

ARRAYS = {
    "a/kernel": np.arange(40, dtype=np.float32).reshape(2, 20),
    "count": np.asarray(3),
    "none": np.zeros((0, 2)),
    "flag": np.array([True, False]),
    "small": np.array([1.5, -2], dtype=ml_dtypes.bfloat16),
}
CONTENT = {"a": [1, 2.5, None, float("inf")], "b": "café"}


def same(left, right):
    return left.keys() == right.keys() and all(
        left[k].dtype == right[k].dtype and np.array_equal(left[k], right[k]) for k in left
    )


def damages(whole, bits):
    """One bit of each byte flipped, or all eight in turn, and cuts."""
    for i in range(len(whole)):
        for bit in range(i % 8, i % 8 + bits):
            yield whole[:i] + bytes([whole[i] ^ 1 << bit % 8]) + whole[i + 1 :]
    for i in range(0, len(whole), 16):
        yield whole[:i]


def read_or_refuse(read, path, damaged):
    """Return what is read, None where it is refused in one line."""
    path.write_bytes(damaged)
    try:
        return read(path)
    except ValueError as error:
        message = str(error)
    assert message.startswith(str(path))
    assert "\n" not in message
    return None


@pytest.mark.parametrize("bits", [1, pytest.param(8, marks=pytest.mark.slow)])
def test_a_flipped_bit_is_found_or_harmless(bits, tmp_path):
    arrays, content = {name: ARRAYS[name] for name in ("small", "flag")}, tmp_path / "x.json"
    path, refused = tmp_path / "arrays.npz", 0
    sealed.save_arrays(path, arrays, "me")
    for damaged in damages(path.read_bytes(), bits):
        read = read_or_refuse(lambda path: sealed.load_arrays(path, "me"), path, damaged)
        assert read is None or same(read, arrays)
        refused += read is None
    assert refused > 200
    sealed.write_sealed(content, CONTENT, "me")
    for damaged in damages(content.read_bytes(), bits):
        assert read_or_refuse(sealed.read_sealed, content, damaged) in (None, (CONTENT, "me"))


def test_a_header_that_says_less_is_found(tmp_path):
    """NumPy reads no further, and a wrong CRC only shows at the end of a member."""
    path = tmp_path / "arrays.npz"
    sealed.save_arrays(path, {"x": np.zeros(20_000)}, "me")
    path.write_bytes(path.read_bytes().replace(b"(20000,)", b"(10000,)"))
    with pytest.raises(sealed.DamagedError, match="checksum mismatch in x"):
        sealed.load_arrays(path, "me")


def test_arrays_of_all_kinds_come_back(tmp_path):
    sealed.save_arrays(tmp_path / "arrays.npz", ARRAYS, "me")
    for owner in ("me", None):
        assert same(sealed.load_arrays(tmp_path / "arrays.npz", owner), ARRAYS)


def test_arrays_of_another_owner_are_refused(tmp_path):
    sealed.save_arrays(tmp_path / "arrays.npz", ARRAYS, "me")
    with pytest.raises(ValueError, match=r"arrays\.npz belongs to another run or sweep$"):
        sealed.load_arrays(tmp_path / "arrays.npz", "you")


@pytest.mark.parametrize(
    "text",
    ["", "[", "null", "3", '{"content": 1}', '{"sha256": "0"}', "[" * 100_000],
    ids=["empty", "cut", "null", "number", "unsealed", "nothing", "deep"],
)
def test_other_json_is_refused(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(sealed.DamagedError, match=r"x\.json is damaged"):
        sealed.read_sealed(path)


class Pair(NamedTuple):
    low: float
    high: np.ndarray


def test_json_is_valid_with_any_number(tmp_path):
    value = {"x": Pair(0.5, np.array([[1, np.inf]])), "y": [-math.inf, math.nan, "information"]}
    sealed.write_sealed(tmp_path / "x.json", value, "me")
    found = json.loads((tmp_path / "x.json").read_text(), parse_constant=pytest.fail)["content"]
    assert found == {"x": {"low": 0.5, "high": [[1, "inf"]]}, "y": ["-inf", "nan", "information"]}
    low, middle, word = parse_json(dump_json(value))["y"]
    assert (low, word, math.isnan(middle)) == (-math.inf, "information", True)
