"""Sealed files with wrong content: fields are missing or of another type, under a checksum.

Each is read as what it says, or refused in one line.
"""

import json
import math
import shutil
import tomllib
import zlib

import numpy as np
import pytest
import tomli_w

from purejaxrl_reinforce import config_file
from purejaxrl_reinforce.runs.metrics_csv import COLUMNS
from purejaxrl_reinforce.runs.saved_run import load_run

MISSING = object()
WRONG = (MISSING, "x", math.inf, [1, "x"], 10**400, {"a": {}}, -1)
CHECKPOINT = "checkpoints/000000006.npz"


@pytest.fixture
def run(finished_run, tmp_path):
    """A run with one checkpoint, which a test may change."""
    run = shutil.copytree(finished_run, tmp_path / "run")
    for update in range(1, 6):
        (run / f"checkpoints/{update:09}.npz").unlink()
    return run


def changed(values):
    """Yield each value taken away, or of another type."""
    for name in values:
        for wrong in WRONG:
            yield {k: x for k, x in values.items() if k != name} | (
                {} if wrong is MISSING else {name: wrong}
            )


def wrong_configs(path):
    """A configuration that fits its identity."""
    values = tomllib.loads(path.read_text())
    for fields in changed(values):
        content = {k: x for k, x in fields.items() if k not in ("identity", "num_updates")}
        if fields.get("identity") == values["identity"]:
            fields["identity"] = config_file.new_identity({**content, "num_updates": None})
        text = tomli_w.dumps(fields)
        path.write_text(f"{text}{config_file._CHECKSUM}{config_file._digest(text)}\n")
        yield


def wrong_arrays(path):
    """Arrays, and fields of the JSON among them."""
    arrays = dict(np.load(path))
    for name in arrays.keys() & {"about", "facts"}:
        fields = json.loads(str(arrays[name]))
        for text in ("3", "[]", "[" * 100_000, *map(json.dumps, changed(fields))):
            np.savez(path, **arrays | {name: np.array(text)})
            yield
    for members in changed(arrays):
        texts = {k: np.array(str(x)) for k, x in members.items() if not isinstance(x, np.ndarray)}
        np.savez(path, **members | texts)
        yield


def wrong_rows(path):
    """Values of the third row."""
    owner = config_file.load_run_config(path.parent)[2]
    header, *lines = path.read_text().splitlines()
    rows = [dict(zip(COLUMNS, line.split(","), strict=False)) for line in lines]
    for row in changed(rows[2]):
        crc, sealed = zlib.crc32(owner.encode()), [header]
        for values in (*rows[:2], row, *rows[3:]):
            text = ",".join(map(str, values.values()))
            crc = zlib.crc32(text.encode(), crc)
            sealed.append(f"{text},{crc}")
        path.write_text("\n".join([*sealed, ""]))
        yield


READERS = {
    "config.toml": (wrong_configs, load_run),
    "params.npz": (wrong_arrays, lambda path: load_run(path).params),
    "metrics.csv": (wrong_rows, lambda path: load_run(path).metrics),
    CHECKPOINT: (wrong_arrays, lambda path: load_run(path).state),
}


@pytest.mark.parametrize("name", READERS)
def test_wrong_content_is_refused_in_one_line(name, run):
    change, read = READERS[name]
    refused = 0
    for _ in change(run / name):
        message = None
        try:
            read(run)
        except ValueError as error:
            message = str(error)
        if message is not None:
            refused += 1
            assert str(run) in message
            assert "\n" not in message
    assert refused > 20
