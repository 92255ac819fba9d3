"""Studies that stop when they are decided: how often they err, and what they save.

    python benchmarks/studies.py

trains one study twice, in processes of its own: policy_lr over eight values, until decided and with
64 seeds each. Then it simulates studies with the functions that decide in `sweep --until decided`
and in the ranking of any sweep. Scores are drawn from the distributions of coverage.py, from the
agents that results/sweeps.json keeps, and from those of the trained study. Writes
results/studies.json.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from coverage import DISTRIBUTIONS, RANKINGS
from harness import RESULTS, Table, finish, run

from purejaxrl_reinforce import load_sweep
from purejaxrl_reinforce.decisions.looks import decide, look_sizes
from purejaxrl_reinforce.decisions.power import POWERS, found_share, plan_seeds, set_apart
from purejaxrl_reinforce.execution.machine import started_on
from purejaxrl_reinforce.output.json_text import parse_json
from purejaxrl_reinforce.sweeps.summary import rank, scores_of_settings

Draw = Callable[[np.random.Generator, int], np.ndarray]
Scores = dict[int, np.ndarray]

SEEDS = 64
# Of which as many as 27 equal settings are simulated, a quarter as often.
MANY = ("normal", "30% of the seeds fail", "50% at the ceiling")
# Most seeds of the studies that are compared with fixed numbers.
MOST_SEEDS = (64, 128)
ERRORS = {"one_look": "wrong, one look", "all_looks": "wrong, all looks"}
STUDY = ("--num-updates", "10", "--axis", "policy_lr=log:0.003:0.3:8")


def of_normal(scores: Callable[[np.ndarray], np.ndarray], shift: float = 0.0) -> Draw:
    """Return draws from a distribution of coverage.py, of normal numbers that are shifted down."""
    return lambda random, n: scores(random.standard_normal(n) - shift)


def of_agents(scores: Sequence[float]) -> Draw:
    """Return draws from agents that were trained."""
    return lambda random, n: random.choice(scores, n)


def simulated(settings: Sequence[Draw], seeds: int, number: int, seed: int = 0) -> Iterator[Scores]:
    """Give the scores of so many studies."""
    random = np.random.default_rng(seed)
    for _ in range(number):
        yield {i: draw(random, seeds) for i, draw in enumerate(settings)}


def equal_settings() -> dict[str, list[list[Draw]]]:
    """Return lists of equal settings, by the name of their distribution."""
    draws = {name: of_normal(scores) for name, scores in DISTRIBUTIONS.items()}
    kept = parse_json((RESULTS / "sweeps.json").read_text())["rows"]
    draws |= {f"{row['agents']:,} agents": of_agents(row["scores"]) for row in kept}
    return {
        f"equal settings: {name}": [[draw] * n for n in ((2, 8, 27) if name in MANY else (2, 8))]
        for name, draw in draws.items()
    }


def errors(name: str, settings: Sequence[Draw], number: int) -> dict[str, Any]:
    """Count studies in which a setting is called worse that is none."""
    equal, k = name.startswith("equal"), len(settings)
    number = number if k <= 9 else -(-number // 4)
    wrong = dict.fromkeys(ERRORS, 0)
    for scores in simulated(settings, SEEDS, number):
        for kind, sizes in zip(ERRORS, ((), look_sizes(SEEDS)), strict=True):
            left = decide(scores, sizes).left
            wrong[kind] += len(left) < k if equal else 0 not in left
    shares = {kind: count / number for kind, count in wrong.items()}
    return {"kind": "errors", "name": name, "settings": k, "studies": number, **shares}


def agents_of(scores: Scores, most: int) -> tuple[bool, int]:
    """Return whether the first setting is found to be the best, and how many agents that takes."""
    decision, agents, before = decide(scores, look_sizes(most)), 0, 0
    for look in decision.looks:
        agents += (look.num_seeds - before) * (len(look.p_values) + 1)
        before = look.num_seeds
    return decision.left == [0], agents


def designs(study: Sequence[Sequence[float]]) -> dict[str, list[Draw]]:
    """Return settings of which the first is the best."""

    def apart(*shifts: float) -> list[Draw]:
        return [of_normal(DISTRIBUTIONS["normal"], shift) for shift in shifts]

    return {
        "2 settings, 1 deviation apart": apart(0, 1),
        "8 settings, all others 1 deviation lower": apart(0, *[1] * 7),
        "8 settings, each 1 deviation below the one before": apart(*range(8)),
        "27 settings, 1 to 9 deviations lower": apart(0, *np.linspace(1, 9, 26)),
        "the 8 learning rates of the trained study": list(map(of_agents, study)),
    }


def savings(name: str, settings: Sequence[Draw], most: int, number: int) -> dict[str, Any]:
    """Compare studies that stop with fixed numbers of seeds that decide as often."""
    found = [agents_of(scores, most) for scores in simulated(settings, most, number)]
    power = float(np.mean([is_found for is_found, _ in found]))
    seeds = float(np.median([agents for _, agents in found])) / len(settings)

    def power_of(n: int) -> float:
        drawn = simulated(settings, n, number, seed=1)
        return float(np.mean([decide(scores).left == [0] for scores in drawn]))

    low, high = 9, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(middle) >= power else (middle, high)
    return {
        **{"kind": "savings", "name": f"{name}, at most {most} seeds", "settings": len(settings)},
        **{"studies": number, "power": power, "seeds": seeds, "fixed": high, "share": seeds / high},
    }


def promises(name: str, pilot: Scores, difference: float, number: int) -> list[dict[str, Any]]:
    """Compare the power that a plan promises with how often as many seeds decide."""
    populations, planned = set_apart(pilot, difference), plan_seeds(pilot, difference)
    common = {"kind": "plan", "settings": len(pilot), "studies": number}
    return [
        common | {"name": f"plan, {target:.0%}: {name}", "fixed": seeds, "promised": promised,
            "power": found_share(populations, seeds or 1, number, seed=2)}
        for target, (seeds, promised) in zip(POWERS, planned, strict=True)
    ]  # fmt: skip


def trained(directory: Path, name: str, *options: str) -> tuple[dict[str, Any], list[list[float]]]:
    """Run a sweep as a user would; return its row, and its settings' scores, the best first."""
    path = directory / "study"
    command = [sys.executable, "-m", "purejaxrl_reinforce", "sweep", *STUDY, *options]
    started = time.perf_counter()
    subprocess.run([*command, "--quiet", "--sweep-dir", str(path)], check=True)
    seconds = time.perf_counter() - started
    results = load_sweep(path)
    (ranking,) = rank(results)
    order = [summary.setting for summary in ranking.summaries]
    row = {
        **{"kind": "trained", "name": f"trained: {name}", "settings": len(order)},
        **{"command_seconds": seconds, "samples": [float(results.seconds.sum())]},
        **{"agents": results.num_trained, "seeds": results.num_trained / len(order)},
        **{"left": ranking.decision.left, "first": order[0]},
    }
    return row, [scores_of_settings(results)[i].round(2).tolist() for i in order]


