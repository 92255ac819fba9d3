"""Learning curves: what is drawn, and that the pictures are there and not empty."""

import shutil
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from purejaxrl_reinforce import Config
from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.config_file import dump_config
from purejaxrl_reinforce.evaluation.statistics import (
    interquartile_mean,
    interquartile_mean_interval,
    mean_interval,
)
from purejaxrl_reinforce.output.checksums import load_arrays, save_arrays
from purejaxrl_reinforce.output.plots import MOST_CURVES
from purejaxrl_reinforce.runs.load import History, load_history
from purejaxrl_reinforce.runs.metrics_csv import MetricsFile
from purejaxrl_reinforce.sweeps.figures import sweep_figures
from purejaxrl_reinforce.sweeps.learning_curves import (
    by_config,
    curves_figure,
    learning_curves,
    setting_histories,
)
from purejaxrl_reinforce.sweeps.results import load_sweep
from purejaxrl_reinforce.sweeps.summary import summarize
from tests.support.runs import TINY, error_of, write_metrics


@pytest.fixture(scope="module")
def runs(finished_run, tmp_path_factory):
    """Of two learning rates, two seeds each; all have the metrics of one run, but for a shift."""
    root = tmp_path_factory.mktemp("runs")
    metrics = load_history(finished_run).metrics
    paths = []
    for lr in (1e-2, 1e-3):
        for seed in (0, 1):
            paths.append(root / f"{lr}-{seed}")
            paths[-1].mkdir()
            config = replace(TINY, policy_lr=lr)
            (paths[-1] / "config.toml").write_text(dump_config(config, seed))
            shifted = metrics | {"mean_return": metrics["mean_return"] + 2 * seed + 500 * lr}
            # Times that do not depend on who else uses the machine.
            write_metrics(paths[-1] / "metrics.csv", shifted, 0.06)
    return paths


@pytest.fixture(scope="module")
def sweep_dir(tmp_path_factory):
    """Of two learning rates that no run has, two seeds each."""
    config = tmp_path_factory.mktemp("sweeps") / "config.toml"
    config.write_text(dump_config(TINY, seed=0))
    path = config.with_name("s")
    options = ["--axis", "policy_lr=0.1,0.2", "--num-seeds", "2", "--episodes", "2", "--quiet"]
    arguments = ["sweep", "--config", str(config), *options, "--sweep-dir", str(path)]
    assert main(arguments) == 0
    return path


def history(seed=0, scale=1.0, num_updates=8, **fields):
    """The return of update i of seed s is scale * i + s; each takes 10 + s steps."""
    update = np.arange(1.0, num_updates + 1)
    columns = {"update": update, "env_steps": (10 + seed) * update, "seconds": update / 10}
    mean = scale * update + seed
    returns = {"mean_return": mean, "min_return": mean - 1, "max_return": mean + 2}
    returns["eval_return"] = np.full(len(mean), np.nan)
    config = Config(num_updates=num_updates, **fields)
    return History(Path(f"run-{seed}-{fields}"), config, seed, {**columns, **returns})


def figure_of(histories, x="update", smooth=1, **options):
    return curves_figure(by_config(histories), x, smooth, **options)


def curves_of(histories, x="update", smooth=1):
    (panel,) = learning_curves(by_config(histories), x, smooth)[0].values()
    return panel.curves


def legend_of(part):
    """Return title and labels, without that of the threshold."""
    title = part.legends[0].get_title().get_text()
    labels = [text.get_text().replace("\n", " ") for text in part.legends[0].get_texts()]
    labels = [label for label in labels if not label.startswith("solved")]
    return [title, *labels] if title else labels


def texts(figure):
    (axes,) = figure.axes
    title = figure.get_suptitle()
    return title, axes.get_xlabel(), axes.get_ylabel(), legend_of(figure)


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


