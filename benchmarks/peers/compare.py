"""Comparison with other trainers on CartPole-v1: steps per second, time to solve, who solves it.

    python benchmarks/peers/compare.py
    python benchmarks/peers/compare.py --peers ours idiomatic --seeds 3

Each peer runs until it has solved the task or spent a budget, with its own batch, some again with
ours, in a process and, where its pins need one, a virtual environment of its own; those that can be
told run with both networks. All of them in turn for seed 0, then for seed 1, and so on. --keep
measures only what peers.json lacks, and where it is of another commit, the programs of this
repository again: each run names the commit that it was measured at. Writes peers.json and
peers.png into the results directory, and prints a table.
"""

import sys
from pathlib import Path
from typing import Any

import tyro
from catalog import PEERS
from figure import draw, table
from processes import Entry, PeerError, interpreter, measured
from protocol import NETWORKS

from purejaxrl_reinforce.bench.result_file import write_result
from purejaxrl_reinforce.execution.machine import now, started_on
from purejaxrl_reinforce.figures.style import save_figure
from purejaxrl_reinforce.output.json_text import parse_json
from purejaxrl_reinforce.output.text import print_table

RESULTS = Path(__file__).parents[1] / "results"
# Time of a run beyond its training budget: imports, compiling.
OVERHEAD_SECONDS = 300.0
# rejax splits a batch into 16 equal minibatches: 2 x 24 is the least of the kind.
SMOKE = {"num_envs": 2, "num_steps": 24}, {"max_env_steps": 96, "max_seconds": 120.0}


def prepared(
    names: tuple[str, ...], equal: dict[str, int], venvs: Path, smoke: bool
) -> tuple[list[Entry], dict[str, str]]:
    """Make the environments; return what can run, and why the other peers cannot.

    Args:
        names: of the peers.
        equal: the batch that all are run with.
        venvs: the directory of their environments.
        smoke: leave their own budgets aside.
    """
    entries, missing = [], {}
    for peer in (PEERS[name] for name in names):
        try:
            python = interpreter(peer, venvs.absolute())
        except PeerError as error:
            missing[peer.name] = f"could not be installed: {error}"
            print(f"{peer.title} {missing[peer.name]}", file=sys.stderr)
            continue
        own: dict[str, Any] = {}
        if peer.max_env_steps is not None and not smoke:
            own = {"max_env_steps": peer.max_env_steps}
        for network in [peer.network] if peer.network else NETWORKS:
            for variant in peer.batches:
                batch = equal if variant == "equal" else {}
                given = {**own, "network": network, **batch}
                entries.append(Entry(peer, network, variant, python, given))
    return entries, missing


def kept_result(path: Path, new: dict[str, Any]) -> dict[str, Any]:
    """Return `new` with the runs of the result at `path` that need not be measured again.

    Of another commit, the programs of this repository do. The other peers' code is pinned.

    Raises:
        ValueError: it was measured on another machine, with other versions or other settings.
    """
    if not path.is_file():
        return new
    kept = parse_json(path.read_text())
    for name in ("machine", "versions", "settings"):
        if not kept[name].items() <= new[name].items():  # facts may have been added
            raise ValueError(f"{path} has other {name}: {kept[name]}, not {new[name]}")
    if kept["commit"] == new["commit"]:
        return kept
    others = [run for run in kept["runs"] if PEERS[run["peer"]].own_environment]
    return {**new, "runs": [{"commit": kept["commit"], **run} for run in others]}


def main(
    peers: tuple[str, ...] = tuple(PEERS),
    seeds: int = 5,
    num_envs: int = 64,
    num_steps: int = 500,
    max_env_steps: int = 3_200_000,
    max_seconds: float = 120.0,
    venvs: Path = Path(".peers"),
    results: Path = RESULTS,
    keep: bool = False,
    smoke: bool = False,
) -> None:
    """Measure.

    Args:
        peers: which.
        seeds: how many: 0, 1, ...
        num_envs: lanes of the equal batch.
        num_steps: steps of the equal batch.
        max_env_steps: environment steps of a run; ours and the idiomatic program lay their learning
            rates out for them. By default 100 updates of the default equal batch.
        max_seconds: training time of a run.
        venvs: directory of the peers' environments.
        results: directory for the results.
        keep: measure only what peers.json lacks.
        smoke: the smallest sizes, to see that everything runs.
    """
    if unknown := [name for name in peers if name not in PEERS]:
        raise ValueError(f"unknown peer {unknown[0]!r}; there are {', '.join(PEERS)}")
    if min(seeds, num_envs, num_steps, max_env_steps, max_seconds) <= 0:
        raise ValueError("sizes and budgets must be above 0")
    equal = {"num_envs": num_envs, "num_steps": num_steps}
    budget = {"max_env_steps": max_env_steps, "max_seconds": max_seconds}
    equal, budget = SMOKE if smoke else (equal, budget)
    result: dict[str, Any] = {
        **started_on(),
        "settings": {**budget, "equal_batch": equal},
        "not_measured": {},
        "runs": [],
    }
    path = results / "peers.json"
    result = kept_result(path, result) if keep else result
    entries, result["not_measured"] = prepared(peers, equal, venvs, smoke)
    order = {entry.label: i for i, entry in enumerate(entries)}
    for seed in range(seeds):
        had = {run["entry"] for run in result["runs"] if run["seed"] == seed}
        lacking = [entry for entry in entries if entry.label not in had]
        if not lacking:
            continue  # the date is that of the last measurement
        new = measured(lacking, seed, budget, budget["max_seconds"] + OVERHEAD_SECONDS)
        runs = [*result["runs"], *({**run, "commit": result["commit"]} for run in new)]
        runs.sort(key=lambda run: (run["seed"], order.get(run["entry"], len(order))))
        result |= {"date": now(), "runs": runs}
        write_result(path, result)
    if result["runs"]:
        save_figure(draw(result), results / "peers.png")
        print_table(*table(result))


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
