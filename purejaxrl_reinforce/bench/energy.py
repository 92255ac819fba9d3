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
    counters = rapl_counters() if on_cpu else nvml_counters()
    if not counters:
        return None
    before, joules, calls = [counter.read() for counter in counters], 0.0, 0
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
    """Return a counter of each CPU package, [] unless all can be read."""

    def value(zone: Path, name: str) -> int:
        return int((zone / name).read_text())

    with contextlib.suppress(OSError):
        zones = sorted(POWERCAP.glob("intel-rapl:*"))
        # Other zones are parts of a package, or the whole machine.
        packages = [x for x in zones if (x / "name").read_text().startswith("package")]
        reads = [functools.partial(value, zone, "energy_uj") for zone in packages]
        for read in reads:
            read()
        lasts = [value(zone, "max_energy_range_uj") for zone in packages]
        return [Counter(read, 1e-6, last) for read, last in zip(reads, lasts, strict=True)]
    return []


def nvml_counters() -> list[Counter]:
    """Return a counter of each NVIDIA GPU, [] unless all can be read."""
    nvml, gpus = _nvml()
    if nvml is None:
        return []
    reads = [functools.partial(nvml.nvmlDeviceGetTotalEnergyConsumption, gpu) for gpu in gpus]
    with contextlib.suppress(nvml.NVMLError):
        for read in reads:
            read()
        return [Counter(read, 1e-3, 2**64 - 1) for read in reads]
    return []


def conditions() -> dict[str, Any]:
    """Return clocks in MHz, throttling and load now; None is what cannot be read.

    `cpu_throttles` only grows: the difference to an earlier call is how often cores were slowed
    down in between. `gpu_throttling` has the reasons of each GPU.
    """
    counts = [int(path.read_text()) for path in CPUS.glob("cpu*/thermal_throttle/*_throttle_count")]
    gpu: dict[str, Any] = {"gpu_mhz": None, "gpu_throttling": None}
    nvml, gpus = _nvml()
    if nvml is not None:
        with contextlib.suppress(nvml.NVMLError):
            gpu["gpu_mhz"] = [nvml.nvmlDeviceGetClockInfo(x, nvml.NVML_CLOCK_SM) for x in gpus]
            masks = [nvml.nvmlDeviceGetCurrentClocksThrottleReasons(x) for x in gpus]
            gpu["gpu_throttling"] = [[x for x in _REASONS if _REASONS[x] & y] for y in masks]
    return {
        "cpu_mhz": _cpu_mhz(),
        "cpu_throttles": sum(counts) if counts else None,
        "load": os.getloadavg()[0],
        **gpu,
    }


def _cpu_mhz() -> float | None:
    """Return the mean clock of all cores."""
    with contextlib.suppress(OSError, NotImplementedError):
        if clock := psutil.cpu_freq():
            return float(clock.current)
    return None


def _nvml() -> tuple[Any, list[Any]]:
    """Return NVML, ready to be asked, and its GPUs; None and [] where there is none."""
    try:
        import pynvml
    except ImportError:
        return None, []
    with contextlib.suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        indices = range(pynvml.nvmlDeviceGetCount())
        return pynvml, [pynvml.nvmlDeviceGetHandleByIndex(i) for i in indices]
    return None, []
