"""Pictures of a sweep: what they show, and that all of it can be seen."""

import itertools

import numpy as np
import pytest
from scipy import stats

from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.sweeps.outputs import sweep_figures
from purejaxrl_reinforce.sweeps.summary import rank, summarize
from tests.support.configs import TEXTBOOK
from tests.support.sweeps import made_up

NAMES = ["learning_curves", "final_returns", "performance_profiles"]
UPDATES = 6
SOLVED = "solved: 475"


def figures_of(results, style="screen"):
    return sweep_figures(results, rank(results), style)


def sweep(axes, num_seeds=5, configs=None, env="CartPole-v1"):
    """The grid of these values; setting s is better than s - 1, and seed i lies i below the mean.

    In update u of UPDATES, 40 u + 10 s - i is the return, and (100 + i) u the number of steps.
    """
    base = TEXTBOOK.replace(env=env, num_updates=UPDATES)
    values = itertools.product(*axes.values())
    configs = configs or [base.replace(**dict(zip(axes, v, strict=True))) for v in values]
    s, i, u = np.ogrid[: len(configs), :num_seeds, 1 : UPDATES + 1]
    scores = 300 + 10 * s - i
    return made_up(axes, configs, scores, 40 * u + 10 * s - i, (100 + i) * u)


def many(number, **kwargs):
    return sweep({"policy_lr": tuple((i + 1) / 100 for i in range(number))}, **kwargs)


GRID = {"gamma": (0.9, 0.95, 0.99, 0.999), "policy_lr": (0.1, 0.01, 0.001)}
STATIC = {"hidden_sizes": ((64,), (64, 64), (1024,) * 6), "advantage_norm": ("none", "standardize")}


def diverged(results, settings):
    results.metrics["finite"][settings] = False
    return results


ENVS = {"env": ("CartPole-v1", "Pendulum-v1"), "gamma": (0.9, 1.0)}
CASES = {
    "one seed of one setting": sweep({}, 1),
    "many settings": many(30),
    "long labels": sweep(STATIC),
    "two environments": sweep(ENVS, 10),
    "all of the best diverged": diverged(sweep(GRID), 11),
}


def legend(figure):
    (box,) = figure.legends
    return box.get_title().get_text(), [text.get_text() for text in box.get_texts()]


@pytest.mark.parametrize("style", ["screen", "paper"])
@pytest.mark.parametrize("name", CASES)
def test_all_can_be_seen(name, style):
    """No text leaves the picture, and axes say what they are."""
    figures = figures_of(CASES[name], style)
    assert list(figures)[:3] == NAMES
    for figure in figures.values():
        figure.draw_without_rendering()
        width, height = figure.get_size_inches() * figure.dpi
        assert figure.axes[0].get_xlabel()
        for axes in figure.axes:
            assert axes.get_ylabel() or any(t.get_text() for t in axes.get_yticklabels())
            box = axes.get_tightbbox()
            assert 0 <= box.x0 < box.x1 <= width
            assert 0 <= box.y0 < box.y1 <= height
        assert figure.axes[0].get_window_extent().height > 60


def test_learning_curves_of_the_best():
    figures = figures_of(many(9))
    axes = figures["learning_curves"].axes[0]
    title = axes.figure.get_suptitle()
    assert title == "CartPole-v1: learning curves, the best 8 of 9 settings"
    title, labels = legend(figures["learning_curves"])
    assert title == "interquartile mean of 5 seeds, thin: each seed"
    assert labels == [*(f"policy_lr=0.0{i}" for i in range(9, 1, -1)), SOLVED]
    assert sum(line.get_linewidth() < 1 for line in axes.lines) == 8 * 5


def test_greedy_returns_during_training():
    """They lie 7 above the training returns, after every second update; a seed has none."""
    results = many(3)
    results.metrics["eval_return"][..., 1::2] = results.metrics["mean_return"][..., 1::2] + 7
    results.metrics["eval_return"][2, 0] = np.nan
    figures = figures_of(results)
    assert list(figures) == ["learning_curves", "evaluation_curves", *NAMES[1:]]
    axes = figures["evaluation_curves"].axes[0]
    assert axes.get_ylabel() == "greedy return"
    label = " ".join(legend(figures["evaluation_curves"])[1][0].split())
    assert label == "policy_lr=0.03, never evaluated in 1 of 5 seeds"
    means = [line for line in axes.lines if line.get_linewidth() > 1]
    last = means[-1]  # of the last setting; the threshold is thinner
    np.testing.assert_allclose(last.get_xdata(), 102 * np.arange(2, UPDATES + 1), rtol=1e-6)
    np.testing.assert_allclose(last.get_ydata(), 40 * np.arange(2, UPDATES + 1) + 7 - 2, rtol=1e-6)


