"""All published figures, measured one after the other at one commit.

    python benchmarks/all.py

runs every script below, each in a process of its own, and then writes the tables of the documents.
A result that this commit has measured already is kept, so that the command goes on after an
interruption; results from other commits are measured again. Takes hours on two cores, one of
them for the peers; nothing else should run beside it.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import documents
from harness import RESULTS, run

from purejaxrl_reinforce.execution.machine import describe_commit
from purejaxrl_reinforce.output.json_text import parse_json
from purejaxrl_reinforce.presets import PRESETS

# Over 256 seeds, or by throughput.py.
MEASURED_OTHERWISE = ("cartpole", "classic", "throughput")

# The name of a result, and the script that writes it with its options; the front page's first.
SCRIPTS: dict[str, tuple[str, ...]] = {
    "speedup": ("speedup.py",),
    "time_to_solve": ("time_to_solve.py",),
    "sweeps": ("sweeps.py",),
    "startup": ("startup.py",),
    "roofline": ("roofline.py", "--lanes", "2048"),
    "throughput": ("throughput.py",),
    "scaling": ("scaling.py", "--lanes", "64", "256", "1024", "4096"),
    "hosting": ("hosting.py", "--num-updates", "3000"),
    "variance": ("variance.py",),
    "cartpole": ("presets.py", "cartpole", "--seeds", "256"),
    "classic": ("presets.py", "classic", "--seeds", "256"),
    **{name: ("presets.py", name) for name in PRESETS if name not in MEASURED_OTHERWISE},
    "peers": ("peers/compare.py",),
}


def is_of(commit: str | None, path: Path) -> bool:
    """Return whether a kept result was measured at this commit."""
    if commit is None or not path.is_file():
        return False
    return parse_json(path.read_text()).get("commit") == commit


def main(names: tuple[str, ...] = tuple(SCRIPTS), again: bool = False) -> None:
    """Measure.

    Args:
        names: of results; all by default.
        again: measure those of this commit again, too.
    """
    measure([name for name in names if again or not is_of(describe_commit(), _path(name))])
    documents.main()


def measure(names: Sequence[str]) -> None:
    """Run the scripts of some results.

    Raises:
        ValueError: there is no such result, or a script failed.
    """
    for name in names:
        if name not in SCRIPTS:
            raise ValueError(f"no result is called {name!r}; there are {', '.join(SCRIPTS)}")
        print(f"== {name}", flush=True)
        script, *options = SCRIPTS[name]
        command = [sys.executable, str(Path(__file__).parent / script), *options]
        if code := subprocess.run(command).returncode:
            raise ValueError(f"{script} ended with {code}; the same command goes on with it")


def _path(name: str) -> Path:
    return RESULTS / f"{name}.json"


if __name__ == "__main__":
    run(main)
