"""Speed of two commits, measured in turn: what changed by more than 5%.

    python benchmarks/commits.py main HEAD

checks both commits out beside each other, runs `bench` of each several times in turn, and prints
every row whose time differs: the median ratio of the pairs, with its 95% interval.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import tyro
from harness import run

from purejaxrl_reinforce.bench.compare import paired_ratio
from purejaxrl_reinforce.output.json_text import parse_json
from purejaxrl_reinforce.output.text import print_table
from purejaxrl_reinforce.statistics import Interval

ROOT = Path(__file__).parent.parent
# Smaller differences are within what two runs of one commit differ by.
LEAST_CHANGE = 0.05

Medians = dict[str, float]


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


def bench(checkout: Path, options: Sequence[str]) -> Medians:
    """Return the median seconds of each row of `bench` of a checkout.

    Raises:
        ValueError: it failed.
    """
    out = checkout / "bench.json"
    command = [sys.executable, "-m", "purejaxrl_reinforce", "bench", *options, "--out", str(out)]
    done = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": str(checkout)},
        cwd=checkout,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise ValueError(f"bench of {checkout.name} failed: {done.stderr.strip()[-300:]}")
    rows = parse_json(out.read_text())["rows"]
    out.unlink()
    out.with_suffix(".png").unlink()  # or the next round is refused
    return {row["name"]: row["median"] for row in rows}


def changes(old: Sequence[Medians], new: Sequence[Medians]) -> dict[str, Interval]:
    """Return by row the ratio new / old of the rounds, where it differs from 1 by enough."""
    names = [name for name in old[0] if name in new[0]]
    ratios = {n: paired_ratio([x[n] for x in new], [x[n] for x in old]) for n in names}
    return {name: r for name, r in ratios.items() if abs(r.value - 1) > LEAST_CHANGE}


def main(
    old: tyro.conf.Positional[str],
    new: tyro.conf.Positional[str] = "HEAD",
    rounds: int = 5,
    num_envs: int = 1024,
    num_updates: int = 30,
) -> None:
    """Compare.

    Args:
        old: commit to compare with.
        new: commit that may have changed something.
        rounds: how often each is measured.
        num_envs: lanes.
        num_updates: of a training.
    """
    options = ["--num-envs", str(num_envs), "--num-updates", str(num_updates), "--repeats", "3"]
    with (
        tempfile.TemporaryDirectory() as directory,
        checked_out(old, Path(directory) / "old") as before,
        checked_out(new, Path(directory) / "new") as after,
    ):
        pairs = [(bench(before, options), bench(after, options)) for _ in range(rounds)]
    found = changes(*zip(*pairs, strict=True))
    if not found:
        print(f"no row of bench changed by more than {LEAST_CHANGE:.0%}")
        return
    rows = [[n, f"{r.value:.2f}", f"{r.low:.2f} to {r.high:.2f}"] for n, r in found.items()]
    print_table(f"{new} against {old}", ["", "times as long", "95%"], rows)


if __name__ == "__main__":
    run(main)
