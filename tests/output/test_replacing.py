"""--force: earlier results are kept until new ones take their place, and others' files stay."""

import re

import pytest

from purejaxrl_reinforce.output.files import LockedLog, new_file, unfinished_path
from purejaxrl_reinforce.output.replacing import SetAside

OURS = re.compile(r"our\.log|data|data/\d+\.npz")


@pytest.fixture
def results(tmp_path):
    path = tmp_path / "results"
    (path / "data").mkdir(parents=True)
    for name in ("our.log", "data/1.npz", "report-2.html", unfinished_path(path / "x").name):
        (path / name).write_text("old")
    return path


def files(directory):
    return {path.relative_to(directory).as_posix() for path in directory.rglob("*")}


def test_earlier_results_come_back(results):
    before = files(results)
    replaced = SetAside(results, "our.log", OURS)
    assert not results.exists()
    replaced.restore()
    assert files(results) == before


def test_earlier_results_go_when_new_ones_are_there(results):
    replaced = SetAside(results, "our.log", OURS)
    results.mkdir()
    (results / "our.log").write_text("new")
    replaced.drop()
    replaced.restore()  # of nothing
    assert files(results.parent) == {"results", "results/our.log"}


@pytest.mark.parametrize("name", ["notes.txt", "data/notes.npz", "data/1.npz.bak", "report.txt"])
def test_files_of_others_are_named_and_stay(results, name):
    (results / name).write_text("theirs")
    before = files(results)
    with pytest.raises(ValueError, match=re.escape(f"not {results / name}")):
        SetAside(results, "our.log", OURS)
    assert files(results) == before


def test_a_directory_without_our_log_is_not_ours(results):
    (results / "our.log").unlink()
    with pytest.raises(ValueError, match="only what this command wrote"):
        SetAside(results, "our.log", OURS)


def test_a_directory_in_use_is_not_replaced(results):
    log = LockedLog(results / "our.log", "training")
    with pytest.raises(ValueError, match="another process"):
        SetAside(results, "our.log", OURS)
    log.close()
    assert results.exists()


def test_nothing_is_done_where_nothing_is(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "nowhere"):
        SetAside(tmp_path / name, "our.log", OURS).drop()
    assert files(tmp_path) == {"empty"}


def test_a_file_is_replaced_only_with_force(tmp_path):
    path = tmp_path / "a.svg"
    path.touch()
    with pytest.raises(ValueError, match=r"a.svg exists; choose another --out, or --force$"):
        new_file(path, path, (".svg",))
    assert new_file(None, path, (".svg",)) == tmp_path / "a-2.svg"
    assert new_file(path, path, (".svg",), force=True) == path
    assert new_file(None, path, (".svg",), force=True) == path


def test_a_directory_is_no_file_to_replace(tmp_path):
    (tmp_path / "a.svg").mkdir()
    with pytest.raises(ValueError, match=r"a.svg is not what this command writes"):
        new_file(tmp_path / "a.svg", tmp_path, (".svg",), force=True)
