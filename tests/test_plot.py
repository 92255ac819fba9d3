"""Learning curves: what is drawn, and that the pictures are there and not empty."""

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pandas
import pytest
from PIL import Image
from scipy import stats

from purejaxrl_reinforce import Config
from purejaxrl_reinforce.cli import main
from purejaxrl_reinforce.curves import learning_curves
from purejaxrl_reinforce.histories import History, load_history
from purejaxrl_reinforce.intervals import mean_interval
from purejaxrl_reinforce.plot_command import curves_figure
from purejaxrl_reinforce.plots import MOST_CURVES
from tests.small_runs import error_of, train_run

TINY = ["--num-envs", "4", "--num-updates", "6", "--num-steps", "20", "--hidden-sizes", "4"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    paths = [
        train_run(root / f"{lr}-{seed}", *TINY, "--policy-lr", lr, "--seed", str(seed))
        for lr in ("1e-2", "1e-3")
        for seed in (0, 1)
    ]
    for path in paths:  # seconds that do not depend on who else uses the machine
        metrics = pandas.read_csv(path / "metrics.csv")
        metrics["seconds"] = metrics["update"] / 100
        metrics.to_csv(path / "metrics.csv", index=False)
    return paths


def history(seed=0, scale=1.0, num_updates=8, **fields):
    """The return of update i of seed s is scale * i + s; each takes 10 + s steps."""
    update = np.arange(1.0, num_updates + 1)
    columns = {"update": update, "env_steps": (10 + seed) * update, "seconds": update / 10}
    mean = scale * update + seed
    returns = {"mean_return": mean, "min_return": mean - 1, "max_return": mean + 2}
    config = Config(num_updates=num_updates, **fields)
    return History(Path(f"run-{seed}-{fields}"), config, seed, {**columns, **returns})


def texts(figure):
    (axes,) = figure.axes
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    return axes.get_title(), axes.get_xlabel(), axes.get_ylabel(), legend


@pytest.mark.parametrize("x", ["env_steps", "seconds", "update"])
def test_pictures_open_and_are_not_blank(x, runs, tmp_path, capsys):
    for number in (1, 2, 4):
        path = tmp_path / f"{number}.png"
        arguments = [str(run) for run in runs[:number]]
        assert main(["plot", *arguments, "--x", x, "--out", str(path)]) == 0
        assert str(path) in capsys.readouterr().out
        with Image.open(path) as picture:
            assert picture.size[0] == 1050
            pixels = np.asarray(picture.convert("RGB"))
        blue = (pixels == [0, 114, 178]).all(axis=-1)
        assert blue.sum() > 500
        # Nothing touches the edges, where it would be cut off.
        assert all((edge == 255).all() for edge in (pixels[0], pixels[-1], pixels[:, 0]))
        assert (pixels[:, -1] == 255).all()


def test_svg(runs, tmp_path):
    path = tmp_path / "a.svg"
    assert main(["plot", str(runs[0]), "--out", str(path), "--smooth", "2"]) == 0
    assert ET.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert "#0072b2" in path.read_text().lower()


def test_one_run_shows_the_spread_of_its_episodes():
    (curve,) = learning_curves([history(seed=3)], "env_steps", 1)
    np.testing.assert_array_equal(curve.x, 13 * np.arange(1, 9))
    np.testing.assert_array_equal(curve.mean, np.arange(4, 12))
    np.testing.assert_array_equal(curve.low, curve.mean - 1)
    np.testing.assert_array_equal(curve.high, curve.mean + 2)
    title, xlabel, ylabel, legend = texts(curves_figure([history(seed=3)], "env_steps", 1))
    assert title == "CartPole-v1: REINFORCE, seed 3"
    assert (xlabel, ylabel) == ("environment steps", "episode return")
    assert legend == ["mean of the update's episodes", "lowest to highest of them"]


def test_seeds_make_a_band():
    """Between the first and the last step that all seeds have."""
    (curve,) = learning_curves([history(seed=s) for s in (0, 1, 2)], "env_steps", 1)
    assert (curve.x[0], curve.x[-1]) == (12, 80)
    at_start = np.array([12 / 10, 12 / 11 + 1, 3])
    half = stats.t.ppf(0.975, 2) * at_start.std(ddof=1) / np.sqrt(3)
    np.testing.assert_allclose(curve.mean[0], at_start.mean())
    np.testing.assert_allclose(curve.low[0], at_start.mean() - half)
    np.testing.assert_allclose(curve.high[0], at_start.mean() + half)
    (_, _, _, legend) = texts(curves_figure([history(seed=s) for s in (0, 1)], "update", 1))
    assert legend == ["mean of 2 seeds with 95% t interval"]


def test_configurations_are_told_apart_by_what_differs():
    histories = [history(seed, scale, policy_lr=scale) for scale in (1.0, 2.0) for seed in (0, 1)]
    histories.append(history(policy_lr=0.5, env="Acrobot-v1"))
    title, xlabel, ylabel, legend = texts(curves_figure(histories, "seconds", 3))
    assert title == "CartPole-v1 and Acrobot-v1: REINFORCE, 5 runs"
    assert xlabel == "seconds of training, compilation apart"
    assert ylabel == "episode return\n(mean of the last 3 updates)"
    assert legend == [
        "CartPole-v1, policy_lr=1.0, mean of 2 seeds with 95% t interval",
        "CartPole-v1, policy_lr=2.0, mean of 2 seeds with 95% t interval",
        "Acrobot-v1, policy_lr=0.5, seed 0",
    ]


def test_smoothing_looks_back():
    one = history(num_updates=5)
    one.metrics["mean_return"][:] = [1, 2, np.nan, 6, 10]
    (curve,) = learning_curves([one], "update", 3)
    np.testing.assert_array_equal(curve.x, [1, 2, 4, 5])  # no episode finished in update 3
    np.testing.assert_allclose(curve.mean, [1, 1.5, 3, 6])


def test_many_curves_fit():
    """The legend grows downwards, and no text leaves the picture."""
    histories = [history(gamma=i / MOST_CURVES) for i in range(MOST_CURVES)]
    figure = curves_figure(histories, "update", 1)
    figure.draw_without_rendering()
    width, height = figure.get_size_inches() * figure.dpi
    boxes = [figure.legends[0].get_window_extent(), figure.axes[0].get_tightbbox()]
    for box in boxes:
        assert 0 <= box.x0 < box.x1 <= width
        assert 0 <= box.y0 < box.y1 <= height
    assert not boxes[0].overlaps(boxes[1])
    assert figure.axes[0].get_window_extent().height > 200
    lines = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}
    assert len(lines) == MOST_CURVES
    with pytest.raises(ValueError, match="29 curves cannot be told apart; draw at most 28"):
        curves_figure([*histories, history(gamma=1.0)], "update", 1)


