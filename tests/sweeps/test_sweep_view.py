"""The live panel of a sweep."""

import numpy as np

from purejaxrl_reinforce import Config
from purejaxrl_reinforce.sweeps.plan import make_plan
from purejaxrl_reinforce.sweeps.sweep import SweepProgress
from purejaxrl_reinforce.sweeps.sweep_view import SweepView
from tests.support.screen import drawn

SEEDS = range(8)


def view(axes):
    """A sweep with 8 seeds that a clock of its own watches, and its progress."""
    plan = make_plan(Config(num_updates=10, num_envs=4), SEEDS, axes, False, 2)
    progress, now = SweepProgress(plan), [0.0]
    return SweepView(plan, progress, clock=lambda: now[0]), progress, now


def test_it_says_what_it_waits_for_and_how_long():
    shown, progress, now = view({"policy_lr": (0.1, 0.2)})
    progress.doing = "compiling program 1 of 1"
    shown.note()
    now[0] = 45.0
    text = "\n".join(drawn(shown))
    assert "compiling program 1 of 1, 45 s" in text
    assert "0/16 agents" in text
    assert "settings 0/2" in text
    assert shown.line() == "0/16 agents  compiling program 1 of 1"


def test_it_shows_the_best_setting_with_its_interval():
    shown, progress, _ = view({"policy_lr": (0.1, 0.2)})
    scores = np.concatenate([np.full(8, 100.0), np.linspace(200, 270, 8)])
    progress.finish(np.arange(16), np.stack([scores - 1, scores + 1], axis=1))
    shown.note()
    text = "\n".join(drawn(shown))
    assert "best greedy return so far 235.0 (" in text
    assert "setting 1: policy_lr=0.2" in text
    assert "settings 2/2" in text
    assert "), 8 seeds, setting 1: policy_lr=0.2" in shown.line()


def test_a_diverged_agent_is_no_best():
    shown, progress, _ = view({"policy_lr": (0.1, 0.2)})
    progress.finish(np.array([0, 8]), np.array([[np.nan, 5.0], [1.0, 1.0]]))
    shown.note()
    assert "setting 1" in shown.line()


def test_environments_are_not_compared():
    shown, progress, _ = view({"env": ("CartPole-v1", "Acrobot-v1")})
    progress.finish(np.array([0]), np.array([[30.0, 30.0]]))
    shown.note()
    text = "\n".join(drawn(shown))
    assert "best greedy return of CartPole-v1 so far 30.0" in text
    assert "best greedy return of Acrobot-v1 so far -" in text


def test_it_fits_into_its_width():
    shown, progress, _ = view({"policy_lr": (0.1, 0.2), "hidden_sizes": ((8,), (8, 8))})
    progress.finish(np.arange(8), np.full((8, 2), 500.0))
    shown.note()
    for width in (80, 200):
        assert {len(line) for line in drawn(shown, width)} == {width - 2}
