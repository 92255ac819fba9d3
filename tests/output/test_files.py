"""Atomic replacement: the old file or the new one, and nothing of others touched."""

import os

import pytest

from purejaxrl_reinforce.bench.compare import load_result
from purejaxrl_reinforce.output.files import (
    LockedLog,
    atomic_write,
    is_unfinished,
    open_regular,
    remove_unfinished,
)
from purejaxrl_reinforce.output.json_text import is_json_with
from purejaxrl_reinforce.output.sealed import load_arrays, read_sealed


def names(directory):
    return {path.name for path in directory.iterdir()}


def test_a_file_is_replaced_at_the_end(tmp_path):
    path = tmp_path / "x.png"
    path.write_text("old")
    with atomic_write(path) as unfinished:
        unfinished.write_text("new")
        assert path.read_text() == "old"
        assert is_unfinished(unfinished)
        assert unfinished.suffix == ".png"
    assert path.read_text() == "new"
    assert names(tmp_path) == {"x.png"}


def test_a_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.png"
    path.write_text("old")

    def interrupted():
        with atomic_write(path) as unfinished:
            unfinished.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert names(tmp_path) == {"x.png"}


def test_files_of_others_stay(tmp_path):
    target = tmp_path / "target"
    target.write_text("theirs")
    link = tmp_path / "unfinished-x.png"
    link.symlink_to(target)
    for name in ("unfinished-notes.txt", "unfinished-", "unfinished-0123abcd.png"):
        (tmp_path / name).write_text("theirs")
    before = names(tmp_path)
    with atomic_write(tmp_path / "x.png") as unfinished:
        unfinished.write_text("mine")
    remove_unfinished(tmp_path)
    assert names(tmp_path) == before | {"x.png"}
    assert target.read_text() == "theirs"
    assert link.is_symlink()


def test_what_a_killed_process_left_is_removed(tmp_path):
    with atomic_write(tmp_path / "x.png") as unfinished:
        unfinished.write_text("left")
        name = unfinished.name
    (tmp_path / name).write_text("left")
    remove_unfinished(tmp_path)
    assert names(tmp_path) == {"x.png"}


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_only_regular_files_are_opened(make, tmp_path):
    """A pipe would wait for somebody who writes."""
    make(tmp_path / "x")
    for read in (open_regular, load_arrays, read_sealed):
        with pytest.raises(OSError, match="not a regular file"):
            read(tmp_path / "x")
    assert not is_json_with(tmp_path / "x", set())
    with pytest.raises(ValueError, match="not a regular file"):
        load_result(tmp_path / "x")


def test_a_log_is_not_written_through_a_link(tmp_path):
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "run.log").symlink_to("theirs")
    with pytest.raises(OSError, match=r"run\.log"):
        LockedLog(tmp_path / "run.log", "training")
    assert (tmp_path / "theirs").read_text() == "theirs"


def test_a_log_has_one_writer(tmp_path):
    log = LockedLog(tmp_path / "run.log", "training")
    with pytest.raises(ValueError, match="another process is training in"):
        LockedLog(tmp_path / "run.log", "training")
    log.write("a line")
    log.close()
    assert (tmp_path / "run.log").read_text().endswith(" a line\n")
