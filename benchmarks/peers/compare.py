"""Comparison with other trainers on CartPole-v1: steps per second, time to solve, who solves it.

    python benchmarks/peers/compare.py
    python benchmarks/peers/compare.py --peers ours,idiomatic,rejax --seeds 3

Each peer runs until it has solved the task or spent a budget, with its own batch, some again with
ours, in a process and, where its pins need one, a virtual environment of its own; those that can be
told run with both networks. All of them in turn for seed 0, then for seed 1, and so on. --keep
measures only what peers.json lacks, and where it is of another commit, the programs of this
repository again: each run names the commit that it was measured at. Writes peers.json, peers.png,
peers_solving.png and peers_curves.png into the results directory and prints a table.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from catalog import NETWORK_TITLES, OF_THIS_REPOSITORY, PEERS, Peer
from environments import InstallError, interpreter
from figure import FIGURES
from processes import Entry, RunError, ask, measured
from rich.console import Console
from summary import summarize
from table import table

from purejaxrl_reinforce.bench.result_file import write_result
from purejaxrl_reinforce.execution.machine import measured_on, now
from purejaxrl_reinforce.figures.style import save_figure
from purejaxrl_reinforce.output.json_text import parse_json
from purejaxrl_reinforce.output.text import print_table

FORMAT = 2
RESULTS = Path(__file__).parents[1] / "results"
RESULT = "peers.json"
# Time of a run beyond its training budget: imports, compiling, evaluations.
OVERHEAD_SECONDS = 300.0
# rejax splits a batch into 16 equal minibatches: 2 x 24 is the least of the kind.
SMOKE = {"seeds": 1, "num_envs": 2, "num_steps": 24, "max_env_steps": 96, "eval_episodes": 2}
SMOKE_SWEEP = {"lanes": [1, 2], "steps": [8], "slots": 64, "repeats": 1}


def parse(argv: Sequence[str] | None, peers: Mapping[str, Peer]) -> argparse.Namespace:
    """Return the options; bad ones end the program with one line and exit code 2."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.error = refuse
    add = parser.add_argument
    add("--peers", default=",".join(peers), help="which, with commas (default: %(default)s)")
    add("--seeds", type=int, default=5, help="seeds 0, 1, ... (default: 5)")
    add("--num-envs", type=int, default=64, help="lanes of the equal batch (default: 64)")
    add("--num-steps", type=int, default=500, help="steps of the equal batch (default: 500)")
    add(
        "--max-env-steps",
        type=int,
        default=3_200_000,
        help="environment steps of a run; ours and the idiomatic program lay their learning "
        "rates out for them (default: 3.2 million, 100 updates of the default equal batch)",
    )
    add("--max-seconds", type=float, default=120.0, help="training time of a run (default: 120)")
    add("--eval-episodes", type=int, default=100, help="of the final policy (default: 100)")
    add("--venvs", type=Path, default=Path(".peers"), help="the peers' environments")
    add("--results", type=Path, default=RESULTS, help="directory for the results")
    add("--keep", action="store_true", help="measure only what peers.json lacks")
    add("--smoke", action="store_true", help="the smallest sizes, to see that everything runs")
    options = parser.parse_args(argv)
    if options.smoke:
        vars(options).update(SMOKE)
    for name in ("seeds", "num_envs", "num_steps", "max_env_steps", "max_seconds", "eval_episodes"):
        if not getattr(options, name) > 0:
            refuse(f"--{name.replace('_', '-')} must be above 0, not {getattr(options, name)}")
    names = options.peers.split(",")
    for name in names:
        if name not in peers:
            refuse(f"unknown peer {name!r}; there are {', '.join(peers)}")
    options.peers = [peers[name] for name in names]
    return options


def refuse(message: str) -> NoReturn:
    """End with one line and the exit code of bad input."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def prepare(options: argparse.Namespace, console: Console) -> tuple[list[Entry], dict[str, str]]:
    """Make the environments; return what can run, and why the other peers cannot."""
    equal = {"num_envs": options.num_envs, "num_steps": options.num_steps}
    entries, missing = [], {}
    for peer in options.peers:
        try:
            python = interpreter(peer, options.venvs.absolute())
        except (InstallError, OSError) as error:
            missing[peer.name] = f"could not be installed: {error}"
            console.print(f"{peer.title} is left out: it {missing[peer.name]}", highlight=False)
            continue
        own = {}
        if peer.max_env_steps is not None and not options.smoke:
            own = {"max_env_steps": peer.max_env_steps}
        networks = {title: {"network": name} for name, title in NETWORK_TITLES.items()}
        if peer.network is not None:
            networks = {peer.network: {}}
        for network, told in networks.items():
            for variant in peer.batches:
                batch = equal if variant == "equal" else {}
                entries.append(Entry(peer, network, variant, python, {**own, **told, **batch}))
    return entries, missing


def with_best_batch(
    entries: list[Entry], options: argparse.Namespace, sweeps: dict[str, Any], console: Console
) -> list[Entry]:
    """Give the idiomatic program's own entries their fastest batches; complete `sweeps`."""
    chosen = []
    for entry in entries:
        if entry.peer.name == "idiomatic" and entry.variant == "own":
            if entry.network not in sweeps:
                sweeps[entry.network] = sweep_of_batches(entry, options, console)
            best = sweeps[entry.network].get("best", {})
            batch = {name: best[name] for name in ("num_envs", "num_steps") if best}
            entry = replace(entry, given={**entry.given, **batch})
        chosen.append(entry)
    return chosen


