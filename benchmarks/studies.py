"""Studies that stop when they are decided: how often they err, and what they save.

    python benchmarks/studies.py

simulates studies with the functions that decide in `sweep --until decided` and in the ranking of any
sweep. Scores are drawn from the distributions of coverage.py and from the agents that
results/sweeps.json keeps. Then trains one study twice, in processes of its own: policy_lr over eight
values, until decided and with 64 seeds each. Writes results/studies.json.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from coverage import DISTRIBUTIONS, RANKINGS
from harness import RESULTS, Table, finish, run

from purejaxrl_reinforce.execution.machine import measured_on
from purejaxrl_reinforce.output.json_text import parse_json
from purejaxrl_reinforce.sweeps.decisions import decide, look_sizes
from purejaxrl_reinforce.sweeps.power import POWERS, agents_until_decided, decided_share, plan_seeds

Draw = Callable[[np.random.Generator, int], np.ndarray]

MOST_SEEDS = 64


def of_normal(scores: Callable[[np.ndarray], np.ndarray], shift: float = 0.0) -> Draw:
    """Return draws from a distribution of coverage.py, lower by a shift of its normal numbers."""
    return lambda random, n: scores(random.standard_normal(n) - shift)


def of_agents(scores: Sequence[float], shift: float = 0.0) -> Draw:
    """Return draws from kept agents."""
    return lambda random, n: random.choice(scores, n) - shift


def kept_agents() -> dict[str, Sequence[float]]:
    """Return the scores of the agents that results/sweeps.json keeps."""
    rows = parse_json((RESULTS / "sweeps.json").read_text())["rows"]
    return {f"{row['agents']:,} agents of CartPole": row["scores"] for row in rows}


def studies(settings: Sequence[Draw], most: int, number: int, seed: int = 0):
    """Give the scores of simulated studies."""
    random = np.random.default_rng(seed)
    for _ in range(number):
        yield {i: draw(random, most) for i, draw in enumerate(settings)}


def equal_settings() -> dict[str, list[Draw]]:
    """Return settings none of which is worse than another."""
    draws = {name: of_normal(scores) for name, scores in DISTRIBUTIONS.items()}
    draws |= {name: of_agents(scores) for name, scores in kept_agents().items()}
    return {
        f"{count} equal settings: {name}": [draw] * count
        for name, draw in draws.items()
        for count in (2, 8, 27)
    }


def errors(number: int) -> list[dict[str, Any]]:
    """Count studies in which a setting is called worse that is none."""
    rows = []
    rankings = {name: list(map(of_normal, settings)) for name, settings in RANKINGS.items()}
    equal = equal_settings()
    for name, settings in (equal | rankings).items():
        found, k = {1: 0, len(look_sizes(MOST_SEEDS)): 0}, len(settings)
        for scores in studies(settings, MOST_SEEDS, number):
            for sizes in ([MOST_SEEDS], look_sizes(MOST_SEEDS)):
                left = decide(scores, sizes).left
                found[len(sizes)] += len(left) < k if name in equal else 0 not in left
        once, several = (count / number for count in found.values())
        rows.append({"settings": name, "number": k, "one_look": once, "all_looks": several})
        print(f"{name}: {once:.2%}, {several:.2%}", flush=True)
    return rows
