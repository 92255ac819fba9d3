"""The board: results that were submitted are sound, and the site shows them."""

import importlib.util
import json
from pathlib import Path

import pytest

from purejaxrl_reinforce.bench.result_file import load_result
from purejaxrl_reinforce.bench.verify import contradictions

ROOT = Path(__file__).parents[1]
SUBMITTED = sorted((ROOT / "benchmarks" / "board").glob("*.json"))

RESULT = {
    "benchmark": "cartpole-reinforce-v1",
    "date": "2026-11-29T12:00:00+00:00",
    "commit": "be18655" + 33 * "0" + "+changes",
    "machine": {
        "cpu": "A <b>CPU</b> | 2", "cores": 2,
        "backend": "cpu", "device_kind": "cpu", "devices": 2,
    },
    "versions": {"purejaxrl_reinforce": "0.1.0", "jax": "0.10.2", "numpy": "2.0"},
    "rows": [{"name": "environment", "sps": 3.5e7}, {"name": "training", "sps": 8.06e6}],
    "learning": {"solved_share": 1.0, "seconds_to_solve": {"median": 0.4321}},
    "energy": {"source": "RAPL", "joules_per_solved_seed": 1234.4},
}  # fmt: skip
GPU = {
    **RESULT,
    "machine": {**RESULT["machine"], "backend": "gpu", "device_kind": "NVIDIA H100", "devices": 8},
    "rows": [{"name": "training", "sps": 1e9}],
    "learning": {"solved_share": 0.25, "seconds_to_solve": {"median": "inf"}},
    "energy": None,
}


@pytest.fixture
def hook(tmp_path, monkeypatch):
    """The hook of the site, with a directory of its own for results."""
    spec = importlib.util.spec_from_file_location("board", ROOT / "docs" / "board.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    return module


@pytest.mark.parametrize("path", SUBMITTED, ids=lambda path: path.name)
def test_a_submitted_result_is_sound(path):
    result = load_result(path)
    assert not contradictions(result)
    assert len(result["commit"] or "") == 40, "not measured in a clone without changes"


def test_the_fastest_training_comes_first_and_texts_of_others_stay_texts(hook, tmp_path):
    assert hook.board() == "No result has been submitted yet."
    for name, result in {"c)<p>u": RESULT, "gpu": GPU}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(result))
    columns, _, gpu, cpu = (line.split(" | ") for line in hook.board().splitlines())
    assert len(columns) == len(gpu) == len(cpu)
    assert gpu[:3] == ["| NVIDIA H100", "8", "cartpole-reinforce-v1"]
    assert gpu[3:9] == ["", "", "1000.00", "", "25", ""]
    assert cpu[:2] == ["| A &#60;b&#62;CPU&#60;/b&#62; &#124; 2", "2"]
    assert cpu[3:9] == ["35.00", "", "8.06", "0.432", "100", "1,234 (RAPL)"]
    assert cpu[9:12] == ["purejaxrl_reinforce 0.1.0, jax 0.10.2", "be18655+changes", "2026-11-29"]
    assert cpu[12] == "[JSON](../../benchmarks/board/c%29%3Cp%3Eu.json) |"