def test_profiles():
    figure = figures_of(diverged(many(2), (0, slice(2))))["performance_profiles"]
    axes = figure.axes[0]
    best, other = axes.lines
    assert legend(figure)[1] == ["policy_lr=0.02", "policy_lr=0.01"]
    tau = best.get_xdata()
    for line, scores in ((best, 310 - np.arange(5)), (other, 300 - np.arange(2, 5))):
        expected = (scores[:, None] > tau).sum(axis=0) / 5
        np.testing.assert_allclose(line.get_ydata(), expected)
    assert (best.get_ydata()[0], best.get_ydata()[-1]) == (1, 0)
    assert len(axes.collections) == 0
    assert len(figures_of(many(2, num_seeds=10))["performance_profiles"].axes[0].collections) == 2
    assert axes.get_ylabel() == "fraction of seeds with return > x"


def row_labels(axes):
    return [text.get_text() for text in axes.get_yticklabels()]


def test_final_returns_show_every_seed():
    results = diverged(many(25), (20, slice(5)))
    results.evaluation[24] = 600
    axes = figures_of(results)["final_returns"].axes[0]
    assert (len(row_labels(axes)), row_labels(axes)[0]) == (20, "policy_lr=0.25")
    assert "the best 20 of 25 settings" in axes.figure.get_suptitle()
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in dots] == [5] * 20
    assert set(dots[0].get_xdata()) == {600}
    assert (np.abs(dots[3].get_ydata() - 3) < 0.5).all()
    means = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "D"]
    np.testing.assert_allclose(means, [float(s.iqm.value) for s in summarize(results)[:20]])
    assert 475 in [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == "--"]


def test_who_diverged_is_counted():
    results = diverged(many(2, num_seeds=10), (1, slice(4)))
    axes = figures_of(results)["final_returns"].axes[0]
    assert row_labels(axes) == ["policy_lr=0.01", "policy_lr=0.02\n(4 of 10 diverged)"]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in dots] == [10, 6]
    # The interval reaches the edge, not beyond the picture.
    interval = [line for line in axes.lines if line.get_marker() == "|"][-1]
    assert interval.get_xdata()[0] == axes.get_xlim()[0]


def test_heat_map():
    results = diverged(sweep(GRID), 3)
    results.evaluation[7] = 490
    figure = figures_of(results)["heatmap"]
    axes = figure.axes[0]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["0.1", "0.01", "0.001"]
    texts = {text.get_position(): text.get_text() for text in axes.texts}
    assert texts[1, 2] == "490\n100%"
    assert texts[0, 1] == "diverged\n0%"
    assert texts[2, 0] == f"{stats.trim_mean(results.scores[2], 0.25):g}\n0%"
    assert len(texts) == 12


def test_heat_map_lies_upright():
    """The field with more values goes down; without a threshold there is no share."""
    wide = {"policy_lr": (0.1, 0.01), "hidden_sizes": ((), (64,), (64, 64))}
    axes = figures_of(sweep(wide, env="Pendulum-v1"))["heatmap"].axes[0]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("hidden_sizes", "policy_lr")
    assert row_labels(axes) == ["none", "64", "64 x 64"]
    texts = {text.get_position(): text.get_text() for text in axes.texts}
    assert texts[1, 0] == "328"  # of policy_lr=0.01 and no hidden layer, the fourth setting


TWO = {"gamma": (0.9, 0.8), "policy_lr": (0.1, 0.2)}
ZIPPED = [Config(gamma=g, policy_lr=lr, num_updates=6) for g, lr in ((0.9, 0.1), (0.8, 0.2))]


@pytest.mark.parametrize(
    "results",
    [sweep(TWO, configs=ZIPPED), sweep({**TWO, "baseline": ("none", "value")}), sweep(ENVS)],
    ids=["zipped", "three fields", "two environments"],
)
def test_heat_maps_are_of_grids(results):
    assert list(figures_of(results)) == NAMES
    assert not figures_of(diverged(results, slice(None)))
