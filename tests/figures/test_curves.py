"""Learning curves: what is drawn, of made-up runs."""

import itertools
import sys

import numpy as np
import pytest

from purejaxrl_reinforce import Config
from purejaxrl_reinforce.figures import curves, drawing
from purejaxrl_reinforce.figures.curves import Runs, learning_curves, plot_returns
from purejaxrl_reinforce.figures.style import MOST_CURVES
from purejaxrl_reinforce.statistics import interquartile_mean, interquartile_mean_interval


def metrics(seed=0, scale=1.0, num_updates=8):
    """The return of update i of seed s is scale * i + s; each takes 10 + s steps."""
    update = np.arange(1.0, num_updates + 1)
    mean = scale * update + seed
    return {
        "update": update, "env_steps": (10 + seed) * update, "seconds": update / 10,
        "mean_return": mean, "min_return": mean - 1, "max_return": mean + 2,
        "eval_return": np.full(len(mean), np.nan),
    }  # fmt: skip


def runs(seeds=range(1), scale=1.0, num_updates=8, **fields):
    columns = [metrics(seed, scale, num_updates) for seed in seeds]
    return Runs(Config(num_updates=num_updates, **fields), seeds, columns)


def ended(group, row, num_updates):
    """Let a run end early."""
    group.metrics[row] = {name: x[:num_updates] for name, x in group.metrics[row].items()}


def curve_of(group, x="update", **options):
    """Draw a group; return its line, those of its seeds, its band and the figure."""
    figure = learning_curves([group], x, **options)
    (axes,) = figure.axes
    line, *thin = (line for line in axes.lines if not line.get_label().startswith("solved"))
    return line, thin, axes.collections, figure


def legend_of(part):
    """Return title and labels, without that of the threshold."""
    (box,) = part.legends
    labels = [text.get_text().replace("\n", " ") for text in box.get_texts()]
    labels = [label for label in labels if not label.startswith("solved")]
    title = box.get_title().get_text()
    return [title, *labels] if title else labels


def test_one_run_shows_the_spread_of_its_episodes():
    line, thin, (band,), figure = curve_of(runs([3]), "env_steps")
    np.testing.assert_array_equal(line.get_xdata(), 13 * np.arange(1, 9))
    np.testing.assert_array_equal(line.get_ydata(), np.arange(4, 12))
    extent = band.get_datalim(figure.axes[0].transData)
    assert (extent.ymin, extent.ymax, thin) == (3, 13, [])
    assert figure.get_suptitle() == "CartPole-v1: learning curves, seed 3"
    assert figure.axes[0].get_xlabel() == "environment steps"
    assert figure.axes[0].get_ylabel() == "training return"
    assert legend_of(figure) == ["mean of the update's episodes", "min to max"]


def test_the_picture_of_a_run(tmp_path):
    columns = metrics()
    columns["eval_return"][3] = 9.0
    plot_returns(tmp_path / "rewards.png", "a title", Config(num_updates=8), columns)
    assert (tmp_path / "rewards.png").read_bytes().startswith(b"\x89PNG")
    columns["mean_return"][:] = np.nan  # no episode finished
    plot_returns(tmp_path / "rewards.png", "a title", Config(num_updates=8), columns)


def test_many_seeds_make_a_band():
    """At each update, drawn at the mean of their steps, which differ, up to the last update."""
    line, thin, (band,), figure = curve_of(runs(range(11)), "env_steps")
    np.testing.assert_allclose(line.get_xdata(), 15 * np.arange(1, 9))
    at_end = interquartile_mean_interval(8.0 + np.arange(11))
    extent = band.get_datalim(figure.axes[0].transData)
    assert line.get_ydata()[-1] == pytest.approx(float(at_end.value))
    assert extent.ymax == pytest.approx(float(at_end.high))
    assert thin == []
    assert figure.axes[0].get_xlabel() == "environment steps, mean of the seeds"
    assert legend_of(figure) == ["interquartile mean of 11 seeds, band: 95% interval"]


def test_few_seeds_are_drawn_one_by_one():
    line, thin, bands, figure = curve_of(runs([0, 1, 5]))
    assert [other.get_ydata()[-1] for other in (line, *thin)] == [10, 8, 9, 13]
    assert len(bands) == 0
    assert {other.get_color() for other in thin} == {line.get_color()}
    assert max(other.get_linewidth() for other in thin) < line.get_linewidth()
    assert legend_of(figure) == ["interquartile mean of 3 seeds, thin: each seed"]


@pytest.mark.parametrize(
    ("env", "low", "high"), [("CartPole-v1", 0, 500), ("Pendulum-v1", -800, 811)]
)
def test_no_band_leaves_the_possible_returns(env, low, high):
    """Where the environment does not tell them, these are the lowest and the highest there was."""
    columns = [metrics(seed, 100 * (-1) ** seed) for seed in range(10)]
    group = Runs(Config(num_updates=8, env=env), range(10), columns)
    wide = interquartile_mean_interval(np.array([x["mean_return"][-1] for x in columns]))
    assert wide.low < low or env == "Pendulum-v1"
    *_, (band,), figure = curve_of(group)
    extent = band.get_datalim(figure.axes[0].transData)
    assert low <= extent.ymin < extent.ymax <= high


