"""What the machine could do, and what it takes: peaks, compilation, power."""

import shutil
import subprocess
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np

from on_device import child
from on_device.report import Row, Stage
from on_device.sizes import Size
from on_device.speed import ours, trained_params
from purejaxrl_reinforce import preset
from purejaxrl_reinforce.bench.peaks import measure_peaks


def stages(size: Size, seed: int) -> list[Stage]:
    """Return the stages."""
    return [
        Stage("roofline", "what are the device's peaks?", {"peaks": lambda: peaks(size)}),
        Stage("compile", "how long does compiling take?", {"cartpole": lambda: compiling(size)}),
        Stage("power", "how much power does training take?", {"xla": lambda: power(size, seed)}),
    ]


def peaks(size: Size) -> list[Row]:
    """Measure a matrix product in each precision, and a pass over memory."""
    rows = []
    for precision in size.precisions:
        with jax.default_matmul_precision(precision):
            found = measure_peaks()
        rows.append({"name": precision, **found._asdict()})
    return rows


def compiling(size: Size) -> list[Row]:
    """Start processes without and with a cache of compiled programs."""
    with tempfile.TemporaryDirectory() as directory:
        return [
            {"name": name, **child.run("compile", size, size.few, cache=Path(directory))}
            for name in ("cold", "cached")
        ]


def power(size: Size, seed: int) -> list[Row]:
    """Train for a few seconds while nvidia-smi reads watts; they are None if it cannot."""
    params = trained_params(seed, size.num_steps, size.training)
    config = replace(preset("cartpole"), num_envs=size.wide, num_steps=size.num_steps, engine="xla")
    call, steps = ours(config, params, size, seed)
    watts: list[float] = []
    stop = threading.Event()
    reader = threading.Thread(target=_read_watts, args=(watts, stop))
    reader.start()
    started, calls = time.monotonic(), 0
    try:
        while calls == 0 or time.monotonic() - started < size.seconds:
            call()
            calls += 1
    finally:
        seconds = time.monotonic() - started
        stop.set()
        reader.join()
    mean = float(np.mean(watts)) if watts else None
    sps = calls * steps / seconds
    return [
        {
            "name": "training",
            "num_envs": size.wide,
            "sps": sps,
            "watts": mean,
            "readings": len(watts),
            "microjoules_per_step": None if mean is None else 1e6 * mean / sps,
        }
    ]


def _read_watts(watts: list[float], stop: threading.Event) -> None:
    """Append the power of all GPUs together, again and again until told to stop."""
    command = ["nvidia-smi", "--query-gpu=power.draw", "--format=csv,noheader,nounits"]
    if shutil.which(command[0]) is None:
        return
    while not stop.is_set():
        try:
            read = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
            watts.append(sum(float(line) for line in read.stdout.split()))
        except (OSError, ValueError, subprocess.SubprocessError):  # "[N/A]", or no driver
            return
        stop.wait(0.2)
