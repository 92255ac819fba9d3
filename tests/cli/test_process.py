"""The command line as a process: Ctrl-C at its start, and output that cannot be printed."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.support.processes import ROOT, Command
from tests.support.runs import FILES

TINY = ["--num-envs", "2", "--num-updates", "2", "--num-steps", "5", "--hidden-sizes", "2"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_NUM_CPU_DEVICES": "1"}


def shell(command, directory, **variables):
    """Run `command`, in which $program is ours; return exit code, output and errors."""
    program = f"{sys.executable} -m purejaxrl_reinforce"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, cwd=directory, timeout=300,
        env={**ENVIRONMENT, **variables, "program": program},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("seconds", [0.1, 1.0])
def test_ctrl_c_at_the_start_ends_it_at_once(seconds, tmp_path):
    process = Command("train", "--run-dir", tmp_path / "made" / "run", directory=tmp_path)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    code, _, errors = process.wait(timeout=20)
    assert code == -signal.SIGINT
    assert not errors or seconds < 1  # the interpreter starts, and has its own handler
    assert not (tmp_path / "made").exists()


LOST = "error: not all of the output could be printed\n"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("$program --version > /dev/full", (1, "", LOST)),
        ("$program --version 2>&-", (0, "purejaxrl", "")),
        ("$program --help >&-", (0, "", "")),
        ("$program tain 2> /dev/full", (2, "", "")),
        ("set -o pipefail; (sleep 1; exec $program --version) | true", (1, "", LOST)),
    ],
)
def test_output_that_is_lost_is_no_success(command, expected, tmp_path):
    code, output, errors = shell(command, tmp_path)
    assert (code, output[: len(expected[1])], errors) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("train --help", "--policy-lr FLOAT"),
        ("train --num-envs x", "error: --num-envs: invalid value 'x'"),
        (f"sweep {' '.join(TINY)} --num-seeds 2", "setting"),
    ],
)
def test_an_output_in_ascii_is_readable(arguments, expected, tmp_path):
    _, output, errors = shell(f"$program {arguments}", tmp_path, PYTHONIOENCODING="ascii")
    assert expected in output + errors
    assert not set("\\?") & set(output + errors)


def test_output_that_cannot_be_printed_costs_no_results(tmp_path):
    command = f"$program train {' '.join(TINY)} --run-dir run > /dev/full 2> /dev/full"
    assert shell(command, tmp_path) == (1, "", "")
    assert {entry.name for entry in (tmp_path / "run").iterdir()} == FILES