@pytest.mark.parametrize("suffix", ["svg", "pdf"])
def test_vector_pictures(suffix, runs, tmp_path):
    path = tmp_path / f"a.{suffix}"
    arguments = ["--out", str(path), "--smooth", "2", "--style", "paper"]
    assert main(["plot", str(runs[0]), *arguments]) == 0
    if suffix == "pdf":
        assert path.read_bytes().startswith(b"%PDF")
    else:
        assert ET.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
        assert "#0072b2" in path.read_text().lower()


def test_other_figures_of_a_sweep(sweep_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ["--figure", "final_returns", "--style", "paper"]
    assert main(["plot", str(sweep_dir), *options]) == 0
    with Image.open("final_returns.png") as picture:
        assert picture.size[0] == 990


def test_one_run_shows_the_spread_of_its_episodes():
    one = history(seed=3)
    (curve,) = curves_of([one], "env_steps")
    np.testing.assert_array_equal(curve.x, 13 * np.arange(1, 9))
    np.testing.assert_array_equal(curve.mean, np.arange(4, 12))
    np.testing.assert_array_equal(curve.low, curve.mean - 1)
    np.testing.assert_array_equal(curve.high, curve.mean + 2)
    title, xlabel, ylabel, legend = texts(figure_of([one], "env_steps"))
    assert title == "CartPole-v1: learning curves, seed 3"
    assert (xlabel, ylabel) == ("environment steps", "training return")
    assert legend == ["mean of the update's episodes", "lowest to highest of them"]


def test_seeds_make_a_band():
    """At each update, drawn at the mean of their steps, which differ, up to the last update."""
    seeds = [history(seed=s) for s in range(7)]
    (curve,) = curves_of(seeds, "env_steps")
    np.testing.assert_allclose(curve.x, 13 * np.arange(1, 9))
    at_end = interquartile_mean_interval(8.0 + np.arange(7))
    found = (curve.mean[-1], curve.low[-1], curve.high[-1])
    np.testing.assert_allclose(found, (at_end.value, at_end.low, at_end.high))
    _, xlabel, _, legend = texts(figure_of(seeds, "env_steps"))
    assert xlabel == "environment steps, mean over the seeds"
    assert legend == ["interquartile mean of 7 seeds, band: 95% interval"]


def test_few_seeds_have_their_range():
    seeds = [history(seed=s) for s in (0, 1, 5)]
    (curve,) = curves_of(seeds)
    assert (curve.mean[-1], curve.low[-1], curve.high[-1]) == (10, 8, 13)
    assert texts(figure_of(seeds))[3] == ["interquartile mean of 3 seeds, band: lowest to highest"]


@pytest.mark.parametrize(
    ("env", "low", "high"), [("CartPole-v1", 0, 500), ("Pendulum-v1", -800, 806)]
)
def test_no_band_leaves_the_possible_returns(env, low, high):
    """Where the environment does not tell them, these are the lowest and the highest there was."""
    seeds = [history(seed=s, scale=100 * (-1) ** s, env=env) for s in range(5)]
    wide = interquartile_mean_interval(np.array([h.metrics["mean_return"][-1] for h in seeds]))
    assert wide.low < low
    (curve,) = curves_of(seeds)
    assert curve.low.min() >= low
    assert curve.high.max() <= high


def test_configurations_are_told_apart_by_what_differs():
    histories = [history(seed, scale, policy_lr=scale) for scale in (1.0, 2.0) for seed in (0, 1)]
    histories.append(history(policy_lr=0.5, env="Pendulum-v1"))
    figure = figure_of(histories, "seconds", 3)
    assert figure.get_suptitle() == "CartPole-v1 and Pendulum-v1: learning curves, 3 settings"
    cartpole, pendulum = figure.subfigs
    assert [part.axes[0].get_title() for part in figure.subfigs] == ["CartPole-v1", "Pendulum-v1"]
    assert cartpole.axes[0].get_xlabel().startswith("seconds of training, compilation apart")
    assert pendulum.axes[0].get_ylabel() == "training return\n(mean of the last 3 updates)"
    statistic = "interquartile mean of 2 seeds, band: lowest to highest"
    assert legend_of(cartpole) == [statistic, "policy_lr=1", "policy_lr=2"]
    assert legend_of(pendulum)[1:] == ["seed 0"]
    thresholds = [line for line in cartpole.axes[0].lines if line.get_label() == "solved: 475"]
    assert len(thresholds) == 1
    assert len(pendulum.axes[0].lines) == 1


def test_what_all_curves_have_in_common_is_said_once():
    histories = [history(seed, policy_lr=lr) for lr in (1.0, 2.0) for seed in (0, 1)]
    statistic = "interquartile mean of 2 seeds, band: lowest to highest"
    assert texts(figure_of(histories))[3] == [statistic, "policy_lr=1", "policy_lr=2"]
    assert texts(figure_of(histories[:3]))[3] == [statistic, "policy_lr=1", "policy_lr=2, seed 0"]


def cut(one, num_updates):
    return one._replace(metrics={name: x[:num_updates] for name, x in one.metrics.items()})


def test_a_curve_says_which_seeds_it_has():
    """One that diverged in its first update, one that did later, one without any episode."""
    seeds = [history(seed) for seed in range(5)]
    seeds[0], seeds[1] = cut(seeds[0], 0), cut(seeds[1], 3)
    seeds[2].metrics["mean_return"][:] = np.nan
    (curve,) = curves_of(seeds)
    assert (curve.x[0], curve.x[-1]) == (1, 8)  # as long as any seed
    np.testing.assert_allclose(
        curve.mean[[2, 3]], [3 + interquartile_mean(np.array([1, 3, 4])), 7.5]
    )
    assert curve.label == (
        "interquartile mean of 5 seeds, band: lowest to highest,"
        " no episode finished in 2 of 5 seeds, 2 of 5 seeds to the end"
    )
    (curve,) = curves_of([seeds[0], seeds[3]])
    assert curve.label == "2 seeds, no episode finished in 1 of 2 seeds"
    assert curve.low is None


def test_positions_only_move_on():
    """The seed that took the most steps ends first."""
    seeds = [history(0), cut(history(90), 4)]
    (curve,) = curves_of(seeds, "env_steps")
    np.testing.assert_allclose(np.diff(curve.x), [55, 55, 55, 10, 10, 10, 10])


def test_updates_without_episodes_are_bridged():
    one, other = history(0, num_updates=6), history(1, num_updates=6)
    one.metrics["mean_return"][:] = [np.nan, 10, np.nan, 30, np.nan, np.nan]
    other.metrics["mean_return"][:] = np.nan
    (curve,) = curves_of([one, other])
    np.testing.assert_array_equal(curve.x, [2, 3, 4, 5, 6])
    np.testing.assert_array_equal(curve.mean, [10, 20, 30, 30, 30])


def test_long_curves_keep_their_ends():
    (curve,) = curves_of([history(seed, num_updates=1000) for seed in range(5)])
    assert (len(curve.x), curve.x[0], curve.x[-1]) == (400, 1, 1000)


def test_what_cannot_be_drawn_stands_in_the_legend():
    nothing = [cut(history(seed, policy_lr=1.0), 0) for seed in (0, 1)]
    figure = figure_of([*nothing, history(policy_lr=3.0)])
    assert legend_of(figure)[:2] == ["2 seeds", "policy_lr=1, no episode finished"]
    assert [len(line.get_xdata()) for line in figure.axes[0].lines[:2]] == [0, 8]


def test_settings_of_a_sweep_are_curves_the_best_first(sweep_dir, monkeypatch):
    """`plot` draws them as the sweep's own figure does: order, colors, statistic, band."""
    results = load_sweep(sweep_dir)
    best = [s.setting for s in summarize(results)]
    own = sweep_figures(results, summarize(results))["learning_curves"]
    drawn = curves_figure(setting_histories(results, best), "env_steps")
    assert texts(own) == texts(drawn)
    for line, other in zip(own.axes[0].lines, drawn.axes[0].lines, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), other.get_xydata())
        assert line.get_color() == other.get_color()
    smoothed = curves_figure(setting_histories(results, best), "update", 2).axes[0]
    for line, setting in zip(smoothed.lines, best, strict=False):
        returns = results.metrics["mean_return"][setting].astype(float)
        np.testing.assert_allclose(line.get_ydata()[-1], returns[:, -2:].mean(), rtol=1e-6)


