"""Every file of one run or sweep put into another of equal shapes: no verb believes it."""

import re
import shutil

import pytest

from purejaxrl_reinforce import train_run
from tests.support.runs import TINY, contents_of, error_of
from tests.support.sweeps import OPTIONS, sweep_into

SWEEP = ["sweep", *OPTIONS, "--slice-size", "2", "--num-seeds", "2", "--hidden-sizes", "8"]
VERBS = {
    "run": {
        "evaluate": ["evaluate", "{}", "--num-episodes", "2"],
        "export": ["export", "{}"],
        "video": ["video", "{}"],
        "plot": ["plot", "{}"],
        "report": ["report", "{}"],
        "resume": ["train", "--resume", "{}", "--num-updates", "7"],
    },
    "sweep": {
        "sweep": [*SWEEP, "--policy-lr", "0.03", "--sweep-dir", "{}"],
        "extract": ["extract", "{}", "--setting", "0", "--seed", "1", "--run-dir", "{}-agent"],
        "plot": ["plot", "{}"],
        "report": ["report", "{}"],
    },
}
FILES = [
    ("run", "config.toml", VERBS["run"]),
    ("run", "params.npz", ("evaluate", "export", "video")),
    ("run", "metrics.csv", ("plot", "report", "resume")),
    ("run", "checkpoints/000000006.npz", ("resume",)),
    ("sweep", "sweep.json", VERBS["sweep"]),
    ("sweep", "slices/000000000.npz", VERBS["sweep"]),
]


@pytest.fixture(scope="module")
def pairs(finished_run, tmp_path_factory):
    """Two runs and two sweeps."""
    path = tmp_path_factory.mktemp("pairs")
    train_run(TINY, 2, path / "run")
    sweeps = [sweep_into(path / rate, [*SWEEP, "--policy-lr", rate]) for rate in ("0.01", "0.03")]
    return {"run": (finished_run, path / "run"), "sweep": sweeps}


@pytest.mark.parametrize(
    ("kind", "name", "verb"), [(kind, name, verb) for kind, name, verbs in FILES for verb in verbs]
)
def test_a_file_of_another_is_refused(kind, name, verb, pairs, tmp_path, capsys, monkeypatch):
    foreign, own = pairs[kind]
    path = shutil.copytree(own, tmp_path / kind)
    shutil.copy(foreign / name, path / name)
    before = contents_of(path)
    monkeypatch.chdir(tmp_path)
    error = error_of([part.format(path) for part in VERBS[kind][verb]], capsys)
    assert re.search("another (run|sweep)", error)
    assert contents_of(path) == before
