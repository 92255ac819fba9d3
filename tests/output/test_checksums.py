"""Files with checksums: what is read is what was written, or one line says that it is not."""

import json

import numpy as np
import pytest

from purejaxrl_reinforce.output.checksums import (
    load_arrays,
    read_sealed,
    save_arrays,
    write_sealed,
)

ARRAYS = {
    "a/kernel": np.arange(2000, dtype=np.float32).reshape(2, 1000),
    "count": np.asarray(3),
    "none": np.zeros((0, 2)),
    "flag": np.array([True, False]),
}


def same(left, right):
    return left.keys() == right.keys() and all(
        left[k].dtype == right[k].dtype and np.array_equal(left[k], right[k]) for k in left
    )


def damages(whole):
    for i in range(0, len(whole), 16):
        yield whole[:i] + bytes([whole[i] ^ 1 << i // 16 % 8]) + whole[i + 1 :]
        yield whole[:i]


def read_or_refuse(read, path):
    """Return what is read, None where it is refused in one line."""
    try:
        return read(path)
    except ValueError as error:
        message = str(error)
    assert message.startswith(f"{path} is damaged")
    assert "\n" not in message
    return None


def test_arrays_are_right_or_refused(tmp_path):
    path = tmp_path / "arrays.npz"
    save_arrays(path, ARRAYS)
    assert same(load_arrays(path), ARRAYS)
    for damaged in damages(path.read_bytes()):
        path.write_bytes(damaged)
        read = read_or_refuse(load_arrays, path)
        assert read is None or same(read, ARRAYS)


def test_a_file_of_numpy_alone_is_refused(tmp_path):
    np.savez(tmp_path / "arrays.npz", **ARRAYS)
    with pytest.raises(ValueError, match="checksum mismatch"):
        load_arrays(tmp_path / "arrays.npz")


def test_python_objects_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="x is an array of Python objects"):
        save_arrays(tmp_path / "arrays.npz", {"x": np.array([{}])})
    assert not any(tmp_path.iterdir())


def test_json_is_right_or_refused(tmp_path):
    path, content = tmp_path / "x.json", {"a": [1, 2.5, None, float("inf")], "b": "café" * 20}
    write_sealed(path, content)
    assert read_sealed(path) == content
    for damaged in damages(path.read_bytes()):
        path.write_bytes(damaged)
        read = read_or_refuse(read_sealed, path)
        assert read is None or read == content


@pytest.mark.parametrize(
    "text",
    ["", "[", "[" * 100_000 + "]" * 100_000, "null", "3", '{"content": 1}', '{"sha256": "0"}'],
    ids=["empty", "cut", "deep", "null", "number", "unsealed", "nothing"],
)
def test_other_json_is_refused(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"x\.json is damaged"):
        read_sealed(path)


def test_sealed_json_is_readable(tmp_path):
    write_sealed(tmp_path / "x.json", {"a": 1})
    assert json.loads((tmp_path / "x.json").read_text())["content"] == {"a": 1}
