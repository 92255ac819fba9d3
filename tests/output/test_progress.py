"""The live panel of a run."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from purejaxrl_reinforce import TerminalReporter
from purejaxrl_reinforce.algorithm.state import Metrics
from purejaxrl_reinforce.execution.program import Chunk
from purejaxrl_reinforce.presets import preset
from purejaxrl_reinforce.runs.run_view import RunView
from tests.support.screen import drawn


def state(update, env_steps=0):
    return SimpleNamespace(update=jnp.int32(update), env_steps=np.array([0, env_steps]))


def chunk(returns, first=0, seconds=2.0, greedy=np.nan):
    """A chunk of as many updates as there are returns, after the first ones."""
    columns = dict.fromkeys(Metrics._fields, np.full(len(returns), 0.25))
    columns |= {"mean_return": np.array(returns), "num_steps": np.full(len(returns), 1000)}
    columns["eval_return"] = np.array([np.nan] * (len(returns) - 1) + [greedy])
    return Chunk(state(first + len(returns), 12_345), Metrics(**columns), seconds)


def view(returns=()):
    """A run of 100 updates, resumed after the 10th, which has done one more for each return."""
    now = iter([0.0, 12.0, 15.0])
    run = RunView(preset("cartpole"), 7, clock=lambda: next(now))
    if len(returns):
        run.start(state(10))
        run.add(chunk(returns, 10))
    return run


def test_it_says_how_long_it_has_compiled():
    assert "│ compiling, 12 s " in drawn(view())[1]
    assert "CartPole-v1, seed 7" in drawn(view())[0]


@pytest.mark.parametrize("width", [80, 200])
def test_it_shows_everything_within_the_width(width):
    lines = drawn(view(np.linspace(20, 480, 40)), width)
    assert {len(line) for line in lines} == {width - 2}  # beside which there is room for ^C
    text = "\n".join(lines)
    for part in (
        "training return 480.0", "best 480.0", "solved at 475", "update 50/100", "0:02 left",
        "20,000", "12,345", "policy loss", "baseline loss", "entropy", "explained variance 0.25",
        " MB", "1 x cpu", "0:03",
    ):  # fmt: skip
        assert part in text, part


@pytest.mark.parametrize("width", [3, 10, 30])
def test_no_terminal_is_too_narrow(width):
    assert drawn(view(np.linspace(20, 480, 40)), width)


def test_its_plain_line():
    assert view([10.0, 20.0]).line() == (
        "update 12/100  12,345 steps  training return 20.0  1,000 SPS  1:28 left"
    )


def test_the_last_greedy_return_stays():
    run = view([10.0])
    run.add(chunk([20.0], 11, greedy=30.0))
    run.add(chunk([21.0], 12))
    assert "  training return 21.0  greedy return 30.0  500 SPS  " in run.line()
    assert "greedy return 30.0" in "\n".join(drawn(run))


def test_updates_without_finished_episodes_have_no_return():
    text = "\n".join(drawn(view([np.nan, np.nan])))
    assert "training return -" in text
    assert "best" not in text


def test_a_terminal_gets_the_panel_and_the_cursor_stays(capsys, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    config, reporter = preset("cartpole"), TerminalReporter()
    with reporter.compiling(config, 0, None):
        pass
    with reporter.training(config, state(0)) as show:
        show(chunk([10.0, 20.0]))
    errors = capsys.readouterr().err
    assert "compiling, 0 s" in errors
    assert "update 2/100" in errors
    assert errors.rindex("\x1b[?25h") > errors.rindex("\x1b[?25l")
