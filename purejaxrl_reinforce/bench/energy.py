"""Energy that a measurement takes, and the conditions that it was taken under, where they show.

Energy is read from counters: RAPL's of the CPU packages (Linux, where often root alone may read
them) and NVML's of all NVIDIA GPUs of the machine (the extra `energy`). Nothing is estimated.
"""

import contextlib
import functools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import psutil

from purejaxrl_reinforce.bench.timing import Call

POWERCAP = Path("/sys/class/powercap")
CPUS = Path("/sys/devices/system/cpu")

# Of NVML's reasons for a lower clock, those that slow a measurement down.
_REASONS = {
    "power cap": 0x04,
    "hardware slowdown": 0x08,
    "software thermal slowdown": 0x20,
    "hardware thermal slowdown": 0x40,
    "power brake": 0x80,
}


class Counter(NamedTuple):
    """A counter of energy, in units of so many joules; having reached `last`, it starts anew."""

    read: Callable[[], int]
    joules: float
    last: int


def measure_energy(work: Call, seconds: float = 60.0) -> dict[str, Any] | None:
    """Repeat `work` until so many seconds have passed; return what energy that took.

    It should have run before: compiling takes energy, too. A counter may start anew once per call.

    Returns:
        `source` (RAPL with a CPU, NVML with a GPU), `joules`, `seconds` and `calls`; None where the
        counters of all packages or GPUs cannot be read.
    """
    on_cpu = jax.default_backend() == "cpu"
    try:
        counters = rapl_counters() if on_cpu else nvml_counters()
        before = [counter.read() for counter in counters]
    except Exception:  # of files, or of NVML; or it is not installed
        return None
    if not counters:
        return None
    joules, calls = 0.0, 0
    started = time.perf_counter()
    while (taken := time.perf_counter() - started) < seconds:
        jax.block_until_ready(work())
        after, calls = [counter.read() for counter in counters], calls + 1
        for counter, old, new in zip(counters, before, after, strict=True):
            joules += counter.joules * ((new - old) % (counter.last + 1))
        before = after
    source = "RAPL" if on_cpu else "NVML"
    return {"source": source, "joules": joules, "seconds": taken, "calls": calls}


def rapl_counters() -> list[Counter]:
    """Return a counter of each CPU package; an OSError says that one cannot be read."""

    def value(zone: Path, name: str) -> int:
        return int((zone / name).read_text())

    zones = sorted(POWERCAP.glob("intel-rapl:*"))
    return [
        Counter(
            functools.partial(value, zone, "energy_uj"), 1e-6, value(zone, "max_energy_range_uj")
        )
        for zone in zones
        # Other zones are parts of a package, or the whole machine.
        if (zone / "name").read_text().startswith("package")
    ]


def nvml_counters() -> list[Counter]:
    """Return a counter of each NVIDIA GPU; errors are those of `_nvml`."""
    nvml, gpus = _nvml()
    read = nvml.nvmlDeviceGetTotalEnergyConsumption
    return [Counter(functools.partial(read, gpu), 1e-3, 2**64 - 1) for gpu in gpus]


def conditions() -> dict[str, Any]:
    """Return clocks in MHz, throttling and load now; None is what cannot be read.

    `cpu_throttles` only grows: the difference to an earlier call is how often cores were slowed
    down in between. `gpu_throttling` has the reasons of each GPU.
    """
    counts = [int(path.read_text()) for path in CPUS.glob("cpu*/thermal_throttle/*_throttle_count")]
    gpu: dict[str, Any] = {"gpu_mhz": None, "gpu_throttling": None}
    with contextlib.suppress(Exception):  # there is no NVML
        nvml, gpus = _nvml()
        gpu["gpu_mhz"] = [nvml.nvmlDeviceGetClockInfo(x, nvml.NVML_CLOCK_SM) for x in gpus]
        masks = [nvml.nvmlDeviceGetCurrentClocksThrottleReasons(x) for x in gpus]
        gpu["gpu_throttling"] = [[x for x in _REASONS if _REASONS[x] & y] for y in masks]
    clock = None
    with contextlib.suppress(OSError, NotImplementedError):
        clock = psutil.cpu_freq()
    return {
        "cpu_mhz": float(clock.current) if clock else None,  # mean of all cores
        "cpu_throttles": sum(counts) if counts else None,
        "load": os.getloadavg()[0],
        **gpu,
    }


def _nvml() -> tuple[Any, list[Any]]:
    """Return NVML, ready to be asked, and its GPUs.

    Raises:
        ImportError, pynvml.NVMLError: there is none.
    """
    import pynvml

    pynvml.nvmlInit()
    indices = range(pynvml.nvmlDeviceGetCount())
    return pynvml, [pynvml.nvmlDeviceGetHandleByIndex(i) for i in indices]
