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
from purejaxrl_reinforce.evaluation.statistics import mean_interval
from purejaxrl_reinforce.output.checksums import load_arrays, save_arrays
from purejaxrl_reinforce.output.plots import MOST_CURVES
from purejaxrl_reinforce.reports.learning_curves import curves_figure, learning_curves
from purejaxrl_reinforce.runs.load import History, load_history
from purejaxrl_reinforce.runs.metrics_csv import MetricsFile
from purejaxrl_reinforce.sweeps.agents import load_sweep_histories
from purejaxrl_reinforce.sweeps.results import load_sweep
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
    config = Config(num_updates=num_updates, **fields)
    return History(Path(f"run-{seed}-{fields}"), config, seed, {**columns, **returns})


def texts(figure):
    (axes,) = figure.axes
    title = figure.legends[0].get_title().get_text()
    labels = [text.get_text().replace("\n", " ") for text in figure.legends[0].get_texts()]
    legend = [title, *labels] if title else labels
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
    (curve,), _ = learning_curves([history(seed=3)], "env_steps", 1)
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
    (curve,), _ = learning_curves([history(seed=s) for s in (0, 1, 2)], "env_steps", 1)
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
        "env=CartPole-v1, policy_lr=1, mean of 2 seeds with 95% t interval",
        "env=CartPole-v1, policy_lr=2, mean of 2 seeds with 95% t interval",
        "env=Acrobot-v1, policy_lr=0.5, seed 0",
    ]


def test_what_all_curves_have_in_common_is_said_once():
    histories = [history(seed, policy_lr=lr) for lr in (1.0, 2.0) for seed in (0, 1)]
    (_, _, _, legend) = texts(curves_figure(histories, "update", 1))
    assert legend == ["mean of 2 seeds with 95% t interval", "policy_lr=1", "policy_lr=2"]
    (_, _, _, legend) = texts(curves_figure(histories[::2], "update", 1))
    assert legend == ["seed 0", "policy_lr=1", "policy_lr=2"]


def cut(one, num_updates):
    return one._replace(metrics={name: x[:num_updates] for name, x in one.metrics.items()})


def test_a_curve_says_which_seeds_it_has():
    """One that diverged in its first update, one that did later, one without any episode."""
    seeds = [history(seed) for seed in range(5)]
    seeds[0], seeds[1] = cut(seeds[0], 0), cut(seeds[1], 3)
    seeds[2].metrics["mean_return"][:] = np.nan
    (curve,), _ = learning_curves(seeds, "update", 1)
    assert (curve.x[0], curve.x[-1]) == (1, 3)
    np.testing.assert_allclose(curve.mean[-1], 3 + np.mean([1, 3, 4]))
    assert curve.label == (
        "mean of 3 of 5 seeds with 95% t interval"
        " (no episode finished in the others; 1 stopped early)"
    )
    (curve,), _ = learning_curves([seeds[0], seeds[3]], "update", 1)
    assert curve.label == "1 of 2 seeds (no episode finished in the others)"
    assert curve.low is None


def test_what_cannot_be_drawn_stands_in_the_legend():
    nothing = [cut(history(seed, policy_lr=1.0), 0) for seed in (0, 1)]
    apart = [history(seed, policy_lr=2.0) for seed in (0, 1)]
    apart[1].metrics["update"][:] += 1000
    figure = curves_figure([*nothing, *apart, history(policy_lr=3.0)], "update", 1)
    (_, _, _, legend) = texts(figure)
    assert legend[0] == "policy_lr=1, 2 seeds: no episode finished"
    assert legend[1].endswith("t interval: no range of update in common")
    assert [len(line.get_xdata()) for line in figure.axes[0].lines] == [0, 0, 8]