def test_a_cut_off_last_row_is_left_out(runs, tmp_path):
    (tmp_path / "config.toml").write_bytes((runs[0] / "config.toml").read_bytes())
    text = (runs[0] / "metrics.csv").read_text()
    (tmp_path / "metrics.csv").write_text(text[: text.rindex(",") - 30])
    whole, cut = load_history(runs[0]), load_history(tmp_path)
    np.testing.assert_array_equal(cut.metrics["env_steps"], whole.metrics["env_steps"][:5])


def test_mistakes(runs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, text in [("empty", "update,env_steps\n"), ("bad", "update,env_steps\n1,x\n")]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.toml").write_text("")
        (tmp_path / name / "metrics.csv").write_text(text)
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "config.toml").write_text("")
    (tmp_path / "there.png").write_text("kept")
    before = sorted(tmp_path.rglob("*"))
    run = str(runs[0])
    for arguments, message in [
        ([], "give at least one RUN"),
        (["nowhere"], "nowhere is not a run directory"),
        (["none"], "none/metrics.csv: No such file"),
        (["empty"], "empty/metrics.csv has no update yet"),
        (["bad"], "bad/metrics.csv is damaged"),
        ([run, run], "have the same configuration and seed: give one of them"),
        ([run, "--smooth", "0"], "smooth must lie between 1 and"),
        ([run, "--out", "a.pdf"], "--out must end in .png or .svg, not 'a.pdf'"),
        ([run, "--out", "there.png"], "there.png exists; choose another --out"),
        ([run, "--x", "hours"], "invalid choice 'hours'"),
    ]:
        assert message in error_of(["plot", *arguments], capsys)
    assert sorted(tmp_path.rglob("*")) == before


def test_nothing_to_draw():
    one = history()
    one.metrics["mean_return"][:] = np.nan
    with pytest.raises(ValueError, match="no episode finished"):
        curves_figure([one], "update", 1)
    late = history(seed=1)
    late.metrics["env_steps"][:] += 1000
    with pytest.raises(ValueError, match="no range of env_steps in common"):
        curves_figure([history(), late], "env_steps", 1)


def test_intervals_of_arrays():
    samples = np.random.default_rng(0).normal(size=(5, 3))
    interval = mean_interval(samples)
    low, high = stats.t.interval(
        0.95, 4, loc=samples.mean(axis=0), scale=stats.sem(samples, axis=0)
    )
    np.testing.assert_allclose(interval.low, low)
    np.testing.assert_allclose(interval.high, high)