def test_a_run_beside_the_sweep_that_has_its_seed(sweep_dir, tmp_path):
    run = tmp_path / "alone"
    options = ["--setting", "1", "--seed", "1", "--run-dir", str(run)]
    assert main(["extract", str(sweep_dir), *options]) == 0
    path = tmp_path / "a.svg"
    assert main(["plot", str(run), str(sweep_dir), "--out", str(path)]) == 0
    text = path.read_text()  # whose comments have each line of text
    for line in ("policy_lr=0.1", "policy_lr=0.2, s", "policy_lr=0.2, alone, seed 1"):
        assert f"<!-- {line} -->" in text


def test_sweeps_and_runs_in_one_figure(runs, sweep_dir, tmp_path):
    path = tmp_path / "a.svg"
    arguments = [str(runs[0]), str(sweep_dir), str(runs[1])]
    assert main(["plot", *arguments, "--out", str(path)]) == 0
    text = path.read_text()  # whose comments have each line of text
    title = "CartPole-v1: learning curves, 3 settings"
    for line in (title, *(f"policy_lr={lr}" for lr in (0.01, 0.1, 0.2))):
        assert f"<!-- {line} -->" in text


def test_an_agent_ends_with_its_last_finite_update(sweep_dir, tmp_path):
    shutil.copy(sweep_dir / "sweep.json", tmp_path)
    arrays = load_arrays(sweep_dir / "results.npz")
    arrays["finite"][1, 0, 4:] = False
    save_arrays(tmp_path / "results.npz", arrays)
    groups = setting_histories(load_sweep(tmp_path), [0, 1])
    assert [len(h.metrics["mean_return"]) for group in groups for h in group] == [6, 6, 4, 6]
    assert [h.seed for group in groups for h in group] == [0, 1, 0, 1]
    assert texts(curves_figure(groups, "update"))[3][2] == "policy_lr=0.2, 1 of 2 seeds to the end"


