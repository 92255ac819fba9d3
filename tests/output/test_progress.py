"""Progress of runs and sweeps: the board of a terminal, and plain lines without one."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from purejaxrl_reinforce import Config, TerminalReporter
from purejaxrl_reinforce.algorithm.state import Metrics
from purejaxrl_reinforce.execution.program import Chunk
from purejaxrl_reinforce.output.progress import Board
from purejaxrl_reinforce.presets import preset
from purejaxrl_reinforce.sweeps.summary import best_so_far
from tests.support.sweeps import made_up


def state(update, env_steps=0):
    return SimpleNamespace(update=jnp.int32(update), env_steps=np.array([0, env_steps]))


def chunk(returns, first=0, seconds=2.0, greedy=np.nan):
    """A chunk of as many updates as there are returns, after the first ones."""
    columns = dict.fromkeys(Metrics._fields, np.full(len(returns), 0.25))
    columns |= {"mean_return": np.array(returns), "num_steps": np.full(len(returns), 1000)}
    columns["eval_return"] = np.array([np.nan] * (len(returns) - 1) + [greedy])
    return Chunk(state(first + len(returns), 12_345), Metrics(**columns), seconds)


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TTY_INTERACTIVE", "1")
    monkeypatch.setenv("COLUMNS", "80")


def test_a_run_without_a_terminal_has_plain_lines(capsys):
    """The first of ten tenths after the start, and the last greedy return stays."""
    with TerminalReporter().training(preset("cartpole"), state(10)) as show:
        show(chunk([10.0, 20.0], 10))
        show(chunk(np.linspace(20, 30, 8), 12, greedy=33.0))
        show(chunk([31.0], 20))  # another tenth is far
        show(chunk([np.nan], 21, seconds=20.0))  # but this took long
    lines = [line.split("  ") for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        ["update 20/100", "12,345 steps", "training return 30.0", "greedy return 33.0",
         "4,000 SPS", "0:32 left"],
        ["update 22/100", "12,345 steps", "training return nan", "greedy return 33.0",
         "50 SPS", "2:49 left"],
    ]  # fmt: skip


def test_a_terminal_has_a_bar_and_the_cursor_stays(terminal, capsys):
    config, reporter = preset("cartpole"), TerminalReporter()
    with reporter.compiling(config, 0, None):
        pass
    with reporter.training(config, state(0)) as show:
        show(chunk([10.0, 20.0]))
    shown = capsys.readouterr().err
    assert "compiling" in shown
    *_, bar, line, _ = shown.splitlines()  # the last shows the cursor
    for part in ("update 2/100", "━", "0:00:00", "1:38 left"):
        assert part in bar
    assert "12,345 steps  training return 20.0  1,000 SPS" in line
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


def test_a_quiet_run_shows_nothing(terminal, capsys):
    reporter = TerminalReporter(quiet=True)
    with reporter.training(preset("cartpole"), state(0)) as show:
        show(chunk(np.zeros(100)))
    assert capsys.readouterr() == ("", "")


def test_text_is_no_markup(terminal, capsys):
    with Board("[red]a") as board:
        board.show("[red]a", 1, 2, 1.0, "env=[bold]")
    shown = capsys.readouterr().err
    assert "[red]a" in shown
    assert "env=[bold]" in shown


def test_what_was_done_before_takes_no_time_and_what_is_new_is_shown_at_once(capsys):
    with Board("a") as board:
        board.show("5/9", 5, 9, 0.0, "")
        board.show("5/9", 5, 9, 0.0, "compiling", at_once=True)
        board.show("5/9", 5, 9, 1.0, "not yet")
        board.show("7/9", 7, 9, 7800.0, "")
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["5/9", "5/9  compiling", "7/9  2:10:00 left"]


def best(axes, configs, scores):
    """Return what a sweep says of scores [setting, seed], NaN where an agent is not trained yet."""
    scores = np.array(scores)
    results = made_up(axes, configs, scores[..., None], scores[..., None], 1)
    results.done[np.isnan(scores)] = 0
    return list(best_so_far(results))


RATES = {"policy_lr": (0.1, 0.2)}, [Config(num_updates=1, policy_lr=lr) for lr in (0.1, 0.2)]


def test_a_sweep_shows_its_best_setting_of_the_trained_agents():
    (text,) = best(*RATES, [np.full(8, 100.0), np.linspace(200, 270, 8)])
    assert text.startswith("best greedy return so far 235 (")
    assert text.endswith("), 8 seeds, setting 1: policy_lr=0.2")
    (text,) = best(*RATES, [[-np.inf, np.nan], [1.0, np.nan]])
    assert "(too few seeds), 1 seed, setting 1" in text
    assert best(*RATES, [[np.nan], [np.nan]]) == []


def test_environments_are_not_compared():
    envs = ("CartPole-v1", "Acrobot-v1")
    configs = [Config(num_updates=1, env=env) for env in envs]
    found = best({"env": envs}, configs, [[30.0], [-90.0]])
    assert [text.partition(" so far")[0] for text in found] == [
        "best greedy return of CartPole-v1",
        "best greedy return of Acrobot-v1",
    ]
