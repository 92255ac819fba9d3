"""The command line as a process: Ctrl-C at its start, and output that cannot be printed."""

import os
import signal
import subprocess
import sys
import time

import pytest

from purejaxrl_reinforce.output.files import is_unfinished
from tests.support.processes import ROOT, Command, killed_at_the_end
from tests.support.runs import FILES, assert_same_run

TINY = ["--num-envs", "2", "--num-updates", "2", "--num-steps", "5", "--hidden-sizes", "2"]
# Trains for some seconds and saves often.
LONG = [
    "--num-envs", 8, "--num-steps", 40, "--hidden-sizes", 8, "--num-updates", 3_000,
    "--checkpoint-every", 500, "--quiet", "--run-dir",
]  # fmt: skip
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_NUM_CPU_DEVICES": "1"}


def shell(command, directory, **variables):
    """Run `command`, in which $program is ours; return exit code, output and errors."""
    program = f"{sys.executable} -m purejaxrl_reinforce"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, cwd=directory, timeout=300,
        env={**ENVIRONMENT, **variables, "program": program},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    directory = tmp_path_factory.mktemp("undisturbed")
    run = Command("train", *LONG, directory / "run", directory=directory)
    assert run.wait() == (0, "", "")
    return directory / "run"


@pytest.mark.parametrize(
    "seconds",
    [0.1, 2.0, *(pytest.param(x, marks=pytest.mark.slow) for x in (0.5, 1.0, 1.5, 3.0, 5.0))],
)
def test_ctrl_c_at_any_moment(seconds, tmp_path, undisturbed):
    path = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "purejaxrl_reinforce", "train", *map(str, LONG), path],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
    )  # fmt: skip
    with killed_at_the_end([process]):
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert process.returncode in (-signal.SIGINT, 130, 0), errors
    assert not any(map(is_unfinished, tmp_path.rglob("*")))
    if path.exists():
        resume = ["train", "--resume", path, "--quiet"]
        assert Command(*resume, directory=tmp_path).wait() == (0, "", "")
        assert_same_run(path, undisturbed)
    else:
        assert process.returncode == -signal.SIGINT
        assert not errors or seconds < 1  # the interpreter starts, and has its own handler


LOST = "error: not all of the output could be printed\n"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("$program --version > /dev/full", (1, "", LOST)),
        ("$program --version 2>&-", (0, "purejaxrl", "")),
        ("$program --version >&-", (0, "", "")),
        ("$program tain 2> /dev/full", (2, "", "")),
        ("set -o pipefail; (sleep 1; exec $program --version) | true", (1, "", LOST)),
    ],
)
def test_output_that_is_lost_is_no_success(command, expected, tmp_path):
    code, output, errors = shell(command, tmp_path)
    assert (code, output[: len(expected[1])], errors) == expected


def test_an_output_in_ascii_is_readable(tmp_path):
    code, output, errors = shell("$program train --help", tmp_path, PYTHONIOENCODING="ascii")
    assert (code, errors) == (0, "")
    assert "--policy-lr FLOAT" in output


def test_output_that_cannot_be_printed_costs_no_results(tmp_path):
    command = f"$program train {' '.join(TINY)} --run-dir run > /dev/full 2> /dev/full"
    assert shell(command, tmp_path) == (1, "", "")
    assert {entry.name for entry in (tmp_path / "run").iterdir()} == FILES
