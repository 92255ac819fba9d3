"""Every benchmark runs at its smallest size; nothing is said about time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.mark.parametrize("name", ["cartpole", "classic"])
def test_presets(name, tmp_path):
    arguments = [name, "--seeds", "2", "--num-updates", "2", "--results", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "presets.py"), *arguments],
        capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / f"{name}.json").read_text())
    assert (report["preset"], report["seeds"]) == (name, 2)
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
