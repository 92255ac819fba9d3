"""All published figures, measured one after the other at one commit.

    python benchmarks/all.py

runs every command below, each in a process of its own, and then writes the tables of the documents.
A result that was measured with today's package code is kept, so that the command goes on after an
interruption; results of other code are measured again. Takes hours on two cores, one of
them for the peers; nothing else should run beside it.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import documents
from documents import BOARD
from harness import RESULTS, is_current, run

from purejaxrl_reinforce.bench.standard import STANDARDS
from purejaxrl_reinforce.presets import PRESETS

# The name of a result, and the script that writes it with its options; the front page's first.
SCRIPTS: dict[str, tuple[str, ...]] = {
    "speedup": ("speedup.py",),
    "sweeps": ("sweeps.py",),
    "startup": ("startup.py",),
    "roofline": ("roofline.py",),
    "scaling": ("scaling.py",),
    "hosting": ("hosting.py", "--num-updates", "3000"),
    "variance": ("variance.py",),
    "coverage": ("coverage.py",),
    "studies": ("studies.py",),
    **{name: ("presets.py", name) for name in PRESETS if name != "throughput"},
    "cartpole": ("presets.py", "cartpole", "--seeds", "256"),
    "cartpole-efficient": ("presets.py", "cartpole-efficient", "--seeds", "1024"),
    "classic": ("presets.py", "classic", "--seeds", "256"),
    "peers": ("peers/compare.py",),
}
# This machine's results of the standard workloads.
WORKLOADS = {f"epyc-2-cores-{name}": name for name in STANDARDS}


def main(names: tuple[str, ...] = (*WORKLOADS, *SCRIPTS), again: bool = False) -> None:
    """Measure.

    Args:
        names: of results; all by default.
        again: measure those of today's package code again, too.
    """
    measure([name for name in names if again or not is_current(path_of(name))])
    documents.main()


def measure(names: Sequence[str]) -> None:
    """Run the scripts of some results.

    Raises:
        ValueError: there is no such result, or a script failed.
    """
    for name in names:
        if name not in SCRIPTS | WORKLOADS:
            known = ", ".join([*WORKLOADS, *SCRIPTS])
            raise ValueError(f"no result is called {name!r}; there are {known}")
        print(f"== {name}", flush=True)
        if name in WORKLOADS:
            bench = [
                "-m",
                "purejaxrl_reinforce",
                "bench",
                "--force",
                "--repeats",
                "9",
                "--workload",
            ]
            command = [*bench, WORKLOADS[name], "--out", str(path_of(name))]
        else:
            script, *options = SCRIPTS[name]
            command = [str(Path(__file__).parent / script), *options]
        if code := subprocess.run([sys.executable, *command]).returncode:
            raise ValueError(f"{name} ended with {code}; the same command goes on with it")


def path_of(name: str) -> Path:
    """Return where a result is kept."""
    return (BOARD if name in WORKLOADS else RESULTS) / f"{name}.json"


if __name__ == "__main__":
    run(main)
