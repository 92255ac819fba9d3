"""Every file of one run or sweep put into another of equal shapes: no verb believes it."""

import shutil

import pytest

from purejaxrl_reinforce import train_run
from tests.support.runs import TINY, error_of
from tests.support.sweeps import OPTIONS, sweep_into

RUN_VERBS = {
    "evaluate": ["evaluate", "{}", "--episodes", "2"],
    "export": ["export", "{}"],
    "video": ["video", "{}"],
    "plot": ["plot", "{}"],
    "report": ["report", "{}"],
    "resume": ["train", "--resume", "{}", "--num-updates", "7"],
}
SWEEP = ["sweep", *OPTIONS, "--width", "2", "--num-seeds", "2", "--hidden-sizes", "8"]
SWEEP_VERBS = {
    "sweep": [*SWEEP, "--policy-lr", "0.03", "--sweep-dir", "{}"],
    "extract": ["extract", "{}", "--setting", "0", "--seed", "1", "--run-dir", "{}-agent"],
    "plot": ["plot", "{}"],
    "report": ["report", "{}"],
}
RUN_CASES = [
    *(("config.toml", verb) for verb in RUN_VERBS),
    *(("params.npz", verb) for verb in ("evaluate", "export", "video")),
    *(("metrics.csv", verb) for verb in ("plot", "report", "resume")),
    ("checkpoints/000000006.npz", "resume"),
]
SWEEP_CASES = [
    (name, verb) for name in ("sweep.json", "slices/000000000.npz") for verb in SWEEP_VERBS
]


@pytest.fixture(scope="module")
def another_run(tmp_path_factory):
    path = tmp_path_factory.mktemp("another") / "run"
    train_run(TINY, 2, path)
    return path


@pytest.fixture(scope="module")
def two_sweeps(tmp_path_factory):
    path = tmp_path_factory.mktemp("sweeps")
    return [sweep_into(path / rate, [*SWEEP, "--policy-lr", rate]) for rate in ("0.01", "0.03")]


def contents(path):
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file() and file.suffix != ".log"
    }


def refused(verb, path, tmp_path, capsys, monkeypatch):
    before = contents(path)
    monkeypatch.chdir(tmp_path)
    error = error_of([part.format(path) for part in verb], capsys)
    assert contents(path) == before
    return error


@pytest.mark.parametrize(("name", "verb"), RUN_CASES)
def test_a_file_of_another_run_is_refused(
    name, verb, finished_run, another_run, tmp_path, capsys, monkeypatch
):
    run = tmp_path / "run"
    shutil.copytree(another_run, run)
    (run / name).unlink()
    shutil.copy(finished_run / name, run / name)
    error = refused(RUN_VERBS[verb], run, tmp_path, capsys, monkeypatch)
    assert "another run" in error


@pytest.mark.parametrize(("name", "verb"), SWEEP_CASES)
def test_a_file_of_another_sweep_is_refused(name, verb, two_sweeps, tmp_path, capsys, monkeypatch):
    foreign, own = two_sweeps
    sweep = tmp_path / "sweep"
    shutil.copytree(own, sweep)
    shutil.copy(foreign / name, sweep / name)
    error = refused(SWEEP_VERBS[verb], sweep, tmp_path, capsys, monkeypatch)
    assert "another" in error
