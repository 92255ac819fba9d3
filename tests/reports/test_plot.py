"""The verb `plot`: curves of runs and sweeps in one figure, and what is refused."""

import shutil
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from purejaxrl_reinforce import plot
from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.runs.saved_run import load_run
from purejaxrl_reinforce.sweeps.outputs import sweep_figures
from purejaxrl_reinforce.sweeps.results import load_sweep
from purejaxrl_reinforce.sweeps.summary import rank
from tests.support.runs import TINY, error_of, write_config, write_metrics
from tests.support.sweeps import slices_of


@pytest.fixture(scope="module")
def runs(finished_run, tmp_path_factory):
    """Of two learning rates, two seeds each; all have the metrics of one run, but for a shift."""
    root, metrics = tmp_path_factory.mktemp("runs"), load_run(finished_run).metrics
    paths = [root / f"{lr}-{seed}" for lr in (0.01, 0.001) for seed in (0, 1)]
    for path in paths:
        lr, seed = map(float, path.name.split("-"))
        path.mkdir()
        write_config(path / "config.toml", replace(TINY, policy_lr=lr), seed=int(seed))
        shifted = metrics | {"mean_return": metrics["mean_return"] + 2 * seed + 500 * lr}
        write_metrics(path, shifted, 0.06)
    return paths


def labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_picture_of_runs(runs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["plot", *map(str, runs), "--x", "seconds"]) == 0
    assert capsys.readouterr().out == "curves.png\n"
    with Image.open("curves.png") as picture:
        assert picture.size[0] == 1050
    figure = plot(*runs, x="seconds")
    assert labels(figure)[:2] == ["policy_lr=0.01", "policy_lr=0.001"]
    first = figure.axes[0].lines[0]
    metrics = [load_run(run).metrics for run in runs[:2]]
    for name, drawn in zip(("seconds", "mean_return"), first.get_data(), strict=True):
        np.testing.assert_allclose(drawn, np.mean([x[name] for x in metrics], axis=0))


@pytest.mark.parametrize(
    ("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_force_replaces_pictures_of_ours_alone(suffix, start, runs, tmp_path, capsys):
    path = tmp_path / f"a.{suffix}"
    command = ["plot", str(runs[0]), "--out", str(path), "--smooth", "2", "--style", "paper"]
    path.write_bytes(start)
    assert "was not written by this command" in error_of([*command, "--force"], capsys)
    assert path.read_bytes() == start
    path.unlink()
    for force in ([], ["--force"]):
        assert main([*command, *force]) == 0
    assert path.read_bytes().startswith(start)


def test_settings_of_a_sweep_are_curves_the_best_first(finished_sweep):
    """`plot` draws them as the sweep's own figure does."""
    results = load_sweep(finished_sweep)
    own = sweep_figures(results, rank(results))["learning_curves"]
    drawn = plot(finished_sweep)
    assert labels(own) == labels(drawn)
    for line, other in zip(own.axes[0].lines, drawn.axes[0].lines, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), other.get_xydata())
        assert line.get_color() == other.get_color()


def test_sweeps_and_runs_in_one_figure(runs, finished_sweep, tmp_path):
    """A run beside the sweep that has its configuration is named by its directory."""
    alone = tmp_path / "alone"
    options = ["--setting", "0", "--seed", "5", "--run-dir", str(alone)]
    assert main(["extract", str(finished_sweep), *options]) == 0
    figure = plot(finished_sweep, alone)
    assert figure.get_suptitle() == "CartPole-v1: learning curves, 5 settings"
    assert any("grid" in label for label in labels(figure))
    assert any("alone" in label for label in labels(figure))
    assert len(labels(plot(runs[0], finished_sweep))) == 6


def test_other_figures_of_a_sweep(finished_sweep, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ["--figure", "final_returns", "--style", "paper"]
    assert main(["plot", str(finished_sweep), *options]) == 0
    with Image.open("final_returns.png") as picture:
        assert picture.size[0] == 990


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give at least one RUN or SWEEP"),
        (["nowhere"], "nowhere is not a run or sweep directory"),
        (["SWEEP", "--x", "seconds"], "no seconds are recorded for the agents of the sweep"),
        (["RUN", "unfinished"], "unfinished is not finished: "),
        (["none"], "none/metrics.csv: No such file"),
        (["RUN", "RUN"], "have the same configuration and seed: give only one of them"),
        (["RUN", "--smooth", "0"], "smooth must lie between 1 and"),
        (["RUN", "--out", "a.jpg"], "--out must end in .png or .svg or .pdf, not 'a.jpg'"),
        (["RUN", "--figure", "heatmap"], "the figure heatmap needs one SWEEP"),
    ],
    ids=str,
)
def test_mistakes(arguments, message, runs, finished_sweep, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "none").mkdir()
    write_config(tmp_path / "none" / "config.toml", TINY)
    shutil.copytree(finished_sweep, tmp_path / "unfinished")
    slices_of(tmp_path / "unfinished")[0].unlink()
    before = sorted(tmp_path.rglob("*"))
    paths = {"RUN": str(runs[0]), "SWEEP": str(finished_sweep)}
    assert message in error_of(["plot", *[paths.get(x, x) for x in arguments]], capsys)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_training_returns_is_drawn_into_given_axes(runs, finished_sweep):
    figure, (left, right) = plt.subplots(1, 2)
    assert plot(load_run(runs[0]), ax=left) is figure
    plot(load_sweep(finished_sweep), ax=right)
    alone = plot(runs[0]).axes[0]
    assert left.get_legend_handles_labels()[1] == alone.get_legend_handles_labels()[1]
    assert len(right.lines) == len(plot(finished_sweep).axes[0].lines)
    with pytest.raises(ValueError, match="ax is for learning_curves, not heatmap"):
        plot(finished_sweep, figure="heatmap", ax=left)
    plt.close(figure)
