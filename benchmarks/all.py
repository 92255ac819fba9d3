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
    "scaling": ("scaling.py",),
    "hosting": ("hosting.py", "--num-updates", "3000"),
    "variance": ("variance.py",),
    "coverage": ("coverage.py",),
    "studies": ("studies.py",),
    **{name: ("presets.py", name) for name in PRESETS if name != "throughput"},
    "cartpole": ("presets.py", "cartpole", "--seeds", "256"),
    "cartpole-efficient": ("presets.py", "cartpole-efficient", "--seeds", "1024"),
    "classic": ("presets.py", "classic", "--seeds", "256"),
    "peers": ("peers/compare.py", "--keep", "--max-seconds", "90"),
}
# Results of the verb `bench`, with its options: this machine's of the standard workloads, and one
# wide update of each network.
WIDE = ("--num-envs", "2048", "--num-updates", "40")
BENCHES: dict[str, tuple[str, ...]] = {
    **{f"epyc-2-cores-{name}": ("--repeats", "9", "--workload", name) for name in STANDARDS},
    "wide": WIDE,
    "wide-tanh": (*WIDE, "--hidden-sizes", "64", "64", "--activation", "tanh"),
}


def main(names: tuple[str, ...] = (*BENCHES, *SCRIPTS), again: bool = False) -> None:
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
        if name not in SCRIPTS | BENCHES:
            known = ", ".join([*BENCHES, *SCRIPTS])
            raise ValueError(f"no result is called {name!r}; there are {known}")
        print(f"== {name}", flush=True)
        if name in BENCHES:
            bench = ["-m", "purejaxrl_reinforce", "bench", "--force", *BENCHES[name]]
            command = [*bench, "--out", str(path_of(name))]
        else:
            script, *options = SCRIPTS[name]
            command = [str(Path(__file__).parent / script), *options]
        if code := subprocess.run([sys.executable, *command]).returncode:
            raise ValueError(f"{name} ended with {code}; the same command goes on with it")


def path_of(name: str) -> Path:
    """Return where a result is kept."""
    folder = BOARD if "--workload" in BENCHES.get(name, ()) else RESULTS
    return folder / f"{name}.json"


if __name__ == "__main__":
    run(main)
