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
from harness import RESULTS, Table, draw_quantiles, finish, quantiles, run
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from purejaxrl_reinforce import load_sweep, preset
from purejaxrl_reinforce.bench.result_file import make_result
from purejaxrl_reinforce.bench.standard import STANDARDS
from purejaxrl_reinforce.execution.machine import machine_name
from purejaxrl_reinforce.figures.style import COLORS, GREEDY_RETURN, REFERENCE, styled
from purejaxrl_reinforce.sweeps.summary import summarize
from purejaxrl_reinforce.tasks import THRESHOLDS

SEEDS, HEADLINE = "seeds of the default preset", "agents with 500,000 steps each"
# Few lanes make many updates of these steps: 250. With the preset's 64 lanes and 63 updates, 36 of
# 2,048 agents do not end solved, with 16 lanes and 125 or 250 updates 4.
STREAM = {
    name: getattr(STANDARDS["cartpole-reinforce-sweep-v1"].config, name)
    for name in ("rollout", "num_envs", "num_steps", "num_updates", "policy_lr", "baseline_lr")
}


def run_sweep(name: str, agents: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Run one sweep; return its row."""
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
    (found,) = summarize(results)
    steps = results.metrics["env_steps"][0, :, -1]
    training = float(results.seconds.sum())
    return {
        "name": f"{agents:,} {name}",
        "agents": agents,
        "settings": settings,
        "command_seconds": wall,
        "samples": [training],
        "valid_steps": int(steps.sum()),
        "sps": float(steps.sum() / training),
        "solved": found.num_solved,
        "worst": found.worst,
        "curves": quantiles(results.metrics["mean_return"][0]),
        "scores": np.sort(results.scores[0]).round(2).tolist(),
    }


@styled()
def draw(result: dict[str, Any]) -> Figure:
    """Draw how the agents of each sweep learn, and what they return at the end."""
    rows, threshold = result["rows"], THRESHOLDS[result["config"]["env"]]
    figure = Figure(figsize=(8.5, 3.4 * len(rows)))
    figure.suptitle(f"CartPole-v1 on {machine_name(result['machine'])}")
    for row, (left, right) in zip(rows, figure.subplots(len(rows), 2, squeeze=False), strict=True):
        draw_quantiles(left, row["curves"], threshold)
        left.set_title(row["name"])
        left.legend(loc="lower right")
        scores = np.sort(row["scores"])
        # Each agent is seen, where a histogram of all would be one bar.
        number = np.arange(1, len(scores) + 1)
        right.step(scores, number, where="post", linestyle="-", marker="", color=COLORS[0])
        right.plot(scores[:30], number[:30], linestyle="none", marker="o", color=COLORS[0])
        right.axvline(threshold, label=f"solved: {threshold:g}", **REFERENCE)
        right.set(xlabel=GREEDY_RETURN, ylabel="agents with at most this return", yscale="log")
        right.yaxis.set_major_formatter("{x:,.0f}")
        right.yaxis.set_minor_formatter(NullFormatter())
        right.set_title(f"after training: worst {scores[0]:.1f}, {row['solved']:,} solved")
        right.legend(loc="upper left")
    return figure


def table(result: dict[str, Any]) -> Table:
    """Return the seconds, steps and solved agents of each sweep."""

    def cells(row: dict[str, Any]) -> list[str]:
        return [
            row["name"],
            f"{row['command_seconds']:,.1f} s",
            f"{row['samples'][0]:,.1f} s",
            f"{row['valid_steps'] / 1e9:.2f} billion",
            f"{row['sps'] / 1e6:.1f} million",
            f"{row['solved']:,} of {row['agents']:,}",
            f"{row['worst']:.1f}",
        ]

    return Table(
        "sweeps",
        ["", "whole command", "training", "environment steps", "SPS", "solved", "worst agent"],
        [cells(row) for row in result["rows"]],
    )


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
    rows = [run_sweep(SEEDS, seeds, fewer), run_sweep(HEADLINE, agents, STREAM | fewer)]
    result = make_result("sweeps", replace(preset("cartpole"), **fewer), 0, rows)
    finish(results, "sweeps", result, draw, table)


if __name__ == "__main__":
    run(main)