def test_smoothing_looks_back():
    one = history(num_updates=5)
    one.metrics["mean_return"][:] = [1, 2, np.nan, 6, 10]
    (curve,) = curves_of([one], smooth=3)
    np.testing.assert_array_equal(curve.x, [1, 2, 4, 5])  # no episode finished in update 3
    np.testing.assert_allclose(curve.mean, [1, 1.5, 3, 6])


@pytest.mark.parametrize("style", ["screen", "phone", "paper"])
def test_many_curves_fit(style):
    """The legend takes less than a third, and no text leaves the picture."""
    histories = [history(gamma=i / MOST_CURVES) for i in range(MOST_CURVES)]
    figure = figure_of(histories, style=style)
    figure.draw_without_rendering()
    width, height = figure.get_size_inches() * figure.dpi
    boxes = [figure.legends[0].get_window_extent(), figure.axes[0].get_tightbbox()]
    for box in boxes:
        assert 0 <= box.x0 < box.x1 <= width
        assert 0 <= box.y0 < box.y1 <= height
    assert not boxes[0].overlaps(boxes[1])
    assert boxes[0].height < height / 3
    curves = figure.axes[0].lines[:MOST_CURVES]
    assert len({(line.get_color(), line.get_linestyle()) for line in curves}) == MOST_CURVES
    assert len({(line.get_marker(), line.get_linestyle()) for line in curves}) == MOST_CURVES
    with pytest.raises(ValueError, match="29 curves of CartPole-v1 are too many; draw at most 28"):
        figure_of([*histories, history(gamma=1.0)])


