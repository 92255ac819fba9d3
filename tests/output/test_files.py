"""Atomic replacement: the old file or the new one, and nothing of others touched."""

import contextlib
import os

import pytest
from PIL import Image

from purejaxrl_reinforce.bench.result_file import load_result, write_result
from purejaxrl_reinforce.evaluation.movie import write_movie
from purejaxrl_reinforce.output import files
from purejaxrl_reinforce.output.directories import LockedDirectory, remove_unfinished
from purejaxrl_reinforce.output.sealed import load_arrays, read_sealed
from tests.support.processes import full_disk


def names(directory):
    return {path.name for path in directory.iterdir()}


def test_a_file_is_replaced_at_the_end_or_stays(tmp_path):
    path = tmp_path / "x.png"
    path.write_text("old")
    with contextlib.suppress(KeyboardInterrupt), files.atomic_write(path) as unfinished:
        unfinished.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    with files.atomic_write(path) as unfinished:
        unfinished.write_text("new")
        assert path.read_text() == "old"
        assert unfinished.suffix == ".png"
    assert path.read_text() == "new"
    assert names(tmp_path) == {"x.png"}


def test_what_a_killed_process_left_is_removed_and_files_of_others_stay(tmp_path):
    (tmp_path / "target").write_text("theirs")
    (tmp_path / "unfinished-x.png").symlink_to("target")
    for name in ("unfinished-notes.txt", "unfinished-", "unfinished-0123abcd.png"):
        (tmp_path / name).write_text("theirs")
    before = names(tmp_path)
    with files.atomic_write(tmp_path / "x.png") as unfinished:
        unfinished.write_text("mine")
    unfinished.write_text("left")
    assert files.is_unfinished(unfinished)
    remove_unfinished(tmp_path)
    assert names(tmp_path) == before | {"x.png"}
    assert (tmp_path / "target").read_text() == "theirs"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_only_regular_files_are_opened(make, tmp_path):
    """A pipe would wait for somebody who writes."""
    make(tmp_path / "x")
    with pytest.raises(OSError, match="not a regular file"):
        files.open_regular(tmp_path / "x")
    for read in (load_arrays, read_sealed, load_result):
        with pytest.raises(ValueError, match="not a regular file"):
            read(tmp_path / "x")


def test_a_log_has_one_writer_and_follows_no_link(tmp_path):
    locked = LockedDirectory(tmp_path, "run.log", "training")
    locked.lock()
    with pytest.raises(ValueError, match="another process is training in"):
        LockedDirectory(tmp_path, "run.log", "training").lock()
    locked.log("a line")
    locked.close()
    assert (tmp_path / "run.log").read_text().endswith(" a line\n")
    (tmp_path / "link.log").symlink_to("run.log")
    with pytest.raises(OSError, match=r"link\.log"):
        LockedDirectory(tmp_path, "link.log", "training").lock()


def test_a_file_is_replaced_only_with_force(tmp_path):
    path = tmp_path / "a.svg"
    path.touch()
    with pytest.raises(ValueError, match=r"a.svg exists; choose another `out`, or `force`$"):
        files.new_file(path, path, (".svg",))
    assert files.new_file(None, path, (".svg",)) == tmp_path / "a-2.svg"
    path.write_text(f"<!-- {files.MARK} -->")
    for out in (path, None):
        assert files.new_file(out, path, (".svg",), force=True) == path
    (tmp_path / "b.svg").mkdir()
    with pytest.raises(ValueError, match=r"b.svg was not written by this command"):
        files.new_file(tmp_path / "b.svg", path, (".svg",), force=True)


def test_on_a_full_disk_nothing_is_cut_and_ffmpeg_is_silent(tmp_path, capfd):
    with full_disk(100), pytest.raises(ValueError, match="File too large"):
        write_result(tmp_path / "bench.json", {"samples": list(range(1000))})
    for suffix in (".gif", ".mp4"):
        frames = (Image.effect_noise((64, 64), 99).convert("RGB") for _ in range(200))
        with full_disk(1000), pytest.raises(ValueError, match="cannot write"):
            write_movie(tmp_path / f"movie{suffix}", frames, 25)
    assert not names(tmp_path)
    assert capfd.readouterr() == ("", "")