@pytest.mark.parametrize("x", ["env_steps", "update"])
def test_settings_of_a_sweep_are_curves(x, sweep_dir):
    """The seeds' mean with its interval, smoothed, as their runs alone would give."""
    results = load_sweep(sweep_dir)
    figure = curves_figure(load_sweep_histories(sweep_dir), x, 2)
    title, xlabel, ylabel, legend = texts(figure)
    assert title == "CartPole-v1: REINFORCE, 4 runs"
    assert xlabel == {"env_steps": "environment steps", "update": "update"}[x]
    assert ylabel == "episode return\n(mean of the last 2 updates)"
    assert legend == ["mean of 2 seeds with 95% t interval", "policy_lr=0.1", "policy_lr=0.2"]
    assert len(figure.axes[0].collections) == 2
    for line, returns, steps in zip(
        figure.axes[0].lines,
        results.metrics["mean_return"].astype(float),
        results.metrics["env_steps"],
        strict=True,
    ):
        at = np.tile(np.arange(1.0, 7), (2, 1)) if x == "update" else steps
        ends = line.get_xdata()[-1]
        assert ends == at[:, -1].min()
        smoothed = (returns[:, 1:] + returns[:, :-1]) / 2
        expected = [np.interp(ends, *seed) for seed in zip(at[:, 1:], smoothed, strict=True)]
        np.testing.assert_allclose(line.get_ydata()[-1], np.mean(expected), rtol=1e-6)


def test_sweeps_and_runs_in_one_figure(runs, sweep_dir, tmp_path):
    path = tmp_path / "a.svg"
    arguments = [str(runs[0]), str(sweep_dir), str(runs[1])]
    assert main(["plot", *arguments, "--out", str(path)]) == 0
    text = path.read_text()  # whose comments have each line of text
    for line in ("CartPole-v1: REINFORCE, 6 runs", *(f"policy_lr={lr}" for lr in (0.01, 0.1, 0.2))):
        assert f"<!-- {line} -->" in text


def test_an_agent_ends_with_its_last_finite_update(sweep_dir, tmp_path):
    shutil.copy(sweep_dir / "sweep.json", tmp_path)
    arrays = load_arrays(sweep_dir / "results.npz")
    arrays["finite"][1, 0, 4:] = False
    save_arrays(tmp_path / "results.npz", arrays)
    histories = load_sweep_histories(tmp_path)
    assert [len(h.metrics["mean_return"]) for h in histories] == [6, 6, 4, 6]
    assert [(h.config.policy_lr, h.seed) for h in histories] == [
        (0.1, 0), (0.1, 1), (0.2, 0), (0.2, 1),
    ]  # fmt: skip
    (_, _, _, legend) = texts(curves_figure(histories, "update", 1))
    assert legend[1] == "policy_lr=0.2, mean of 2 seeds with 95% t interval (1 stopped early)"


def test_smoothing_looks_back():
    one = history(num_updates=5)
    one.metrics["mean_return"][:] = [1, 2, np.nan, 6, 10]
    (curve,), _ = learning_curves([one], "update", 3)
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
    with pytest.raises(ValueError, match="29 curves are too many; draw at most 28"):
        curves_figure([*histories, history(gamma=1.0)], "update", 1)


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
        (["SWEEP", "RUN", "SWEEP"], "have the same configuration and seed: give only one of them"),
        (["RUN", "unfinished"], "unfinished is not finished: it has no results.npz"),
        (["damaged"], "results.npz is damaged"),
        (["other"], "other/results.npz is damaged"),
        (["there.png"], "is the directory of neither"),
        (["none"], "none/metrics.csv: No such file"),
        (["empty"], "empty/metrics.csv has no update yet"),
        (["bad"], "bad/metrics.csv is damaged"),
        (["RUN", "RUN"], "have the same configuration and seed: give only one of them"),
        (["RUN", "--smooth", "0"], "smooth must lie between 1 and"),
        (["RUN", "--out", "a.pdf"], "--out must end in .png or .svg, not 'a.pdf'"),
        (["RUN", "--out", "there.png"], "there.png exists; choose another --out"),
        (["RUN", "--x", "hours"], "invalid choice 'hours'"),
    ],
    ids=str,
)
def test_mistakes(arguments, message, runs, sweep_dir, mistakes_dir, capsys):
    paths = {"RUN": str(runs[0]), "SWEEP": str(sweep_dir)}
    arguments = [paths.get(argument, argument) for argument in arguments]
    assert message in error_of(["plot", *arguments], capsys)


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
