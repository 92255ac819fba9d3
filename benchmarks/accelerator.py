"""Everything there is to know about a device, in one command: the first to run on a new one.

    python benchmarks/accelerator.py --minutes 8
    python benchmarks/accelerator.py --draw results/accelerator.json

checks that the device computes what the CPU computes, then measures: steps per second, phases,
variants of the program, time to solve, many agents, a PPO for scale, peaks, compilation and power.
Stages are independent: what fails is named, and so is what the time did not suffice for. Writes
accelerator.json and accelerator.md after every stage, and accelerator.png at the end, or later with
--draw where matplotlib is missing. Needs jax, flax, optax, chex, gymnax, NumPy and this checkout.
"""

import argparse
import functools
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from on_device import child
from on_device.sizes import SIZES, Size

RESULTS = Path(__file__).parent / "results"
STAGES = ("correctness", "sps", "phases", "variants", "solve", "agents", "ppo", "roofline",
          "compile", "power")  # fmt: skip


def make_stages(size: Size, seed: int) -> list[Any]:
    """Return all stages, in order."""
    from on_device import correctness, limits, outcomes, speed, variants

    return [
        correctness.stage(size, seed),
        speed.sps_stage(size, seed),
        speed.phases_stage(size, seed),
        variants.stage(size, seed),
        outcomes.solve_stage(size),
        outcomes.agents_stage(size),
        outcomes.ppo_stage(size, seed),
        *limits.stages(size, seed),
    ]


def prepare(size: Size) -> str:
    """Make jax's settings, before it starts; return what came of CUDA graphs of loops.

    They are flags that no device has run yet: a process of its own tries them first.
    """
    from purejaxrl_reinforce.execution.jax_settings import (
        NVIDIA_DRIVER,
        use_all_cores,
        use_cuda_graphs,
    )

    os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", child.OWN_MEMORY)
    use_all_cores()
    if not NVIDIA_DRIVER.exists():
        return "no NVIDIA driver"
    try:
        child.run("probe", size, size.few, num_updates=2)
    except Exception as error:
        return f"off, for a trial failed: {' '.join(str(error).split())[:300]}"
    use_cuda_graphs()
    return "on"


def draw(result: Mapping[str, Any]) -> Any:
    """Return the figure of a result."""
    from on_device import figure

    return figure.draw(result)


def draw_beside(path: Path) -> None:
    """Draw a result's picture beside it."""
    from purejaxrl_reinforce.bench.compare import load_result
    from purejaxrl_reinforce.figures.style import save_figure

    save_figure(draw(load_result(path)), path.with_suffix(".png"))


def measure(out: Path, name: str, stages: Sequence[str], minutes: float, seed: int) -> int:
    """Run stages and write what came of them; return how many cases failed."""
    started, size = time.monotonic(), SIZES[name]
    facts = {"size": name, "minutes": minutes, "cuda_graphs": prepare(size)}
    from on_device.report import run_stages, write_report

    out.mkdir(parents=True, exist_ok=True)
    chosen = [stage for stage in make_stages(size, seed) if stage.name in stages]
    write = functools.partial(write_report, out, **facts)
    left = 60 * minutes - (time.monotonic() - started)
    results = run_stages(chosen, left, write)
    print((out / "accelerator.md").read_text())
    try:
        draw_beside(out / "accelerator.json")
    except ImportError as missing:
        print(f"no picture ({missing}): draw it elsewhere with --draw", file=sys.stderr)
    return sum(len(stage["failed"]) for stage in results.values())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 also where cases failed, since results say so."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=8.0, help="budget; begun cases are ended")
    parser.add_argument("--size", choices=SIZES, default="full", help="tiny: a trial of the script")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES, help="some only")
    parser.add_argument("--out", type=Path, default=RESULTS, help="directory for the results")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--draw", type=Path, metavar="FILE", help="draw this result, no more")
    options = parser.parse_args(arguments)
    if options.draw is not None:
        draw_beside(options.draw)
        return 0
    sys.path.append(str(Path(__file__).parent.parent))  # of the package and its tests' references
    failed = measure(options.out, options.size, options.stages, options.minutes, options.seed)
    print(f"{failed} cases failed" if failed else "no case failed", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
