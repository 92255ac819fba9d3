"""The verb `sweep` as its users meet it."""

import re
import signal
from types import SimpleNamespace

import numpy as np
import pytest

from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.execution import memory
from purejaxrl_reinforce.sweeps import population
from purejaxrl_reinforce.sweeps.results import load_sweep
from tests.support.processes import Command, wait_until
from tests.support.runs import error_of
from tests.support.sweeps import TINY, slices_of, sweep_into


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--axis", "policy_lr=0.1,0.2", "--axis", "gamma=0.9", "--zip"], "equally many values"),
        (["--axis", "env=CartPole-v1,CartPole-v9"], "CartPole-v9"),
        (["--num-seeds", "10", "--seed", "4294967290"], "seed must lie between 0 and 4294967295"),
        (["--width", "0"], "width must be at least 1 agent, not 0"),
        (["--episodes", "0"], "at least 1 episode, not 0"),
        (["--num-seeds", "4000000000"], "at most 1,000,000 agents, not 4,000,000,000"),
        (["--num-seeds", "1000000", "--num-updates", "1000000"], "do not fit into memory"),
        (["--axis", "num_envs=8,1000000000000"], "num_envs must lie between"),
        (["--sweep-dir", "/dev/null/sweep"], "/dev/null"),
        (["--wandb-tags", "a"], "--wandb-tags needs --wandb"),
    ],
)
def test_bad_input(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert message in error_of(["sweep", *arguments], capsys)
    assert not any(tmp_path.iterdir())


def test_a_program_that_does_not_fit_leaves_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(memory, "free_bytes", lambda: 10**6)
    huge = SimpleNamespace(memory_bytes=2 * 10**9)
    monkeypatch.setattr(population, "Population", lambda *_: huge)
    error = error_of([*TINY, "--sweep-dir", str(tmp_path / "made" / "s")], capsys)
    assert "2.0 GB are needed" in error
    assert not any(tmp_path.iterdir())


def test_a_new_directory_for_each_sweep(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*TINY, "--seed", "3"]) == 0
    (path,) = (tmp_path / "sweeps").iterdir()
    assert path.name.startswith("CartPole-v1-")
    assert load_sweep(path).seeds == [3, 4]
    captured = capsys.readouterr()
    assert "1 setting with 2 seeds, 1 program to compile" in captured.out
    assert re.search(
        r"2/2 agents  [\d,]+ SPS  best greedy return so far [\d.]+ \(too few seeds\), 2 seeds",
        captured.err,
    )


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_signal_stops_it_and_a_rerun_finishes(number, tmp_path, capsys):
    path = tmp_path / "s"
    arguments = [*TINY, "--num-seeds", "300"]
    process = Command(*arguments, "--sweep-dir", path, directory=tmp_path)
    wait_until(lambda: slices_of(path), process)
    process.send_signal(number)
    code, _, error = process.wait()
    assert code == 128 + number, error
    assert re.search(
        rf"interrupted by {number.name}; \d+ of 300 agents are in .*s; rerun the same sweep command"
        " to finish",
        error,
    )
    assert "Traceback" not in error
    done = len(slices_of(path))
    assert 1 <= done < 150
    sweep_into(path, arguments)
    assert capsys.readouterr() == ("", "")
    assert f"{2 * done} agents already trained" in (path / "sweep.log").read_text()
    assert np.isfinite(load_sweep(path).scores).all()
