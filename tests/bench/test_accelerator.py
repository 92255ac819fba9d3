"""The command for a new device: cases are independent of each other, and run on a CPU too."""

import importlib
import json

import jax
import pytest


@pytest.fixture(scope="module")
def accelerator():
    return importlib.import_module("accelerator")


def fails():
    raise RuntimeError("first line\nsecond line")


def test_a_case_that_fails_is_named_and_the_rest_goes_on(accelerator):
    written = []
    cases = {"broken": fails, "whole": lambda: [{"name": "a", "sps": 1.0}]}
    rows = []
    missing = accelerator.run_cases(cases, rows, 60, lambda r, m: written.append((len(r), list(m))))
    assert missing == {"broken": "RuntimeError: first line second line"}
    assert rows == [{"case": "whole", "name": "a", "sps": 1.0}]
    assert written == [(0, ["broken", "whole"]), (1, ["broken"])]


@pytest.mark.slow
def test_every_case_runs_on_a_cpu(accelerator, tmp_path):
    """What needs a GPU says so; the rest leaves rows, and correctness passes."""
    with jax.debug_key_reuse(False), jax.numpy_rank_promotion("allow"):
        accelerator.main(minutes=30, tiny=True, results=tmp_path)
    result = json.loads((tmp_path / "accelerator.json").read_text())
    assert list(result["missing"]) == ["kernels against XLA"]
    failed = [row["failed"] for row in result["rows"] if "failed" in row]
    assert all("GPU" in why for why in [*result["missing"].values(), *failed])
    assert len(failed) == 1
    assert {row["case"] for row in result["rows"]} | set(result["missing"]) == set(
        accelerator.cases_of(accelerator.TINY)
    )
    assert all(row["passed"] for row in result["rows"] if "passed" in row)
    assert (tmp_path / "accelerator.png").read_bytes().startswith(b"\x89PNG")
    assert "| 2 lanes | xla | " in (tmp_path / "accelerator.md").read_text()
