"""Slices that others train: threads, processes, a Dask cluster whose workers are killed."""

import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

from purejaxrl_reinforce import sweep
from purejaxrl_reinforce.execution import machine
from purejaxrl_reinforce.sweeps.population import Job
from purejaxrl_reinforce.sweeps.results import load_sweep
from purejaxrl_reinforce.sweeps.workers import train_remotely
from tests.support.configs import TEXTBOOK
from tests.support.processes import ROOT
from tests.support.runs import error_of
from tests.support.sweeps import TINY, assert_same_results

CONFIG = TEXTBOOK.replace(num_envs=4, num_steps=40, num_updates=5, hidden_sizes=(8,))
AXES = {"policy_lr": [1e-2, 1e-1], "num_envs": [4, 6]}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The directory of a sweep that this process has trained."""
    path = tmp_path_factory.mktemp("alone") / "sweep"
    sweep(CONFIG, range(3), AXES, path=path, num_episodes=7)
    return path


def test_threads_have_the_same_bits_and_a_sweep_goes_on(alone, tmp_path):
    path = tmp_path / "sweep"
    sweep(CONFIG, range(1), AXES, path=path, num_episodes=7)
    with ThreadPoolExecutor(3) as threads:
        sweep(CONFIG, range(3), AXES, path=path, num_episodes=7, extend=True, executor=threads)
    assert_same_results(path, alone)
    assert "4 agents already trained" in (path / "sweep.log").read_text()


@pytest.mark.slow
def test_processes_have_the_same_bits(alone, tmp_path):
    path = tmp_path / "sweep"
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as executor:
        sweep(CONFIG, range(3), AXES, path=path, num_episodes=7, executor=executor, slice_size=2)
    assert_same_results(path, alone)


class Failing(Executor):
    """An executor that fails with the second slice."""

    def __init__(self, error):
        self.error, self.number = error, 0

    def submit(self, f, *args, **kwargs):
        future, self.number = Future(), self.number + 1
        if self.number > 1:
            future.set_exception(self.error)
        else:
            future.set_result(f(*args, **kwargs))
        return future


def test_workers_that_are_lost_are_said_and_what_is_finished_stays(alone, tmp_path):
    path, killed = tmp_path / "sweep", type("KilledWorker", (Exception,), {})
    for error, kind, message in (
        (ConnectionError("gone"), ConnectionError, "workers are lost: gone"),
        (killed("x"), ConnectionError, "workers are lost: x; finished slices are kept"),
        (ValueError("not enough"), ValueError, "not enough"),
    ):
        with pytest.raises(kind, match=message):
            sweep(CONFIG, range(3), AXES, path=path, num_episodes=7, executor=Failing(error))
    sweep(CONFIG, range(3), AXES, path=path, num_episodes=7)
    assert_same_results(path, alone)


def test_executors_that_are_refused(tmp_path, capsys):
    fork = ProcessPoolExecutor(1, multiprocessing.get_context("fork"))
    with pytest.raises(ValueError, match="give the executor mp_context="):
        sweep(CONFIG, range(2), executor=fork)
    settings = machine.result_settings()
    zeros = np.zeros((1, 2), np.uint32)
    job = Job(zeros, [CONFIG], zeros, 7, 1, 0, 5, None)
    with pytest.raises(ValueError, match="a worker has jax_enable_x64=False, the client True"):
        train_remotely(job, settings | {"jax_enable_x64": True})
    for address, message in (("127.0.0.1:1", "no Dask scheduler answers at"), ("x y", "no Dask")):
        arguments = [*TINY, "--sweep-dir", str(tmp_path / "s"), "--dask", address]
        assert message in error_of(arguments, capsys)
    assert not any(tmp_path.iterdir())


CLUSTER = """
import os, signal, sys, threading, time
from distributed import Client, LocalCluster
from purejaxrl_reinforce.cli.main import main

def kill(address, killed):
    with Client(address) as client:
        while len(killed) < 2:
            pids = client.run(os.getpid)
            before = client.processing()
            time.sleep(0.3)
            after = client.processing()
            for worker, pid in pids.items():
                is_amid = set(before.get(worker, ())) & set(after.get(worker, ()))
                if is_amid and pid not in killed and len(killed) < 2:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
                    time.sleep(1)

if __name__ == "__main__":
    killed = []
    with LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        killer = threading.Thread(target=kill, args=(address, killed), daemon=True)
        killer.start()
        assert main([*sys.argv[1:], "--dask", address]) == 0
        killer.join(60)
    assert len(set(killed)) == 2
    print("killed two")
"""


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_cluster_whose_workers_are_killed_has_the_same_bits(tmp_path):
    """Two of three workers die in the middle of a slice."""
    arguments = [
        "sweep", "--num-envs", "16", "--num-updates", "150", "--num-seeds", "12", "--quiet",
        "--axis", "policy_lr=0.01,0.03", "--num-episodes", "10", "--slice-size", "4",
    ]  # fmt: skip
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER)
    command = [sys.executable, str(script), *arguments, "--sweep-dir", str(tmp_path / "cluster")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert "killed two" in done.stdout, done.stderr
    alone = [sys.executable, "-m", "purejaxrl_reinforce", *arguments]
    subprocess.run([*alone, "--sweep-dir", str(tmp_path / "alone")], check=True, timeout=200,
                   env=environment)  # fmt: skip
    assert_same_results(tmp_path / "cluster", tmp_path / "alone")
    assert load_sweep(tmp_path / "cluster").trained.all()
    table = np.load(tmp_path / "cluster" / "results.npz")
    assert table["updates"].tolist() == [[150] * 12] * 2
