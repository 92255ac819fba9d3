"""Two real processes on one machine train together: same bits, one voice, one end."""

import signal
import socket
import time

import jax
import pytest

from purejaxrl_reinforce.execution.distributed import connect
from tests.support.processes import LOST, Command, free_port, num_rows, pair, wait_for_rows
from tests.support.runs import assert_same_run, error_of

RUN = ["--num-envs", 8, "--num-steps", 40, "--hidden-sizes", 8, "--num-updates", 200, "--seed", 3]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """One process with as many devices as two processes have together."""
    directory = tmp_path_factory.mktemp("undisturbed")
    arguments = ["train", *RUN, "--run-dir", directory / "run", "--quiet"]
    assert Command(*arguments, directory=directory, devices=2).wait() == (0, "", "")
    return directory / "run"


@pytest.fixture
def outputs(tmp_path_factory):
    """A directory for what processes print, outside of the test's own."""
    return tmp_path_factory.mktemp("outputs")


def test_sigterm_to_one_stops_both_at_one_update(tmp_path, undisturbed, outputs):
    path = tmp_path / "run"
    with pair("train", *RUN, "--run-dir", path, "--quiet", directory=outputs) as both:
        wait_for_rows(both[0], path, 3)
        both[1].send_signal(signal.SIGTERM)
        code, output, errors = both[0].wait()
        assert both[1].wait() == (143, "", "")
    update = num_rows(path)
    assert (code, output) == (143, "")
    assert errors.startswith(f"interrupted by SIGTERM after update {update}; saved {path}")
    assert errors.count("\n") == 1
    assert update < 200
    assert (path / "checkpoints" / f"{update:09}.npz").is_file()
    resumed = Command("train", "--resume", path, "--quiet", directory=outputs, devices=2)
    assert resumed.wait() == (0, "", "")
    assert_same_run(path, undisturbed)


# The coordinator is in process 0, without which jax aborts the other one.
@pytest.mark.parametrize("whom", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_one_is_killed(whom, tmp_path, undisturbed, outputs):
    """The other ends soon; a rerun, of one process or of SLURM's two, is the same."""
    path = tmp_path / "run"
    arguments = ["train", *RUN, "--checkpoint-every", 20, "--run-dir", path, "--quiet"]
    with pair(*arguments, directory=outputs) as both:
        wait_for_rows(both[0], path, 30)
        both[whom].kill()
        killed = time.monotonic()
        code, output, errors = both[1 - whom].wait()
        assert time.monotonic() - killed < 60
    assert output == ""
    assert code in ((1, -signal.SIGABRT) if whom == 0 else (1,))
    assert code < 0 or LOST in errors
    assert num_rows(path) < 200
    if whom == 0:
        with pair("train", "--resume", path, "--quiet", directory=outputs, cluster=True) as both:
            assert [process.wait() for process in both] == [(0, "", "")] * 2
    else:
        again = Command("train", "--resume", path, "--quiet", directory=outputs, devices=2)
        assert again.wait() == (0, "", "")
    assert "resumed after update" in (path / "run.log").read_text()
    assert_same_run(path, undisturbed)


@pytest.mark.parametrize(
    ("command", "of_the_second", "message"),
    [
        ("train --num-envs 7 --quiet", "", "num_envs=7 is not divisible by 2 processes; try num_"),
        ("train", "--seed 7", "seed is not given in process 0 and 7 in process 1; give all"),
    ],
)
def test_bad_input_is_refused_by_both_and_said_by_one(command, of_the_second, message, outputs):
    with pair(*command.split(), directory=outputs, second=of_the_second.split()) as both:
        silent, (code, output, error) = sorted(process.wait() for process in both)
    assert silent == (code, output, "") == (2, "", "")
    assert error.startswith(f"error: {message}")
    assert error.count("\n") == 1
    assert {path.suffix for path in outputs.iterdir()} == {".out", ".err"}


UNREACHABLE = """
import sys
from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.execution import distributed
distributed.CONNECT_SECONDS, distributed.PATIENCE_SECONDS = 4, 1
sys.exit(main(sys.argv[1:]))
"""


def test_a_process_that_never_comes_is_waited_for_aloud(tmp_path, outputs):
    address = f"127.0.0.1:{free_port()}"
    options = ["--run-dir", tmp_path / "run", "--coordinator", address, "--num-processes", "3"]
    alone = Command(
        "train", *options, "--process-id", 0, directory=outputs, code=UNREACHABLE
    )  # fmt: skip
    code, _, errors = alone.wait()
    assert code != 0
    assert errors.startswith(f"waiting for 3 processes to connect at {address}\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--num-processes 2", "belong together"),
        ("--coordinator a:1 --num-processes 2", "belong together"),
        ("--coordinator a:1 --num-processes 2 --process-id 2", "below --num-processes, 2, not 2"),
        ("--coordinator a:b --num-processes 2 --process-id 0", "must be HOST:PORT, not 'a:b'"),
    ],
)
def test_wrong_options(options, message, tmp_path, capsys):
    arguments = ["train", "--run-dir", str(tmp_path / "run"), *options.split()]
    assert message in error_of(arguments, capsys)
    assert not list(tmp_path.iterdir())


def test_a_port_that_is_taken(tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        arguments = ["--coordinator", f"127.0.0.1:{port}", "--num-processes", "2"]
        arguments += ["--process-id", "0", "--run-dir", str(tmp_path / "run")]
        message = f"cannot listen on --coordinator 127.0.0.1:{port}: Address already in use\n"
        assert error_of(["train", *arguments], capsys) == message


@pytest.mark.parametrize(
    "variables", [{}, {"SLURM_NTASKS": "1"}, {"SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "1"}]
)
def test_a_process_by_itself_starts_no_coordinator(variables, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError

    monkeypatch.setattr(jax.distributed, "initialize", refuse)
    if variables:
        for name in ("JOB_ID", "STEP_NODELIST", "PROCID", "LOCALID"):
            monkeypatch.setenv(f"SLURM_{name}", "0")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    connect()
    monkeypatch.setenv("SLURM_NTASKS", "4")
    connect(num_processes=1)
