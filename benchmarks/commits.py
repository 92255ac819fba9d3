"""Speed of two commits, measured in turn.

    python benchmarks/commits.py main HEAD
    python benchmarks/commits.py main HEAD --cases "64 lanes" "64 agents"
    python benchmarks/commits.py HEAD HEAD --pythons A/bin/python B/bin/python

checks both commits out beside each other, measures each case of both several times in turn, every
time in a new process, and prints how many times as long the new commit takes: the median ratio of
the pairs, with its 95% interval, and which rows changed by more than 5%. With two Pythons, which
may have different versions of jax, it compares these.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tyro
from harness import ROOT, Table, run

from purejaxrl_reinforce.bench.timing import paired_ratio
from purejaxrl_reinforce.output.json_text import parse_json
from purejaxrl_reinforce.output.text import print_table

# Smaller differences are within what two runs of one commit differ by.
LEAST_CHANGE = 0.05
# Options of `bench`, or of `sweep`.
CASES = {
    "64 lanes": ("bench", "--num-envs", "64", "--num-updates", "50"),
    "1,024 lanes": ("bench", "--num-envs", "1024", "--num-updates", "20"),
    "4,096 lanes": ("bench", "--num-envs", "4096", "--num-updates", "10"),
    "1,024 lanes, 2 x 64 tanh": (
        *("bench", "--num-envs", "1024", "--num-updates", "5"),
        *("--hidden-sizes", "64", "64", "--activation", "tanh"),
    ),
    "64 agents": ("sweep", "--num-seeds", "64", "--num-updates", "30"),
}

Seconds = dict[str, float]


@contextlib.contextmanager
def checked_out(commit: str, directory: Path) -> Iterator[Path]:
    """Check a commit out into a directory that goes afterwards.

    Raises:
        ValueError: there is no such commit.
    """
    git = ("git", "-C", str(ROOT), "worktree")
    added = subprocess.run(
        [*git, "add", "--detach", str(directory), commit], capture_output=True, text=True
    )
    if added.returncode:
        raise ValueError(added.stderr.strip().splitlines()[-1].removeprefix("fatal: "))
    try:
        yield directory
    finally:
        subprocess.run([*git, "remove", "--force", str(directory)], check=True)


def seconds_of(checkout: Path, cases: Sequence[str], python: str) -> Seconds:
    """Return what training and phases of each case take, with a checkout's code and a Python.

    Raises:
        ValueError: a command failed.
    """
    found: Seconds = {}
    for case in cases:
        verb, *options = CASES[case]
        with tempfile.TemporaryDirectory() as directory:
            out = Path(directory) / "out"
            if verb == "sweep":
                call(python, checkout, verb, "--quiet", "--sweep-dir", str(out), *options)
                slices = [np.load(path)["seconds"] for path in (out / "slices").glob("*.npz")]
                found[f"{case}, training"] = float(sum(x.sum() for x in slices))
                continue
            out = out.with_suffix(".json")
            call(python, checkout, verb, "--repeats", "3", "--out", str(out), *options)
            rows = parse_json(out.read_text())["rows"]
            found |= {f"{case}, {row['name']}": row["median"] for row in rows}
    return found


def call(python: str, checkout: Path, *options: str) -> None:
    """Run the command line of a checkout.

    Raises:
        ValueError: it failed.
    """
    done = subprocess.run(
        [python, "-m", "purejaxrl_reinforce", *options],
        env=os.environ | {"PYTHONPATH": str(checkout)},
        cwd=checkout,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise ValueError(f"{options[0]} of {checkout.name} failed: {done.stderr.strip()[-300:]}")


def table(old: Sequence[Seconds], new: Sequence[Seconds]) -> Table:
    """Return the ratio new / old of the rounds for each row that both have."""
    rows = []
    for name in (name for name in old[0] if name in new[0]):
        before, after = ([x[name] for x in rounds] for rounds in (old, new))
        ratio = paired_ratio(after, before)
        changed = "changed" if abs(ratio.value - 1) > LEAST_CHANGE else ""
        seconds = [f"{1e3 * statistics.median(x):,.1f}" for x in (before, after)]
        rows.append(
            [name, *seconds, f"{ratio.value:.2f}", f"{ratio.low:.2f} to {ratio.high:.2f}", changed]
        )
    columns = ["", "old, ms", "new, ms", "times as long", "95%", "by more than 5%"]
    return Table(f"{len(old)} rounds in turn", columns, rows)


def main(
    old: tyro.conf.Positional[str],
    new: tyro.conf.Positional[str] = "HEAD",
    rounds: int = 5,
    cases: tuple[str, ...] = tuple(CASES),
    pythons: tuple[str, str] = (sys.executable, sys.executable),
) -> None:
    """Compare.

    Args:
        old: commit to compare with.
        new: commit that may have changed something.
        rounds: how often each is measured.
        cases: what is measured.
        pythons: that run the old and the new commit.
    """
    if unknown := [case for case in cases if case not in CASES]:
        raise ValueError(f"no case is called {unknown[0]!r}; there are {'; '.join(CASES)}")
    with (
        tempfile.TemporaryDirectory() as directory,
        checked_out(old, Path(directory) / "old") as before,
        checked_out(new, Path(directory) / "new") as after,
    ):
        checkouts = list(zip((before, after), pythons, strict=True))
        pairs = [[seconds_of(x, cases, python) for x, python in checkouts] for _ in range(rounds)]
    print_table(*table(*zip(*pairs, strict=True)))


if __name__ == "__main__":
    run(main)
