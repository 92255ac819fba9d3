"""Variance of the policy gradient with each baseline and normalization, on the same batches.

    python benchmarks/variance.py

trains CartPole-v1 with the baseline network, for several seeds, and every few updates estimates the
gradient of the same batch with each baseline (`gradient_noise`). Without normalization all of them
estimate the same gradient (with the mean of all N lanes, 1 - 1/N of it), so their variances can be
compared: the left panel has them relative to no baseline. Normalized gradients have another scale:
the other panels have signal-to-noise ratios. Means over the seeds with 95% intervals
(bootstrapped over seeds). Writes results/variance.json and .png.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from harness import RESULTS, Table, finish, run
from jax import Array
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from purejaxrl_reinforce import Config, init, step
from purejaxrl_reinforce.algorithm.losses import gradient_noise, gradients, make_targets
from purejaxrl_reinforce.algorithm.reinforce import collect
from purejaxrl_reinforce.algorithm.setup import make_setup
from purejaxrl_reinforce.algorithm.state import TrainState
from purejaxrl_reinforce.bench.result_file import make_result
from purejaxrl_reinforce.figures.style import styled

# Baseline and normalization of each estimate; the first is what variances are relative to.
KINDS = (
    *(("none", "none"), ("mean", "none"), ("loo", "none"), ("value", "none")),
    *(("none", "standardize"), ("value", "standardize"), ("value", "unit")),
)
_RESAMPLES = 2_000


def noise_of(config: Config, state: TrainState) -> tuple[Array, Array]:
    """Return variance and unbiased squared norm of the next gradient, by kind, [kinds] each."""
    trajectory = collect(config, state)[2]
    policy = state.params._replace(baseline=None)
    found = []
    for baseline, norm in KINDS:
        kind: Any = {"baseline": baseline, "advantage_norm": norm, "gradient_noise": True}
        setup = make_setup(replace(config, **kind))
        targets, statistics = make_targets(setup, state.params, trajectory)
        batch = (policy, trajectory, targets, statistics.num_steps)
        grads, _ = gradients(setup, *batch)
        found.append(tuple(gradient_noise(setup, *batch, grads.policy).values()))
    variance, snr = (jnp.stack(x) for x in zip(*found, strict=True))
    return variance, jnp.where(variance > 0, snr * variance, 0.0)


def measure(config: Config, seeds: int, every: int) -> dict[str, np.ndarray]:
    """Train `seeds` seeds; return variances and signals, [seeds, points, kinds]."""

    def point(state: TrainState, _: None) -> tuple[TrainState, tuple[Array, ...]]:
        noise = noise_of(config, state)
        return jax.lax.scan(lambda s, _: step(config, s), state, length=every)[0], noise

    @jax.jit
    def of_seed(key: Array) -> tuple[Array, ...]:
        points = config.num_updates // every
        return jax.lax.scan(point, init(config, key), length=points)[1]

    found = [jax.device_get(of_seed(jax.random.key(seed))) for seed in range(seeds)]
    names = ("variance", "signal")
    return {name: np.stack(x) for name, x in zip(names, zip(*found, strict=True), strict=True)}


def ratio_of_means(x: np.ndarray, y: np.ndarray) -> dict[str, list[float]]:
    """Return mean(x) / mean(y) over seeds, arrays [seeds, points], with bootstrapped intervals."""
    draws = np.random.default_rng(0).integers(0, len(x), (_RESAMPLES, len(x)))
    # Where all lanes have equal returns, a baseline of their mean leaves no variance: 0 / 0.
    with np.errstate(divide="ignore", invalid="ignore"):
        resampled = x[draws].mean(axis=1) / y[draws].mean(axis=1)
        value = x.mean(axis=0) / y.mean(axis=0)
    low, high = np.percentile(resampled, (2.5, 97.5), axis=0)
    found = {"value": value, "low": low, "high": high}
    return {name: [float(f"{number:.4g}") for number in x] for name, x in found.items()}


def label(row: dict[str, Any]) -> str:
    """Return the name of a kind for the legend."""
    names = {"mean": "mean of all lanes", "loo": "mean of the other lanes", "value": "network V(s)"}
    norms = {"none": "", "standardize": ", standardized", "unit": ", divided by their norm"}
    baseline = names.get(row["baseline"], row["baseline"])
    return f"{baseline}{norms[row['advantage_norm']]}"


@styled()
def draw(result: dict[str, Any]) -> Figure:
    """Draw relative variances, and signal-to-noise ratios, over the updates."""
    figure = Figure(figsize=(11, 4.6))
    figure.suptitle(
        f"Gradient of {result['config']['num_envs']} episodes of CartPole-v1: mean of"
        f" {result['seeds']} seeds, band: 95% interval"
    )
    left, middle, right = figure.subplots(1, 3)
    raw = [row for row in result["rows"] if row["advantage_norm"] == "none"]
    normalized = [row for row in result["rows"] if row not in raw]
    panels = (
        (left, raw, "relative_variance"),
        (middle, raw, "snr"),
        (right, normalized, "snr"),
    )
    for axes, rows, name in panels:
        for row in rows:
            found, updates = row[name], result["updates"]
            (line,) = axes.plot(updates, found["value"], label=label(row))
            band: Any = {"color": line.get_color(), "alpha": 0.15, "linewidth": 0}
            axes.fill_between(updates, found["low"], found["high"], **band)
        axes.set(xlabel="update", ylim=(0, None))
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15))
    left.set(title="variance, as a share of no baseline's")
    left.yaxis.set_major_formatter(PercentFormatter(1))
    right.sharey(middle)
    middle.set(title="signal-to-noise ratio")
    right.set(title="the same, advantages normalized")
    return figure


def table(result: dict[str, Any]) -> Table:
    """Return the first and last of the relative variances and of the signal-to-noise ratios."""

    def ends(found: dict[str, list[float]] | None) -> list[str]:
        return [f"{found['value'][i]:.3g}" if found else "" for i in (0, -1)]

    return Table(
        "variance relative to no baseline, and signal-to-noise ratio, at the first and last update",
        ["baseline", "first", "last", "SNR first", "SNR last"],
        [[label(r), *ends(r.get("relative_variance")), *ends(r["snr"])] for r in result["rows"]],
    )


def main(
    num_envs: int = 64,
    num_updates: int = 24,
    every: int = 2,
    seeds: int = 16,
    num_steps: int | None = None,
    results: Path = RESULTS,
) -> None:
    """Measure.

    Args:
        num_envs: episodes of a batch.
        num_updates: of each seed.
        every: updates between two measurements.
        seeds: to train.
        num_steps: most steps of an episode; None: the environment's limit.
        results: directory for the result.
    """
    config = Config(
        num_envs=num_envs, num_updates=num_updates, num_steps=num_steps, bootstrap=False,
        baseline_lr=0.1,
    )  # fmt: skip
    found = measure(config, seeds, every)
    variance, signal = found["variance"], found["signal"]
    rows: list[dict[str, Any]] = []
    for k, (baseline, norm) in enumerate(KINDS):
        row: dict[str, Any] = {
            "name": f"{baseline}, {norm}",
            "baseline": baseline,
            "advantage_norm": norm,
            "snr": ratio_of_means(signal[:, :, k], variance[:, :, k]),
        }
        if norm == "none":
            row["relative_variance"] = ratio_of_means(variance[:, :, k], variance[:, :, 0])
        rows.append(row)
    updates = list(range(0, num_updates - every + 1, every))
    result = make_result("variance", config, 0, rows, seeds=seeds, updates=updates)
    finish(results, "variance", result, draw, table)


if __name__ == "__main__":
    run(main)
