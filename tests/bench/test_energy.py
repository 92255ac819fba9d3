"""Energy and conditions, read from a made-up machine: its packages, its GPUs."""

import json
import sys
from types import SimpleNamespace

import pytest

from purejaxrl_reinforce.bench import energy

LAST = 999_999_999


class NVMLError(Exception):
    pass


@pytest.fixture
def cpu(tmp_path, monkeypatch):
    """Two packages, and zones that are not: the first starts anew in the second of three calls."""
    values = {
        "package-0": [LAST - 999_999, 1_000_000, 2_000_000],
        "package-1": [0, 500_000, 500_000],
    }
    zones = {"0": "package-0", "1": "package-1", "0:0": "core", "2": "psys"}
    for zone, name in zones.items():
        path = tmp_path / f"intel-rapl:{zone}"
        path.mkdir()
        (path / "name").write_text(f"{name}\n")
        (path / "max_energy_range_uj").write_text(f"{LAST}\n")
        (path / "energy_uj").write_text(f"{values.get(name, [7])[0]}\n")
    monkeypatch.setattr(energy, "POWERCAP", tmp_path)
    looks = iter((1, 2))

    def work():
        i = next(looks)
        for zone in ("0", "1"):
            path = tmp_path / f"intel-rapl:{zone}" / "energy_uj"
            path.write_text(str(values[zones[zone]][i]))

    return SimpleNamespace(path=tmp_path, work=work)


@pytest.fixture
def gpus(monkeypatch):
    """NVML with two GPUs of 2 J per look, of which the second is slowed down."""
    looks = {0: 0, 1: 0}

    def energy_of(gpu):
        looks[gpu] += 1
        return 2_000 * looks[gpu]

    nvml = SimpleNamespace(
        NVMLError=NVMLError,
        NVML_CLOCK_SM=1,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda i: i,
        nvmlDeviceGetTotalEnergyConsumption=energy_of,
        nvmlDeviceGetClockInfo=lambda gpu, kind: 1_980,
        nvmlDeviceGetCurrentClocksThrottleReasons=lambda gpu: 0x44 * gpu + 1,
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setattr(energy.jax, "default_backend", lambda: "gpu")
    return nvml


@pytest.fixture
def clock(monkeypatch):
    """A second passes between two looks at the clock."""
    seconds = iter(range(100))
    monkeypatch.setattr(energy.time, "perf_counter", lambda: float(next(seconds)))


def fail(*_):
    raise NVMLError


def test_packages_add_up_across_a_counter_that_starts_anew(cpu, clock):
    found = energy.measure_energy(cpu.work, seconds=3)
    assert found == {"source": "RAPL", "joules": pytest.approx(3.5), "seconds": 3.0, "calls": 2}


def test_a_package_that_may_not_be_read_leaves_no_figure(cpu, monkeypatch):
    read_text = energy.Path.read_text

    def refuse(path, *arguments):
        if path == cpu.path / "intel-rapl:1" / "energy_uj":
            raise PermissionError(path)
        return read_text(path, *arguments)

    monkeypatch.setattr(energy.Path, "read_text", refuse)
    assert energy.measure_energy(cpu.work) is None


def test_all_gpus_add_up(gpus, clock):
    found = energy.measure_energy(lambda: None, seconds=2)
    assert found == {"source": "NVML", "joules": pytest.approx(4.0), "seconds": 2.0, "calls": 1}


@pytest.mark.parametrize("function", ["nvmlInit", "nvmlDeviceGetTotalEnergyConsumption"])
def test_gpus_without_a_counter_leave_no_figure(function, gpus):
    setattr(gpus, function, fail)
    assert energy.measure_energy(lambda: None) is None


def test_conditions_are_plain_values(gpus, tmp_path, monkeypatch):
    for i in range(2):
        path = tmp_path / f"cpu{i}" / "thermal_throttle"
        path.mkdir(parents=True)
        (path / "core_throttle_count").write_text("3\n")
    monkeypatch.setattr(energy, "CPUS", tmp_path)
    found = energy.conditions()
    assert json.loads(json.dumps(found)) == found
    assert (found["cpu_throttles"], found["gpu_mhz"]) == (6, [1_980] * 2)
    assert found["gpu_throttling"] == [[], ["power cap", "hardware thermal slowdown"]]


def test_conditions_of_a_machine_that_shows_none(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setattr(energy, "CPUS", tmp_path)
    monkeypatch.setattr(energy.psutil, "cpu_freq", lambda: None)
    found = energy.conditions()
    assert {name for name, value in found.items() if value is not None} == {"load"}
