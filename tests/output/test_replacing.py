"""--force: earlier results are kept until new ones are whole, and others' files stay."""

import re
from pathlib import Path

import pytest

from purejaxrl_reinforce.output.directories import LockedDirectory, is_begun
from purejaxrl_reinforce.output.sealed import save_arrays

OURS = re.compile(r"our\.(toml|log)|data|data/\d+\.npz")


def load(path):
    if not (path / "our.toml").is_file():
        raise ValueError(f"{path} has no our.toml")
    return ("our identity",)


def replace(path):
    directory = LockedDirectory(path, "our.log", "training")
    directory.set_aside(OURS, load)
    return directory


def locked(path):
    directory = LockedDirectory(path, "our.log", "training")
    directory.lock(["our.toml"])
    return directory


@pytest.fixture
def results(tmp_path):
    path = tmp_path / "results"
    for name in (
        "our.toml", "our.log", "data/1.npz", "report-2.html", f"unfinished-{'0' * 32}",
        "tensorboard/events.out.tfevents.1.vm", "wandb/run_id.txt", "wandb/debug.log",
        "tensorboard/setting0 CartPole-v1/events.out.tfevents.1.vm",
        "wandb/offline-run-20261128_171239-35984a4d/files/requirements.txt",
    ):  # fmt: skip
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("old")
    save_arrays(path / "data/1.npz", {}, "our identity")
    (path / "wandb/latest-run").symlink_to("offline-run-20261128_171239-35984a4d")
    return path


def files(directory):
    return {path.relative_to(directory).as_posix() for path in directory.rglob("*")}


def test_earlier_results_come_back_or_go_when_new_ones_are_there(results):
    before = files(results)
    new = replace(results)
    assert not results.exists()
    new.lock(["our.toml"])
    (results / "our.toml").write_text("new")
    new.undo()
    assert files(results) == before
    new.undo()  # again, of nothing
    assert (results / "our.toml").read_text() == "old"
    new = replace(results)
    new.lock(["our.toml"])
    aside = (results.parent / "results-replaced").rename(results / "aside")
    with pytest.raises(OSError, match=r"cannot remove .*results-replaced, the replaced: .*No such"):
        new.drop_replaced()
    aside.rename(results.parent / "results-replaced")
    new.drop_replaced()
    assert files(results.parent) == {"results", "results/our.log"}
    new.undo()  # of new ones alone
    assert files(results.parent) == set()


def test_what_another_process_holds_or_has_put_in_its_place_stays(tmp_path):
    path = tmp_path / "a" / "results"
    held = locked(path)
    (path / "our.toml").write_text("theirs")
    with pytest.raises(ValueError, match="another process"):
        locked(path)
    path.rename(tmp_path / "moved")
    path.mkdir()
    (path / "our.toml").write_text("theirs")
    held.undo()
    assert files(tmp_path) == {
        "a", "a/results", "a/results/our.toml", "moved", "moved/our.log", "moved/our.toml",
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt", "data/notes.npz", "data/20261128140000.npz", "data/1.npz.bak", "report.txt",
        "data/2.npz/x", "tensorboard/notes.md", "tensorboard/mine/events.out.tfevents.1.vm",
        "wandb/run-1/x", "wandb/notes.txt",
    ],
)  # fmt: skip
def test_files_of_others_are_named_and_stay(results, name):
    (results / name).parent.mkdir(parents=True, exist_ok=True)
    (results / name).write_text("theirs")
    before = files(results)
    with pytest.raises(ValueError, match=re.escape(f"not {results / Path(name).parts[0]}")):
        replace(results)
    assert files(results) == before


def test_what_is_no_directory_of_ours_stays(results, tmp_path):
    (tmp_path / "link").symlink_to(results)
    (tmp_path / "file").touch()
    before = files(tmp_path)
    for name in ("link", "file"):
        with pytest.raises(ValueError, match=f"directories only, not .*{name}$"):
            replace(tmp_path / name)
    (results / "our.toml").unlink()
    with pytest.raises(ValueError, match=r"only output of this command: .* has no our\.toml"):
        replace(results)
    assert files(tmp_path) == before - {"results/our.toml"}


def test_a_directory_in_use_is_not_replaced(results, monkeypatch):
    held = locked(results)
    with pytest.raises(ValueError, match="another process"):
        replace(results)
    held.close()
    monkeypatch.chdir(results / "data")
    for path in (results, results / "data" / ".."):
        with pytest.raises(ValueError, match="does not replace the current directory"):
            replace(path)
    assert results.exists()


def test_nothing_is_done_where_nothing_is(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "started").mkdir()
    (tmp_path / "started" / "our.log").touch()  # of a process that was killed
    for name in ("empty", "nowhere", "started"):
        replace(tmp_path / name)
    assert files(tmp_path) == {"empty", "started", "started/our.log"}
    (tmp_path / "empty" / "our.log").symlink_to("nowhere")
    assert not is_begun(tmp_path / "empty", "our.log")
