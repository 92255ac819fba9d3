"""Sweeps: the time of a thousand seeds, and of PureJaxRL's 2,048 agents.

    python benchmarks/sweeps.py

runs `purejaxrl-reinforce sweep` twice, as a user would, each in a process and directory of its own:
1,024 seeds of the default preset, each of which has to be solved, and 2,048 agents with 500,000
environment steps each. That is what PureJaxRL's blog post (https://chrislu.page/blog/meta-disco)
reports of PPO on CartPole-v1, one A100, in about 98 seconds; ours is REINFORCE, with streams so
that every agent takes exactly that many steps. Writes results/sweeps.json and .png.
"""

import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from harness import RESULTS, run, save
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from purejaxrl_reinforce import SweepResults, load_sweep, preset
from purejaxrl_reinforce.bench.result_file import make_result
from purejaxrl_reinforce.output.text import print_table
from purejaxrl_reinforce.sweeps.store import load_plan, load_slices
from purejaxrl_reinforce.sweeps.summary import summarize

SEEDS, HEADLINE = "seeds of the default preset", "agents with 500,000 steps each"
# 64 lanes, as in the preset; 125 steps of each and 63 updates are 504,000.
STREAM = {"rollout": "stream", "num_steps": 125, "num_updates": 63}


def run_sweep(name: str, agents: int, settings: dict[str, Any]) -> tuple[dict, SweepResults]:
    """Run one sweep; return its row and its results."""
    options = [f"--{field.replace('_', '-')}={value}" for field, value in settings.items()]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "sweep"
        command = [
            *(sys.executable, "-m", "purejaxrl_reinforce", "sweep", "--quiet"),
            *("--num-seeds", str(agents), "--sweep-dir", str(path), *options),
        ]
        started = time.perf_counter()
        subprocess.run(command, check=True)
        wall = time.perf_counter() - started
        results = load_sweep(path)
        parts = [part for _, part in load_slices(path, load_plan(path)) if part is not None]
    (found,) = summarize(results)
    steps = results.metrics["env_steps"][0, :, -1]
    training = sum(part.seconds for part in parts)
    return {
        "name": f"{agents:,} {name}",
        "agents": agents,
        "settings": settings,
        "slices": len(parts),
        "largest_slice": max(len(part.agents) for part in parts),
        "command_seconds": wall,
        "samples": [training],
        "valid_steps": int(steps.sum()),
        "least_steps_of_an_agent": int(steps.min()),
        "sps": float(steps.sum() / training),
        "solved": found.num_solved,
        "worst": found.worst,
        "interquartile_mean": float(found.iqm.value),
        "env_steps_to_solve": found.env_steps,
        "updates_to_solve": found.updates,
    }, results


def draw(runs: dict[str, SweepResults]) -> Figure:
    """Draw how the agents of each sweep learn, and what they return at the end."""
    figure = Figure(figsize=(10, 3.6 * len(runs)), layout="constrained")
    rows = figure.subplots(len(runs), 2, squeeze=False)
    for (title, results), (left, right) in zip(runs.items(), rows, strict=True):
        _learning(left, results)
        left.set_title(title)
        right.hist(results.scores[0], bins=np.linspace(0, 500, 101), color="#0072B2")
        right.axvline(475, color="#D55E00", linestyle="--", label="solved")
        right.set(xlabel="mean return of 100 greedy episodes", ylabel="agents", yscale="log")
        right.set_title(f"after training: worst {results.scores.min():.1f}")
        right.legend(loc="upper left")
        right.grid(alpha=0.3)
    return figure


def _learning(axes: Axes, results: SweepResults) -> None:
    returns = results.metrics["mean_return"][0]
    updates = np.arange(1, returns.shape[1] + 1)
    for low, high, label in ((0, 100, "lowest to highest"), (25, 75, "middle half")):
        bounds = np.nanpercentile(returns, [low, high], axis=0)
        axes.fill_between(updates, *bounds, color="#0072B2", alpha=0.25, linewidth=0, label=label)
    axes.plot(updates, np.nanmedian(returns, axis=0), color="#0072B2", label="median agent")
    axes.set(xlabel="update", ylabel="mean return of the update's episodes")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")


def main(
    seeds: int = 1024,
    agents: int = 2048,
    num_updates: int | None = None,
    results: Path = RESULTS,
) -> None:
    """Run both sweeps.

    Args:
        seeds: of the default preset.
        agents: with streams.
        num_updates: of both; None: the preset's, and as many as make 500,000 steps.
        results: directory for the result.
    """
    fewer = {} if num_updates is None else {"num_updates": num_updates}
    row, found = run_sweep(SEEDS, seeds, fewer)
    headline_row, headline = run_sweep(HEADLINE, agents, STREAM | fewer)
    rows = [row, headline_row]
    config = preset("cartpole")
    figure = draw({row["name"]: found, headline_row["name"]: headline})
    save(results, "sweeps", make_result("sweeps", replace(config, **fewer), 0, rows), figure)
    print_table(
        "sweeps",
        ["", "command", "training", "environment steps", "SPS", "solved", "worst"],
        [
            [
                row["name"],
                f"{row['command_seconds']:,.1f} s",
                f"{row['samples'][0]:,.1f} s",
                f"{row['valid_steps']:,}",
                f"{row['sps']:,.0f}",
                f"{row['solved']} of {row['agents']}",
                f"{row['worst']:.1f}",
            ]
            for row in rows
        ],
    )


if __name__ == "__main__":
    run(main)
