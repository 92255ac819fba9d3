"""Damaged and foreign files of runs: what is read is what was written, or one line refuses it."""

import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest

from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.config_file import load_config
from purejaxrl_reinforce.runs.metrics_csv import MetricsFile
from purejaxrl_reinforce.runs.saved_run import load_run
from tests.support.runs import TINY, assert_same_run, error_of

LAST = "checkpoints/000000006.npz"


@pytest.fixture
def run(finished_run, tmp_path):
    """A run of TINY with a checkpoint of each update, which a test may change."""
    return shutil.copytree(finished_run, tmp_path / "run")


def damages(content):
    """One bit flipped in every 64th byte, and cuts at every 256th."""
    for i in range(0, len(content), 64):
        yield content[:i] + bytes([content[i] ^ 1 << i // 64 % 8]) + content[i + 1 :]
    for i in range(0, len(content), 256):
        yield content[:i]


READERS = {
    "config.toml": lambda path: load_run(path).config,
    "metrics.csv": lambda path: load_run(path).metrics,
    "params.npz": lambda path: load_run(path).params,
}


def bits(read):
    return [np.asarray(x).tobytes() for x in jax.tree.leaves(read)]


def read_or_refuse(read, path):
    """Return the bits that are read, None where they are refused in one line."""
    try:
        return bits(read(path))
    except ValueError as error:
        message = str(error)
    assert str(path) in message
    assert "\n" not in message
    return None


@pytest.mark.parametrize("name", READERS)
def test_damaged_files_are_read_right_or_refused(name, run):
    read, file = READERS[name], run / name
    for older in range(1, 6):
        (run / f"checkpoints/{older:09}.npz").unlink()
    right, content, refused = bits(read(run)), file.read_bytes(), 0
    for damaged in damages(content):
        file.write_bytes(damaged)
        found = read_or_refuse(read, run)
        assert found in (None, right)
        refused += found is None
    assert refused > 5


def test_a_runs_configuration_is_one_to_start_from(run, tmp_path):
    """As --config it may be edited: the checksum is a comment."""
    text = (run / "config.toml").read_text().replace("num_updates = 6", "num_updates = 2")
    (tmp_path / "edited.toml").write_text(text)
    assert load_config(tmp_path / "edited.toml") == (replace(TINY, num_updates=2), 1)


def edit(line, change):
    """Return a change of metrics.csv in one of its lines, which 0 is the header of."""

    def apply(text):
        lines = text.split(b"\n")
        lines[line] = change(lines[line])
        return b"\n".join(lines)

    return apply


METRICS = {
    "text": edit(4, lambda row: row.replace(b",", b",x", 1)),
    "NUL": edit(4, lambda row: b"\0" * len(row)),
    "a row twice": edit(4, lambda row: row + b"\n" + row),
    "a lost row": lambda text: b"\n".join(text.split(b"\n")[:4] + text.split(b"\n")[5:]),
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


def cut_checkpoints(run):
    for path in run.glob("checkpoints/*"):
        path.write_bytes(path.read_bytes()[:-9])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut_checkpoints, "no intact checkpoint in"),
        (lambda run: shutil.rmtree(run / "checkpoints"), "has results, but no checkpoint"),
        (lambda run: (run / "metrics.csv").write_text(""), "metrics.csv belongs to another run"),
        (lambda run: (run / "config.toml").write_text(""), "config.toml is damaged"),
        (lambda run: (run / LAST).write_text("[" * 100_000), None),
    ],
    ids=["all", "checkpoints", "rows", "config", "one checkpoint"],
)
def test_nothing_is_trained_from_scratch_over_results(damage, message, run, finished_run, capsys):
    damage(run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    if message is None:
        assert main(["train", "--resume", str(run), "--quiet"]) == 0
        assert_same_run(run, finished_run)
        return
    assert message in error_of(["train", "--resume", str(run), "--quiet"], capsys)
    after = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    before.pop(run / "run.log", None)
    after.pop(run / "run.log", None)
    assert after == before


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
