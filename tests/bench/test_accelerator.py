"""The command for a new device: stages are independent, within a budget, on a bare machine."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def report():
    return importlib.import_module("on_device.report")


def fails():
    raise RuntimeError("first line\nsecond line")


def test_a_case_that_fails_is_named_and_the_rest_goes_on(report):
    stages = [
        report.Stage("one", "?", {"broken": fails, "whole": lambda: [{"name": "a", "sps": 1.0}]}),
        report.Stage("two", "?", {"whole": lambda: [{"name": "b"}]}),
    ]
    written = []
    results = report.run_stages(stages, 60, lambda results: written.append(list(results)))
    assert results["one"]["failed"] == {"broken": "RuntimeError: first line second line"}
    assert results["one"]["rows"] == [{"case": "whole", "name": "a", "sps": 1.0}]
    assert results["two"]["rows"] == [{"case": "whole", "name": "b"}]
    assert written == [["one"], ["one", "two"]]


def test_what_the_time_did_not_suffice_for_is_named(report):
    stages = [report.Stage("one", "?", {"first": fails, "second": fails})]
    results = report.run_stages(stages, 0, lambda _: None)
    assert results["one"]["not_reached"] == ["first", "second"]
    assert results["one"]["failed"] == {}


def test_tables_hold_every_row(report):
    result = {
        "date": "today", "commit": "c0ffee", "size": "tiny",
        "versions": {"jax": "1", "python": "3"},
        "machine": {"devices": 2, "device_kind": "Abacus", "backend": "cpu"},
        "stages": {"sps": {
            "question": "how fast?", "failed": {"x": "no"}, "not_reached": ["y", "z"],
            "rows": [
                {"name": "a", "sps": 123456.7, "samples": [1]}, {"name": "b", "times": [1, 2]},
            ],
        }},
    }  # fmt: skip
    text = report.markdown(result)
    for part in (
        "2 x Abacus",
        "c0ffee",
        "| a | 123,457 |  |",
        "| b |  | 1 to 2 |",
        "x: no",
        "y, z",
    ):
        assert part in text
    assert "samples" not in text


BARE = """
import sys
absent = {"matplotlib", "orbax", "platformdirs", "psutil", "scipy", "tyro"}
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
sys.path.insert(0, sys.argv[1])
import accelerator
sys.exit(accelerator.main(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def bare_result(tmp_path_factory):
    """The directory of a result that was measured without what a bare machine lacks."""
    out = tmp_path_factory.mktemp("bare")
    arguments = ["--size", "tiny", "--stages", "roofline", "--out", str(out)]
    done = subprocess.run(
        [sys.executable, "-c", BARE, str(BENCHMARKS), *arguments],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.splitlines()[-1:]) == (0, ["no case failed"])
    return out


@pytest.mark.slow
def test_a_bare_machine_measures(bare_result):
    result = json.loads((bare_result / "accelerator.json").read_text())
    assert result["how"] == "measured"
    assert result["machine"]["backend"] == "cpu"
    assert (result["commit"] is not None) == (BENCHMARKS.parent / ".git").exists()
    (row,) = result["stages"]["roofline"]["rows"]
    assert row["matmul_flops"] > 0 < row["memory_bytes"]
    assert "| peaks | float32 |" in (bare_result / "accelerator.md").read_text()
    assert not (bare_result / "accelerator.png").exists()


@pytest.mark.slow
def test_a_picture_is_drawn_afterwards(bare_result):
    assert (
        importlib.import_module("accelerator").main(
            ["--draw", str(bare_result / "accelerator.json")]
        )
        == 0
    )
    assert (bare_result / "accelerator.png").read_bytes().startswith(PNG)


@pytest.mark.slow
def test_every_stage_runs_on_a_cpu(tmp_path):
    """What needs a GPU says so; the rest leaves rows, and correctness passes."""
    accelerator = importlib.import_module("accelerator")
    with jax.debug_key_reuse(False), jax.numpy_rank_promotion("allow"):
        assert accelerator.main(["--size", "tiny", "--minutes", "30", "--out", str(tmp_path)]) == 0
    stages = json.loads((tmp_path / "accelerator.json").read_text())["stages"]
    assert list(stages) == list(accelerator.STAGES)
    failed = {case: why for stage in stages.values() for case, why in stage["failed"].items()}
    assert set(failed) == {"kernel against XLA", "2 lanes, kernel", "CUDA graphs of loops"}
    assert all("GPU" in why for why in failed.values())
    for stage in stages.values():
        assert stage["rows"]
        assert not stage["not_reached"]
    assert all(row["passed"] for row in stages["correctness"]["rows"])
    variants = stages["variants"]["rows"]
    (recommended,) = (row for row in variants if row["name"] == "recommended")
    assert "Tuning(" in recommended["tuning"]
    assert {f"{kernel} kernel, 2 lanes" for kernel in ("rollout", "targets", "gradients")} <= {
        row["case"] for row in variants
    }
    assert (tmp_path / "accelerator.png").read_bytes().startswith(PNG)


@pytest.mark.slow
def test_ppo_learns():
    ppo = importlib.import_module("ppo")
    settings = ppo.PPOSettings(num_envs=16, num_steps=128, num_updates=50)
    with jax.debug_key_reuse(False), jax.numpy_rank_promotion("allow"):
        _, returns = jax.jit(ppo.make_ppo(settings))(jax.random.key(0))
    assert np.nanmean(returns[-5:]) > 4 * np.nanmean(returns[:3])