def test_configurations_are_told_apart_by_what_differs():
    groups = [runs(range(2), scale, policy_lr=scale) for scale in (1.0, 2.0)]
    groups.append(runs(policy_lr=0.5, env="Pendulum-v1"))
    figure = learning_curves(groups, "seconds", smooth=3)
    assert figure.get_suptitle() == "CartPole-v1 and Pendulum-v1: learning curves, 3 settings"
    cartpole, pendulum = figure.subfigs
    assert [part.axes[0].get_title() for part in figure.subfigs] == ["CartPole-v1", "Pendulum-v1"]
    assert cartpole.axes[0].get_xlabel().startswith("seconds of training, excluding compilation")
    assert pendulum.axes[0].get_ylabel() == "training return\n(mean of the last 3 updates)"
    statistic = "interquartile mean of 2 seeds, thin: each seed"
    assert legend_of(cartpole) == [statistic, "policy_lr=1", "policy_lr=2"]
    assert legend_of(pendulum)[1:] == ["seed 0"]
    assert sum(line.get_label() == "solved: 475" for line in cartpole.axes[0].lines) == 1
    assert len(pendulum.axes[0].lines) == 1


def test_equal_configurations_are_told_apart_by_their_source():
    groups = [runs(range(2))._replace(source=name) for name in ("a", r"$\wrong$")]
    figure = learning_curves(groups)
    assert legend_of(figure)[1:] == ["a", r"\$\wrong\$"]
    figure.draw_without_rendering()  # which reads no formula


def test_a_curve_says_which_seeds_it_has():
    """One that diverged in its first update, one that did later, one without any episode."""
    group = runs(range(5))
    ended(group, 0, 0)
    ended(group, 1, 3)
    group.metrics[2]["mean_return"][:] = np.nan
    line, _, _, figure = curve_of(group)
    assert line.get_xdata()[[0, -1]].tolist() == [1, 8]  # as long as any seed
    expected = [3 + interquartile_mean(np.array([1, 3, 4])), 7.5]
    np.testing.assert_allclose(line.get_ydata()[[2, 3]], expected)
    assert legend_of(figure) == [
        "interquartile mean of 5 seeds, thin: each seed,"
        " no episode finished in 2 of 5 seeds, 2 of 5 seeds to the end"
    ]
    ended(group, 4, 0)
    ended(group, 1, 0)
    _, thin, _, figure = curve_of(group)
    assert (thin, legend_of(figure)) == ([], ["5 seeds, no episode finished in 4 of 5 seeds"])


def test_updates_without_episodes_are_bridged():
    group = runs(range(2), num_updates=6)
    group.metrics[0]["mean_return"][:] = [np.nan, 10, np.nan, 30, np.nan, np.nan]
    group.metrics[1]["mean_return"][:] = np.nan
    line, *_ = curve_of(group)
    np.testing.assert_array_equal(line.get_xdata(), [2, 3, 4, 5, 6])
    np.testing.assert_array_equal(line.get_ydata(), [10, 20, 30, 30, 30])


def test_smoothing_looks_back():
    group = runs(num_updates=5)
    group.metrics[0]["mean_return"][:] = [1, 2, np.nan, 6, 10]
    line, *_ = curve_of(group, smooth=3)
    np.testing.assert_array_equal(line.get_xdata(), [1, 2, 4, 5])  # no episode in update 3
    np.testing.assert_allclose(line.get_ydata(), [1, 1.5, 3, 6])


@pytest.mark.parametrize(("seeds", "name"), [(1, "policy_lr=1, seed 0"), (2, "policy_lr=1")])
def test_what_cannot_be_drawn_stands_in_the_legend(seeds, name):
    nothing = runs(range(seeds), policy_lr=1.0)
    for row in range(seeds):
        ended(nothing, row, 0)
    figure = learning_curves([nothing, runs(policy_lr=3.0)], "update")
    assert f"{name}, no episode finished" in legend_of(figure)
    assert [len(line.get_xdata()) for line in figure.axes[0].lines[:2]] == [0, 8]
    with pytest.raises(ValueError, match="no episode finished"):
        learning_curves([nothing])


@pytest.mark.parametrize("style", ["screen", "phone", "paper"])
def test_many_curves_fit(style):
    """The legend takes less than a third, and no text leaves the picture."""
    groups = [runs(gamma=i / MOST_CURVES) for i in range(MOST_CURVES)]
    figure = learning_curves(groups, "update", style=style)
    figure.draw_without_rendering()
    width, height = figure.get_size_inches() * figure.dpi
    boxes = [figure.legends[0].get_window_extent(), figure.axes[0].get_tightbbox()]
    for box in boxes:
        assert 0 <= box.x0 < box.x1 <= width
        assert 0 <= box.y0 < box.y1 <= height
    assert not boxes[0].overlaps(boxes[1])
    assert boxes[0].height < height / 3
    looks = [(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines]
    assert not any(a == b for a, b in itertools.combinations(looks[:MOST_CURVES], 2))
    with pytest.raises(ValueError, match="too many"):
        learning_curves([*groups, runs(gamma=0.999)])


def test_a_picture_is_drawn_by_a_process_and_here_where_that_has_ended(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib")
    here = []
    monkeypatch.setattr(curves, "plot_returns", lambda *arguments: here.append(arguments))
    for path in (tmp_path / "a.png", tmp_path / "b.png"):
        drawing.start()
        if path.name == "b.png":
            drawing._processes[0].kill()
        assert drawing.is_started()
        drawing.plot_returns(path, "returns", Config(), metrics())
        assert not drawing.is_started()
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert [arguments[0].name for arguments in here] == ["b.png"]
