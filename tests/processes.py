"""Real training processes, for tests of what a process can suffer."""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent


def command(*arguments, cache=None, devices=1, variables=None, **options):
    """Start the command line; `cache` is a directory for compiled programs, which saves seconds."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **(variables or {})}
    if cache is not None:
        environment |= {
            "JAX_ENABLE_COMPILATION_CACHE": "true",
            "JAX_COMPILATION_CACHE_DIR": str(cache),
            "JAX_NUM_CPU_DEVICES": str(devices),
        }
    return subprocess.Popen(
        [sys.executable, "-m", "purejaxrl_reinforce", *map(str, arguments)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


def num_rows(run_dir):
    """Return how many updates the metrics of a run directory have, 0 where it has no metrics."""
    path = run_dir / "metrics.csv"
    return max(path.read_text().count("\n") - 1, 0) if path.exists() else 0


def wait_for_rows(process, run_dir, rows, timeout=120):
    """Wait until the run has done so many updates, or its process has ended."""
    deadline = time.monotonic() + timeout
    while num_rows(run_dir) < rows and process.poll() is None:
        assert time.monotonic() < deadline, "training makes no progress"
        time.sleep(0.02)