def sweep_of_batches(entry: Entry, options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Return the speed of an entry with each batch and the best of them, or the error."""
    request = {"mode": "sweep", **entry.given, **(SMOKE_SWEEP if options.smoke else {})}
    try:
        return ask(entry, request, timeout=options.max_seconds + OVERHEAD_SECONDS)
    except RunError as error:
        console.print(f"{entry.label}: the sweep failed: {error}", highlight=False)
        return {"error": str(error)}


def main(argv: Sequence[str] | None = None, peers: Mapping[str, Peer] = PEERS) -> None:
    """Measure the peers that the options name, all of `peers` by default."""
    options = parse(argv, peers)
    # A file or a pipe has no width of its own; 80 columns would break the table up.
    console = Console(width=None if sys.stdout.isatty() else 150)
    progress = Console(stderr=True)
    result = kept_result(options) if options.keep else new_result(options)
    entries, result["not_measured"] = prepare(options, progress)
    entries = with_best_batch(entries, options, result["idiomatic_sweeps"], progress)
    order = {entry.label: i for i, entry in enumerate(entries)}
    timeout = options.max_seconds + OVERHEAD_SECONDS
    for seed in range(options.seeds):
        had = {run["entry"] for run in result["runs"] if run["seed"] == seed}
        lacking = [entry for entry in entries if entry.label not in had]
        if had and not lacking:
            continue  # the date is that of the last measurement
        new = measured(lacking, seed, settings_of(options), timeout, progress.print)
        runs = [*result["runs"], *({**run, "commit": result["commit"]} for run in new)]
        runs.sort(key=lambda run: (run["seed"], order.get(run["entry"], len(order))))
        result |= {"date": now(), "runs": runs, "summary": summarize(runs)}
        result["settings"]["seeds"] = max(seed + 1, result["settings"]["seeds"])
        write_result(options.results / RESULT, result)
    show(result, peers, options.results, console)


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return what every run is told unless its entry says otherwise."""
    return {
        name: getattr(options, name) for name in ("max_env_steps", "max_seconds", "eval_episodes")
    }


def new_result(options: argparse.Namespace) -> dict[str, Any]:
    """Return a result without runs."""
    batch = {"num_envs": options.num_envs, "num_steps": options.num_steps}
    return {
        "format": FORMAT,
        **measured_on(),
        "settings": {**settings_of(options), "seeds": 0, "equal_batch": batch},
        "not_comparable": {peer.name: peer.caveat for peer in options.peers},
        "not_measured": {},
        "idiomatic_sweeps": {},
        "summary": [],
        "runs": [],
    }


def kept_result(options: argparse.Namespace) -> dict[str, Any]:
    """Return the result in the results directory, if more runs of the same can be added.

    Of another commit, the programs of this repository are left out. The other peers' code is
    pinned: their runs stay as long as machine and versions do.
    """
    path, new = options.results / RESULT, new_result(options)
    if not path.is_file():
        return new
    kept = parse_json(path.read_text())
    for name in ("machine", "versions"):
        if kept[name] != new[name]:
            refuse(f"{path} has another {name}: {kept[name]}, not {new[name]}")
    had, asked = (", ".join(sorted(of["not_comparable"])) for of in (kept, new))
    if had != asked:
        refuse(f"{path} has other peers: {had}, not {asked}")
    new["settings"]["seeds"] = kept["settings"]["seeds"]
    if kept["settings"] != new["settings"]:
        refuse(f"{path} has other settings: {kept['settings']}, not {new['settings']}")
    if kept["commit"] == new["commit"]:
        return kept
    others = [run for run in kept["runs"] if run["peer"] not in OF_THIS_REPOSITORY]
    runs = [{"commit": kept["commit"], **run} for run in others]
    return {**kept, "commit": new["commit"], "idiomatic_sweeps": {}, "runs": runs}


def show(
    result: dict[str, Any], peers: Mapping[str, Peer], results: Path, console: Console
) -> None:
    """Draw the figures; print the table, failures and caveats."""
    if result["runs"]:
        for name, draw in FIGURES.items():
            save_figure(draw(result), results / f"{name}.png")
        print_table(*table(result))
    for row in result["summary"]:
        for error in row["errors"]:
            console.print(f"{row['entry']} failed: {error}", highlight=False)
    for name, why in result["not_measured"].items():
        console.print(f"{peers[name].title} {why}", highlight=False)
    for name, caveat in result["not_comparable"].items():
        console.print(f"{peers[name].title}: {caveat}", highlight=False)


if __name__ == "__main__":
    main()
