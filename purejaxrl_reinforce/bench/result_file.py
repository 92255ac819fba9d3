"""Result files of benchmarks: figures as JSON, and all that is needed to judge and repeat them."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from purejaxrl_reinforce.algorithm.reinforce import XLA, make_engine
from purejaxrl_reinforce.algorithm.setup import make_setup
from purejaxrl_reinforce.bench.timing import Timing
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.execution import machine
from purejaxrl_reinforce.output import files
from purejaxrl_reinforce.output.json_text import dump_json

# Changes whenever an older reader would misunderstand the file.
FORMAT = 1


def make_result(
    benchmark: str, config: Config, seed: int, rows: Sequence[Mapping[str, Any]], **facts: Any
) -> dict[str, Any]:
    """Return a result: `rows`, `facts`, machine, versions, flags and configuration.

    Only results of the same `benchmark` can be compared. Of each row `name` is unique; `samples`,
    where time was taken, are seconds.
    """
    return {
        "format": FORMAT,
        "generator": files.MARK,
        "benchmark": benchmark,
        **machine.measured_on(),
        "flags": machine.describe_flags(),
        "config": dataclasses.asdict(config),
        "engine": "xla" if make_engine(make_setup(config)) is XLA else config.engine,
        "seed": seed,
        **facts,
        "rows": list(rows),
    }


def timed_row(name: str, timing: Timing, **facts: Any) -> dict[str, Any]:
    """Return a row of seconds per call with minimum, median and every sample."""
    return {
        "name": name,
        "min": timing.min,
        "median": timing.median,
        "calls_per_sample": timing.calls_per_sample,
        **facts,
        "samples": list(timing.samples),
    }


def write_result(path: Path, result: Mapping[str, Any]) -> None:
    """Write `result` as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.atomic_write(path) as unfinished:
        unfinished.write_text(dump_json(result))
