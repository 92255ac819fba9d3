"""Every benchmark runs at its smallest size; nothing is said about time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from purejaxrl_reinforce.compare import load_report

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


TINY = {
    "throughput": ["--lanes", "2", "--steps", "4", "--num-updates", "2", "--repeats", "1"],
    "scaling": [
        *("--lanes", "2", "--seeds", "1", "--devices", "1", "--device-lanes", "2"),
        *("--num-updates", "2", "--repeats", "1"),
    ],
    "time_to_solve": ["--lanes", "2", "--seeds", "2", "--num-updates", "2"],
    "roofline": ["--lanes", "2", "--num-updates", "2", "--repeats", "1"],
}


def run(script, *arguments):
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / f"{script}.py"), *arguments],
        capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["cartpole", "classic"])
def test_presets(name, tmp_path):
    done = run("presets", name, "--seeds", "2", "--num-updates", "2", "--results", str(tmp_path))
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / f"{name}.json").read_text())
    assert (report["preset"], report["seeds"]) == (name, 2)
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", TINY)
def test_benchmarks_leave_a_report_and_a_picture(name, tmp_path):
    done = run(name, *TINY[name], "--results", str(tmp_path))
    assert done.returncode == 0, done.stderr
    report = load_report(tmp_path / f"{name}.json")
    assert report["benchmark"] == name
    assert report["rows"]
    for row in report["rows"]:
        assert row["samples"]
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    if name == "time_to_solve":  # two updates solve nothing: infinite, not left out
        assert report["rows"][0]["samples"] == ["inf", "inf"]
        assert report["rows"][0]["quartiles"] == ["inf"] * 3


def test_bad_input_is_one_line():
    done = run("time_to_solve", "--seeds", "0")
    assert (done.returncode, done.stderr) == (2, "error: seeds must be at least 1, not 0\n")
