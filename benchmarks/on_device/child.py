"""Processes of their own, for what a process decides once: caches, flags, imports.

python -m on_device.child '{"what": "compile", "preset": "cartpole"}' prints one line of JSON.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).parent.parent
TIMEOUT = 300
# Of a GPU's memory, for the command itself and beside it for such a process.
OWN_MEMORY, CHILD_MEMORY = "0.80", "0.10"


def run(
    what: str,
    size: Any,
    num_envs: int,
    graphs: bool = True,
    cache: Path | None = None,
    num_updates: int | None = None,
) -> dict[str, Any]:
    """Run one of `probe`, `compile`, `update` and return what it found.

    Args:
        what: see `main`.
        size: a Size, whose `num_steps` and `repeats` count.
        num_envs: lanes of the preset cartpole.
        graphs: whether to leave the flags that make CUDA graphs of loops.
        cache: a directory for compiled programs; None: none is kept.
        num_updates: of a training; None: the preset's.

    Raises:
        RuntimeError: it failed, with its last line.
    """
    request = {
        "what": what,
        "num_envs": num_envs,
        "num_steps": size.num_steps,
        "num_updates": num_updates or size.updates,
        "repeats": size.repeats,
        "graphs": graphs,
    }
    paths = [str(BENCHMARKS), str(BENCHMARKS.parent), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "XLA_FLAGS": _flags_without_graphs(),
        "XLA_PYTHON_CLIENT_MEM_FRACTION": CHILD_MEMORY,
        "JAX_ENABLE_COMPILATION_CACHE": str(cache is not None).lower(),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    if cache is not None:
        environment["JAX_COMPILATION_CACHE_DIR"] = str(cache)
    done = subprocess.run(
        [sys.executable, "-m", "on_device.child", json.dumps(request)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _flags_without_graphs() -> str:
    from purejaxrl_reinforce.execution.jax_settings import CUDA_GRAPHS

    return os.environ.get("XLA_FLAGS", "").replace(CUDA_GRAPHS, "")


def main(request: dict[str, Any]) -> dict[str, Any]:
    """Import, compile a training and run it; return seconds of each.

    `probe` and `compile` do just that; `update` also times the training.
    """
    started = time.perf_counter()
    from dataclasses import replace

    from purejaxrl_reinforce.execution.jax_settings import use_all_cores, use_cuda_graphs

    use_all_cores()
    if request["graphs"]:
        use_cuda_graphs()
    import jax

    from purejaxrl_reinforce import preset
    from purejaxrl_reinforce.bench.timing import measure
    from purejaxrl_reinforce.execution.program import Program

    sizes = {name: request[name] for name in ("num_envs", "num_steps")}
    if request["num_updates"] is not None:
        sizes["num_updates"] = request["num_updates"]
    config = replace(preset("cartpole"), **sizes)
    jax.devices()
    imported = time.perf_counter()
    program = Program(config, jax.random.key(0))
    updates = min(config.num_updates, 20)
    _, metrics = program.advance(program.state, updates)
    found = {
        "import_seconds": imported - started,
        "compile_seconds": program.compile_seconds,
        "seconds_to_the_first_updates": time.perf_counter() - started,
    }
    if request["what"] == "update":
        timing = measure(
            {"update": lambda: program.advance(program.state, updates)}, request["repeats"]
        )["update"]
        steps = int(metrics.num_steps[:updates].sum())
        found |= {"sps": steps / timing.median, "samples": list(timing.samples)}
    return found


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