def train_both(seeds: int) -> tuple[list[dict[str, Any]], list[list[float]]]:
    """Train the study until it is decided, confirm it, and train it with all seeds."""
    until = ("--until", "decided", "--max-seeds", str(seeds))
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        decided, _ = trained(Path(one), "until decided", *until, "--no-confirm")
        confirming, _ = trained(Path(one), "its confirmation, beside it", *until)
        fixed, scores = trained(Path(other), f"{seeds} seeds each", "--num-seeds", str(seeds))
    return [decided, confirming, fixed], scores


# Columns of the table, beside the errors: names, facts of a row, and how they are shown.
COLUMNS = {
    "power": ("power", ".1%"),
    "promised by a plan": ("promised", ".1%"),
    "seeds of a setting": ("seeds", ".1f"),
    "fixed number": ("fixed", ""),
    "share": ("share", ".0%"),
    "seconds": ("command_seconds", ".1f"),
}


def table(result: dict[str, Any]) -> Table:
    """Return the errors, the worst of all numbers of settings, the savings, and the plans."""
    rows, lines = result["rows"], []
    for name in dict.fromkeys(row["name"] for row in rows):
        own = [row for row in rows if row["name"] == name]
        counts = ", ".join(str(row["settings"]) for row in own)
        found = {kind: [row[kind] for row in own if kind in row] for kind in ERRORS}
        worst = [f"{max(shares):.1%}" if shares else "" for shares in found.values()]
        facts = [format(own[0][x], how) if x in own[0] else "" for x, how in COLUMNS.values()]
        lines.append([name, counts, *worst, *facts])
    return Table("studies", ["", "settings", *ERRORS.values(), *COLUMNS], lines)


def main(studies: int = 2_000, seeds: int = SEEDS, results: Path = RESULTS) -> None:
    """Train and simulate studies.

    Args:
        studies: that are simulated per row; a quarter where fixed numbers are compared.
        seeds: of the trained study.
        results: directory for the result.
    """
    rows, scores = train_both(seeds)
    settings = [(name, draws) for name, found in equal_settings().items() for draws in found]
    settings += [(name, list(map(of_normal, draws))) for name, draws in RANKINGS.items()]
    rows += [errors(name, draws, studies) for name, draws in settings]
    compared = [(*design, most) for design in designs(scores).items() for most in MOST_SEEDS]
    rows += [savings(*design, -(-studies // 4)) for design in compared]
    random = np.random.default_rng(0)
    normal = {i: random.standard_normal(16) - 3 * i for i in range(3)}
    pilot = {i: np.array(x[:16]) for i, x in enumerate(scores)}
    for name, x, difference in (("1 deviation", normal, 1.0), ("learning rates, 50", pilot, 50.0)):
        rows += promises(name, x, difference, studies)
    result = {**started_on(), "studies": studies, "rows": rows, "scores": scores}
    finish(results, "studies", result, None, table)


if __name__ == "__main__":
    run(main)
