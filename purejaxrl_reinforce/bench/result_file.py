"""Result files of benchmarks: figures as JSON, and all that is needed to judge and repeat them.

The file beside this one, schema.json, is their JSON Schema. A result is checked when it is read.
"""

import dataclasses
import functools
import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from purejaxrl_reinforce.algorithm.reinforce import XLA, make_engine
from purejaxrl_reinforce.algorithm.setup import make_setup
from purejaxrl_reinforce.bench.timing import DONE, Timing
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.execution import machine
from purejaxrl_reinforce.output import files
from purejaxrl_reinforce.output.json_text import dump_json, parsed
from purejaxrl_reinforce.output.sealed import DamagedError
from purejaxrl_reinforce.output.text import number

# Changes whenever an older reader would misunderstand the file.
SCHEMA = "1.0"
# Of an interval's samples, outside of it on either side; and how many it takes to have one.
_TAIL = 0.025
FEWEST_FOR_INTERVAL = 6


def make_result(
    benchmark: str, config: Config, seed: int, rows: Sequence[Mapping[str, Any]], **facts: Any
) -> dict[str, Any]:
    """Return a result: `rows`, `facts`, machine, versions, flags, command and configuration.

    Only results of the same `benchmark` can be compared. Of each row `name` is unique; `samples`,
    where time was taken, are seconds.
    """
    return {
        "schema": SCHEMA,
        "generator": files.MARK,
        "benchmark": benchmark,
        **machine.started_on(),
        "flags": machine.describe_flags(),
        "config": dataclasses.asdict(config),
        "engine": "xla" if make_engine(make_setup(config)) is XLA else config.engine,
        "seed": seed,
        **facts,
        "rows": list(rows),
    }


def timed_row(name: str, timing: Timing, **facts: Any) -> dict[str, Any]:
    """Return a row of seconds per call with every sample, their minimum, median and interval."""
    return {
        "name": name,
        "min": timing.min,
        **estimate(timing.samples),
        "calls_per_sample": timing.calls_per_sample,
        **facts,
        "samples": [*timing.samples, *[None] * (timing.status != DONE)],
        "statuses": [*[DONE] * len(timing.samples), *[timing.status] * (timing.status != DONE)],
    }


def estimate(samples: Sequence[float]) -> dict[str, Any]:
    """Return the median of samples, and its 95% interval, between two of the ordered samples.

    Of fewer than six samples the interval is all that was seen: 94% with five, 75% with three.
    """
    ordered, n = sorted(samples), len(samples)
    outside = [sum(math.comb(n, i) for i in range(k + 1)) / 2**n for k in range((n + 1) // 2)]
    k = max(sum(share <= _TAIL for share in outside) - 1, 0)
    return {"median": statistics.median(ordered), "interval": [ordered[k], ordered[n - 1 - k]]}


def in_words(found: Mapping[str, Any]) -> str:
    """Return an `estimate` as `12.5 (11 to 13.25)`."""
    low, high = found["interval"]
    return f"{number(found['median'])} ({number(low)} to {number(high)})"


def write_result(path: Path, result: Mapping[str, Any]) -> None:
    """Write `result` as JSON."""
    with files.write_output(path) as unfinished:
        unfinished.write_text(dump_json(result))


def load_result(path: Path) -> dict[str, Any]:
    """Read a result.

    Raises:
        ValueError: there is none at `path`, or it is not as the schema says.
    """
    text = files.read_input(path)
    try:
        result: Any = json.loads(
            text, parse_float=_number, parse_int=_number, parse_constant=_number
        )
    except (ValueError, RecursionError):  # neither JSON nor text, or nested too deeply
        raise ValueError(f"{path} is not JSON of numbers that are finite") from None
    if not isinstance(result, dict) or result.get("schema") != SCHEMA:
        raise DamagedError(f"{path} is not a benchmark result of schema {SCHEMA}")
    try:
        _check()(result)
    except ValueError as error:
        raise DamagedError(f"{path} is damaged: {error!s:.200}") from None
    found: dict[str, Any] = parsed(result)
    return found


def _number(text: str) -> float:
    """Return a number of JSON, a whole one as int, or raise ValueError where no float holds it."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"not finite: {text:.20}")
    return int(value) if value.is_integer() and abs(value) < 2**63 else value


@functools.cache
def _check() -> Callable[[Any], Any]:
    """Return what raises a ValueError for a value that is not as the schema says."""
    import fastjsonschema

    schema = json.loads(Path(__file__).with_name("schema.json").read_text())
    check: Callable[[Any], Any] = fastjsonschema.compile(schema)
    return check
