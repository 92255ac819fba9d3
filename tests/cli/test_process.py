"""The command line as a process: Ctrl-C at its start, and output that cannot be printed."""

import os
import signal
import subprocess
import sys
import time

import pytest

from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.output.files import is_unfinished
from tests.support.forked import ForkedCommand
from tests.support.processes import ROOT, killed_at_the_end
from tests.support.runs import FILES, assert_same_run, trained

TINY = ["--num-envs", "2", "--num-updates", "2", "--num-steps", "5", "--hidden-sizes", "2"]

INTERRUPTED = """
import os, runpy, signal, sys

_, interrupted, *sys.argv[1:] = sys.argv

class Finder:
    def find_spec(name, *_):
        if name == interrupted:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder)
runpy.run_module("purejaxrl_reinforce", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("module", ["tyro", "numpy", "jax", "optax", "gymnax"])
def test_ctrl_c_during_an_import_is_one_line(module, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, module, "train", *TINY, "--run-dir", "run"],
        capture_output=True, text=True, cwd=tmp_path, timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (130, "interrupted; nothing was written\n")
    assert not list(tmp_path.iterdir())


STARTED = """
import runpy
print("started", flush=True)
runpy.run_module("purejaxrl_reinforce", run_name="__main__", alter_sys=True)
"""
# Trains for some seconds and saves often.
LONG = [
    "--num-envs", 8, "--num-steps", 40, "--hidden-sizes", 8, "--num-updates", 3_000,
    "--checkpoint-every", 500, "--quiet", "--run-dir",
]  # fmt: skip
ALWAYS = (1.0, 3.0, 5.0)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    directory = tmp_path_factory.mktemp("undisturbed")
    run = ForkedCommand("train", *LONG, directory / "run", directory=directory)
    assert run.wait() == (0, "", "")
    return directory / "run"


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(x, marks=() if x in ALWAYS else pytest.mark.slow)
        for x in (0.25 * i for i in range(1, 41))
    ],
)
def test_ctrl_c_at_any_moment(seconds, tmp_path, undisturbed):
    path = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-c", STARTED, "train", *map(str, LONG), path],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_NUM_CPU_DEVICES": "1"},
    )  # fmt: skip
    with killed_at_the_end([process]):
        assert process.stdout.readline() == "started\n"
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors.count("\n")) in ((130, 1), (0, 0)), errors
    assert errors.startswith("interrupted") or not errors
    assert not any(map(is_unfinished, tmp_path.rglob("*")))
    assert path.exists() == (errors != "interrupted; nothing was written\n")
    if path.exists():
        resume = ["train", "--resume", path, "--quiet"]
        assert ForkedCommand(*resume, directory=tmp_path).wait() == (0, "", "")
        assert_same_run(path, undisturbed)


@pytest.fixture
def broken(monkeypatch):
    """A function that breaks a standard stream until the end of the test."""
    opened = []

    def break_stream(name, how):
        if how == "missing":
            return monkeypatch.setattr(sys, name, None)
        number = os.open("/dev/full", os.O_WRONLY)
        if how == "without a reader":
            os.close(number)
            reading, number = os.pipe()
            os.close(reading)
        opened.append(os.fdopen(number, "w"))
        return monkeypatch.setattr(sys, name, opened[0])

    yield break_stream
    monkeypatch.undo()
    for stream in opened:
        stream.close()


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    path = tmp_path_factory.mktemp("printed") / "run"
    assert main(["train", *TINY, "--run-dir", str(path)]) == 0
    return trained(path)


@pytest.mark.parametrize("how", ["full", "without a reader", "missing"])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_output_that_cannot_be_printed_costs_no_results(how, stream, printed, tmp_path, broken):
    path = tmp_path / "run"
    broken(stream, how)
    assert main(["train", *TINY, "--run-dir", str(path)]) == 1
    assert {entry.name for entry in path.iterdir()} == FILES
    (table, params), (other_table, other_params) = trained(path), printed
    assert table.equals(other_table)
    assert all((params[name] == other_params[name]).all() for name in params)


@pytest.mark.parametrize("how", ["full", "missing"])
def test_a_sweep_without_standard_output_ends(how, tmp_path, broken):
    broken("stdout", how)
    path = tmp_path / "sweep"
    assert main(["sweep", *TINY, "--num-seeds", "2", "--sweep-dir", str(path)]) == 1
    assert {"results.npz", "summary.json"} <= {entry.name for entry in path.iterdir()}


def test_what_is_not_printed_is_not_missed(tmp_path, broken):
    broken("stdout", "missing")
    assert main(["train", *TINY, "--quiet", "--run-dir", str(tmp_path / "run")]) == 0


def test_help_that_is_lost_is_no_success(broken):
    broken("stdout", "full")
    assert main(["train", "--help"]) == 1