def test_a_cut_off_last_row_is_left_out(runs, tmp_path):
    (tmp_path / "config.toml").write_bytes((runs[0] / "config.toml").read_bytes())
    text = (runs[0] / "metrics.csv").read_text()
    (tmp_path / "metrics.csv").write_text(text[: text.rindex(",") - 30])
    whole, cut = load_history(runs[0]), load_history(tmp_path)
    np.testing.assert_array_equal(cut.metrics["env_steps"], whole.metrics["env_steps"][:5])


@pytest.fixture
def mistakes_dir(sweep_dir, tmp_path, monkeypatch):
    """The current directory, with runs and sweeps that cannot be drawn."""
    monkeypatch.chdir(tmp_path)
    for name in ("none", "empty", "bad"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.toml").write_text(dump_config(TINY, seed=0))
    MetricsFile(tmp_path / "empty" / "metrics.csv").create()
    (tmp_path / "bad" / "metrics.csv").write_text("update,env_steps\n1,x\n")
    (tmp_path / "there.png").write_text("kept")
    for name in ("unfinished", "damaged", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "sweep.json").write_bytes((sweep_dir / "sweep.json").read_bytes())
    (tmp_path / "damaged" / "results.npz").write_bytes(b"PK")
    arrays = load_arrays(sweep_dir / "results.npz")
    fewer = {name: x if name == "key_data" else x[:1] for name, x in arrays.items()}
    save_arrays(tmp_path / "other" / "results.npz", fewer)
    before = sorted(tmp_path.rglob("*"))
    yield tmp_path
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give at least one RUN or SWEEP"),
        (["nowhere"], "nowhere is the directory of neither a run nor a sweep"),
        (["SWEEP", "--x", "seconds"], "no seconds of their own; use --x env_steps or --x update"),
        (["SWEEP", "RUN", "SWEEP"], "/s is given twice"),
        (["RUN", "unfinished"], "unfinished is not finished: it has no results.npz"),
        (["damaged"], "results.npz is damaged"),
        (["other"], "other/results.npz is damaged"),
        (["there.png"], "is the directory of neither"),
        (["none"], "none/metrics.csv: No such file"),
        (["empty"], "empty/metrics.csv has no update yet"),
        (["bad"], "bad/metrics.csv is damaged"),
        (["RUN", "RUN"], "have the same configuration and seed: give only one of them"),
        (["RUN", "--smooth", "0"], "smooth must lie between 1 and"),
        (["RUN", "--out", "a.jpg"], "--out must end in .png or .svg or .pdf, not 'a.jpg'"),
        (["RUN", "--out", "there.png"], "there.png exists; choose another --out"),
        (["RUN", "--figure", "heatmap"], "the figure heatmap needs one SWEEP"),
        (["SWEEP", "--figure", "heatmap"], "has no heatmap; there are learning_curves, final_"),
        (["RUN", "--x", "hours"], "invalid choice 'hours'"),
    ],
    ids=str,
)
def test_mistakes(arguments, message, runs, sweep_dir, mistakes_dir, capsys):
    paths = {"RUN": str(runs[0]), "SWEEP": str(sweep_dir)}
    arguments = [paths.get(argument, argument) for argument in arguments]
    assert message in error_of(["plot", *arguments], capsys)


def test_nothing_to_draw():
    histories = [history(seed) for seed in (0, 1)]
    for one in histories:
        one.metrics["mean_return"][:] = np.nan
    for few in (histories, histories[:1]):
        with pytest.raises(ValueError, match="no episode finished"):
            figure_of(few)


def test_intervals_of_arrays():
    samples = np.random.default_rng(0).normal(size=(5, 3))
    interval = mean_interval(samples)
    low, high = stats.t.interval(
        0.95, 4, loc=samples.mean(axis=0), scale=stats.sem(samples, axis=0)
    )
    np.testing.assert_allclose(interval.low, low)
    np.testing.assert_allclose(interval.high, high)
