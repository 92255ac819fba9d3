"""What happens to a real training process: kills, signals, full disks, rivals."""

import json
import os
import random
import resource
import signal
import time

import numpy as np
import pytest

from purejaxrl_reinforce.runs.load import load_run
from tests.support.processes import command, num_rows, wait_for_rows
from tests.support.runs import FILES, assert_same_run

# So small that saving takes most of the time: kills at random moments hit saves.
RUN = ["--num-envs", 8, "--num-steps", 40, "--hidden-sizes", 8, "--num-updates", 300, "--seed", 3]
SAVE_OFTEN = ["--checkpoint-every", 5, "--keep", 2, "--quiet"]
KILLS_PER_RUN = 11


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, cache):
    path = tmp_path_factory.mktemp("undisturbed") / "run"
    process = command("train", *RUN, "--run-dir", path, "--quiet", cache=cache)
    assert process.communicate(timeout=120)[1] == ""
    assert process.returncode == 0
    return path


@pytest.mark.parametrize("luck", [0, 1])
def test_kills_at_random_moments_change_no_bit(luck, tmp_path, undisturbed, cache, record_property):
    """kill -9, each time after some progress, saves included, until the run is done."""
    path, draw = tmp_path / "run", random.Random(luck)
    during_saves = 0
    for _ in range(KILLS_PER_RUN):
        arguments = (
            ["--resume", path] if (path / "config.toml").exists() else [*RUN, "--run-dir", path]
        )
        process = command("train", *arguments, *SAVE_OFTEN, cache=cache)
        wait_for_rows(process, path, num_rows(path) + draw.choice([0, 1, 1, 5, 11]))
        time.sleep(draw.uniform(0, 0.2))
        assert process.poll() is None, process.communicate()[1]
        process.kill()
        process.communicate()
        names = [entry.name for entry in path.glob("checkpoints/*")]
        during_saves += any(not n.endswith(".json") and f"{n[:9]}.json" not in names for n in names)
    process = command("train", "--resume", path, *SAVE_OFTEN, cache=cache)
    assert process.communicate(timeout=120)[1] == ""
    assert process.returncode == 0
    assert_same_run(path, undisturbed)
    record_property("kills", KILLS_PER_RUN)
    record_property("during saves", during_saves)
    assert during_saves > 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_a_signal_saves_and_says_where(number, tmp_path, undisturbed, cache):
    path = tmp_path / "run"
    process = command("train", *RUN, "--run-dir", path, *SAVE_OFTEN, cache=cache)
    wait_for_rows(process, path, 3)
    time.sleep(random.Random(number).uniform(0, 0.1))
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert f"interrupted by {number.name} after update {num_rows(path)}" in errors
    assert f"checkpoints/{num_rows(path):09}" in errors
    assert "Traceback" not in errors
    assert {entry.name for entry in path.iterdir()} == FILES
    assert len(np.load(path / "rewards.npy")) == num_rows(path)
    load_run(path)
    assert f"stopped by {number.name}" in (path / "run.log").read_text()
    process = command("train", "--resume", path, "--quiet", cache=cache)
    assert process.communicate(timeout=120)[1] == ""
    assert_same_run(path, undisturbed)


def test_a_second_interruption_stops_at_once(tmp_path):
    """Even in the middle of an update that takes minutes."""
    path = tmp_path / "run"
    process = command("train", "--num-envs", 50_000, "--hidden-sizes", 512, "--run-dir", path)
    log, deadline = path / "run.log", time.monotonic() + 120
    while not (log.exists() and "started" in log.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(1)  # it is in its first update
    process.send_signal(signal.SIGTERM)
    time.sleep(1)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=5)
    assert (process.returncode, errors) == (130, "stopped at once\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_a_signal_before_the_first_update_leaves_nothing(number, tmp_path):
    process = command("train", "--run-dir", "made/run", cwd=tmp_path)
    assert "compiling" in process.stdout.readline()
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (128 + number, "interrupted; nothing was written\n")
    assert not list(tmp_path.iterdir())


def test_two_processes_on_one_directory(tmp_path, cache):
    path = tmp_path / "run"
    long = [*RUN[:-3], 1_000_000]
    first = command("train", *long, "--run-dir", path, "--quiet", cache=cache)
    wait_for_rows(first, path, 3)
    for arguments, message in (
        (["--resume", path], f"error: another process is training in {path}\n"),
        ([*RUN, "--run-dir", path], f"error: {path} exists and is not empty; choose another"),
    ):
        second = command("train", *arguments, cache=cache)
        _, errors = second.communicate(timeout=60)
        assert second.returncode == 2
        assert errors.startswith(message)
    first.send_signal(signal.SIGTERM)
    assert "saved" in first.communicate(timeout=60)[1]
    assert first.returncode == 143


@pytest.mark.parametrize("largest_file", [30_000, 7_000])
def test_a_full_disk(largest_file, tmp_path, cache, undisturbed):
    """Where no file may grow beyond some bytes, checkpoints fail (7,000) or metrics do."""
    path = tmp_path / "run"
    process = command("train", *RUN, "--run-dir", path, *SAVE_OFTEN, cache=cache)
    wait_for_rows(process, path, 12)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (largest_file, largest_file))
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "error: cannot write to" in errors
    assert ("warning: no checkpoint after update" in errors) == (largest_file == 7_000)
    assert "Traceback" not in errors
    assert "error: cannot write" in (path / "run.log").read_text()
    assert 12 <= num_rows(path) < 300
    process = command("train", "--resume", path, cache=cache)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "resumed after update 0 of" not in (path / "run.log").read_text()
    assert_same_run(path, undisturbed)


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write to a read-only directory")
def test_a_read_only_directory(tmp_path, undisturbed, cache):
    undisturbed.chmod(0o500)
    process = command("train", "--resume", undisturbed, cache=cache)
    _, errors = process.communicate(timeout=60)
    undisturbed.chmod(0o700)
    assert process.returncode == 2
    assert errors == f"error: cannot write to {undisturbed}: Permission denied\n"


def test_manifests_are_json(undisturbed):
    (manifest,) = (undisturbed / "checkpoints").glob("*.json")
    content = json.loads(manifest.read_text())["content"]
    assert content["update"] == 300
    assert content["config"]["num_envs"] == 8
    assert content["versions"]["jax"]
