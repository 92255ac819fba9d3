"""Damaged and foreign files of runs: what is read is what was written, or one line refuses it."""

import json
import math
import shutil
import tomllib
import zlib
from dataclasses import replace

import jax
import numpy as np
import pytest
import tomli_w

from purejaxrl_reinforce import config_file
from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.runs.metrics_csv import COLUMNS, MetricsFile
from purejaxrl_reinforce.runs.saved_run import load_run
from tests.support.runs import TINY, assert_same_run, contents_of, error_of

LAST = "checkpoints/000000006.npz"


def state_of(run):
    state = load_run(run).state
    return state._replace(key=jax.random.key_data(state.key))


READERS = {
    "config.toml": lambda run: repr(load_run(run).config),  # whose leaves are its floats alone
    "metrics.csv": lambda run: [x := load_run(run).metrics, int(sum(x["num_episodes"]))],  # finite
    "params.npz": lambda run: load_run(run).params,
    LAST: state_of,
}


@pytest.fixture
def last(run):
    """A run with its last checkpoint alone."""
    for update in range(1, 6):
        (run / f"checkpoints/{update:09}.npz").unlink()
    return run


def read_or_refuse(name, run):
    """Return the bits that are read, None where they are refused in one line."""
    try:
        return [np.asarray(x).tobytes() for x in jax.tree.leaves(READERS[name](run))]
    except ValueError as error:
        message = str(error)
    assert str(run) in message
    assert "\n" not in message
    return None


def damages(content):
    """One bit flipped in every 64th byte, and cuts at every 256th."""
    for i in range(0, len(content), 64):
        yield content[:i] + bytes([content[i] ^ 1 << i // 64 % 8]) + content[i + 1 :]
    for i in range(0, len(content), 256):
        yield content[:i]


@pytest.mark.parametrize("name", READERS)
def test_damaged_files_are_read_right_or_refused(name, last):
    right, content, refused = read_or_refuse(name, last), (last / name).read_bytes(), 0
    assert right
    for damaged in damages(content):
        (last / name).write_bytes(damaged)
        found = read_or_refuse(name, last)
        assert found in (None, right)
        refused += found is None
    assert refused > 5


def changed(values):
    """Yield each value taken away, or of another type."""
    for name in values:
        yield {k: x for k, x in values.items() if k != name}
        for wrong in ("x", math.inf, [1, "x"], 10**400, {"a": {}}, -1):
            yield values | {name: wrong}


def wrong_configs(path):
    """A configuration under a right checksum."""
    values = tomllib.loads(path.read_text())
    for fields in changed(values):
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


CHANGES = dict(zip(READERS, (wrong_configs, wrong_rows, wrong_arrays, wrong_arrays), strict=True))


@pytest.mark.parametrize(("name", "change"), CHANGES.items())
def test_wrong_content_under_a_right_checksum_is_refused_in_one_line(name, change, last):
    refused = [read_or_refuse(name, last) for _ in change(last / name)].count(None)
    assert refused > 20


def test_a_runs_configuration_is_one_to_start_from(run, tmp_path):
    """As --config it may be edited: the checksum is a comment."""
    text = (run / "config.toml").read_text().replace("num_updates = 6", "num_updates = 2")
    (tmp_path / "edited.toml").write_text(text)
    assert config_file.load_config(tmp_path / "edited.toml") == (replace(TINY, num_updates=2), 1)


def edit_fourth(change):
    """Return a change of metrics.csv in its fourth row."""

    def apply(text):
        lines = text.split(b"\n")
        return b"\n".join([*lines[:4], *change(lines[4]), *lines[5:]])

    return apply


METRICS = {
    "text": edit_fourth(lambda row: [row.replace(b",", b",x", 1)]),
    "NUL": edit_fourth(lambda row: [b"\0" * len(row)]),
    "a row twice": edit_fourth(lambda row: [row, row]),
    "a lost row": edit_fourth(lambda row: []),
    "the last rows": lambda text: b"\n".join(text.split(b"\n")[:4]) + b"\n",
    "a torn row": lambda text: text[:-9],
}


@pytest.mark.parametrize("damage", METRICS)
def test_damaged_rows_are_refused(damage, run):
    path = run / "metrics.csv"
    path.write_bytes(METRICS[damage](path.read_bytes()))
    with pytest.raises(ValueError, match=r"metrics\.csv is damaged"):
        _ = load_run(run).metrics
    file = MetricsFile(path, load_run(run).owner)
    file.read()
    assert file.num_updates == {"a torn row": 5, "a row twice": 4}.get(damage, 3)


@pytest.mark.parametrize(("damage", "update"), [("text", 3), ("a torn row", 5)])
def test_an_older_checkpoint_resumes_where_rows_are_lost(damage, update, run, finished_run, capsys):
    path = run / "metrics.csv"
    path.write_bytes(METRICS[damage](path.read_bytes()))
    assert main(["train", "--resume", str(run), "--quiet"]) == 0
    assert f"needs more than the {update} updates that metrics.csv has" in capsys.readouterr().err
    assert f"resumed after update {update} of 6" in (run / "run.log").read_text()
    assert_same_run(run, finished_run)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: (run / LAST).write_bytes((run / LAST).read_bytes()[:-9]), "no intact check"),
        (lambda run: shutil.rmtree(run / "checkpoints"), "has results, but no checkpoint"),
        (lambda run: (run / "metrics.csv").write_text(""), "metrics.csv belongs to another run"),
        (lambda run: (run / "config.toml").write_text(""), "config.toml is damaged"),
    ],
    ids=["checkpoint", "checkpoints", "rows", "config"],
)
def test_nothing_is_trained_from_scratch_over_results(damage, message, last, capsys):
    damage(last)
    before = contents_of(last)
    assert message in error_of(["train", "--resume", str(last), "--quiet"], capsys)
    assert contents_of(last) == before


def test_files_of_others_stay(run):
    theirs = [run / name for name in ("unfinished-notes.txt", "a.txt", "checkpoints/unfinished-1")]
    theirs += [run / "checkpoints" / name for name in ("notes.txt", "best", "20261128140001.npz")]
    for path in theirs:
        path.write_text("theirs")
    (run / "checkpoints" / "20261128140000").mkdir()
    for update in (4, 5, 6):
        (run / f"checkpoints/{update:09}.npz").unlink()
    (run / "params.npz").unlink()
    assert main(["train", "--resume", str(run), "--quiet"]) == 0
    assert [path.read_text() for path in theirs] == ["theirs"] * len(theirs)
    assert (run / "checkpoints" / "20261128140000").is_dir()
