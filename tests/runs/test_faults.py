"""What happens to a real training process: kills, signals, full disks, rivals."""

import random
import resource
import shutil
import signal
import time

import numpy as np
import pytest

from purejaxrl_reinforce.output.files import is_unfinished
from purejaxrl_reinforce.runs.saved_run import load_run
from tests.support.processes import Command, num_rows, wait_for_rows, wait_until
from tests.support.runs import FILES, assert_same_run

# So small that saving takes most of the time: kills at random moments hit saves.
RUN = ["--num-envs", 8, "--num-steps", 40, "--hidden-sizes", 8, "--num-updates", 300, "--seed", 3]
SAVE_OFTEN = ["--checkpoint-every", 1, "--keep", 2, "--quiet"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    directory = tmp_path_factory.mktemp("undisturbed")
    arguments = ["train", *RUN, "--run-dir", directory / "run", "--quiet"]
    assert Command(*arguments, directory=directory).wait() == (0, "", "")
    return directory / "run"


@pytest.fixture
def train(tmp_path):
    """Start training in a process."""
    return lambda *arguments: Command("train", *arguments, directory=tmp_path)


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_kills_at_random_moments_change_no_bit(kills, tmp_path, undisturbed, train):
    """kill -9, each time after some progress, saves included, until the run is done."""
    path, draw = tmp_path / "run", random.Random(kills)
    during_saves = 0
    for _ in range(kills):
        started = (path / "config.toml").exists()
        process = train(
            *(["--resume", path] if started else [*RUN, "--run-dir", path]), *SAVE_OFTEN
        )
        wait_for_rows(process, path, num_rows(path) + draw.choice([0, 1, 1, 5, 11]))
        time.sleep(draw.uniform(0, 0.2))
        assert process.poll() is None, process.errors
        process.kill()
        during_saves += any(map(is_unfinished, path.glob("checkpoints/*")))
    assert train("--resume", path, "--quiet").wait() == (0, "", "")
    assert_same_run(path, undisturbed)
    assert during_saves > 0 or kills < 10


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)],
    ids=lambda s: s.name,
)
def test_a_signal_saves_and_says_where(number, tmp_path, undisturbed, train):
    path = tmp_path / "run"
    process = train(*RUN, "--run-dir", path, *SAVE_OFTEN)
    wait_for_rows(process, path, 3)
    time.sleep(random.Random(number).uniform(0, 0.1))
    process.send_signal(number)
    code, _, errors = process.wait()
    assert code == 128 + number
    assert f"interrupted by {number.name} after update {num_rows(path)}" in errors
    assert f"checkpoints/{num_rows(path):09}.npz" in errors
    assert "Traceback" not in errors
    assert {entry.name for entry in path.iterdir()} == FILES
    assert len(np.load(path / "rewards.npy")) == num_rows(path)
    assert load_run(path).params.policy
    assert f"stopped by {number.name}" in (path / "run.log").read_text()
    assert train("--resume", path, "--quiet").wait() == (0, "", "")
    assert_same_run(path, undisturbed)


def test_a_second_interruption_stops_at_once(tmp_path, train):
    """Even in the middle of an update that takes minutes."""
    log = tmp_path / "run" / "run.log"
    process = train("--num-envs", 50_000, "--hidden-sizes", 512, "--run-dir", tmp_path / "run")
    wait_until(lambda: log.exists() and "started" in log.read_text(), process)
    time.sleep(0.5)  # it is in its first update
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    code, _, errors = process.wait(timeout=5)
    assert code == 130
    assert errors.endswith("stopped at once\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_a_signal_before_there_is_something_to_save_ends_the_process(number, tmp_path, train):
    process = train("--run-dir", tmp_path / "made" / "run")
    wait_until(lambda: "compiling" in process.output, process)
    process.send_signal(number)
    code, _, errors = process.wait(timeout=5)
    assert (code, errors) == (-number, "")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("largest_file", [pytest.param(30_000, marks=pytest.mark.slow), 7_000])
def test_a_full_disk(largest_file, tmp_path, undisturbed, train):
    """Where no file may grow beyond some bytes, checkpoints fail (7,000) or metrics do."""
    path = tmp_path / "run"
    process = train(*RUN, "--run-dir", path, *SAVE_OFTEN)
    wait_for_rows(process, path, 12)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (largest_file, largest_file))
    code, _, errors = process.wait()
    assert code == 1
    assert "error: cannot write to" in errors
    assert ("warning: no checkpoint after update" in errors) == (largest_file == 7_000)
    assert "Traceback" not in errors
    assert "error: cannot write" in (path / "run.log").read_text()
    assert 12 <= num_rows(path) < 300
    assert train("--resume", path, "--quiet").wait() == (0, "", "")
    assert "resumed after update 0 of" not in (path / "run.log").read_text()
    assert_same_run(path, undisturbed)


STOPPED = """
import os, sys
from purejaxrl_reinforce.__main__ import main

number, moment, directory = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
sys.argv[1:] = sys.argv[4:]
seen = 0

def stop(event, arguments):
    global seen
    names = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir")
    # What is removed with its directory has no path.
    if event in names and (directory in str(arguments[0]) or event in names[3:]):
        seen += 1
        if seen == moment:
            os.kill(os.getpid(), number)

sys.addaudithook(stop)
code = main()
print(seen)
sys.exit(code)
"""


def whole(path):
    """Return the seed of a run of which everything is there, None where something is not."""
    try:
        run = load_run(path)
        assert len(run.metrics["update"]) == int(run.state.update)
        assert run.params.policy
    except ValueError:
        return None
    return run.seed


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=lambda s: s.name)
@pytest.mark.parametrize(
    "moment",
    [pytest.param(x, marks=() if x in (10, 54) else pytest.mark.slow) for x in range(2, 82, 4)],
)
def test_force_leaves_the_old_run_or_the_new_one(number, moment, tmp_path, finished_run):
    path = shutil.copytree(finished_run, tmp_path / "runs" / "run")
    new = ["--config", path / "config.toml", "--seed", 2, "--run-dir", path, "--quiet", "--force"]
    arguments = [int(number), moment, path.parent, "train", *new]
    code, _, errors = Command(*arguments, directory=tmp_path, code=STOPPED).wait()
    assert code in (-number, 128 + number, 0)
    assert "Traceback" not in errors
    assert whole(path) in (1, 2) or whole(path.with_name("run-replaced")) == 1
