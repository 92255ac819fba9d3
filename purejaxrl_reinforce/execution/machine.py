"""Facts about the machine and software of a measurement, without host, user or directory names."""

import datetime
import importlib.metadata
import importlib.util
import os
import platform
import re
import resource
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import psutil

from purejaxrl_reinforce.execution.jax_settings import NVIDIA_DRIVER, usable_cores

_PACKAGES = ("purejaxrl_reinforce", "jax", "jaxlib", "numpy", "flax", "optax", "gymnax")
# What `result_settings` returns where the user has changed nothing.
USUAL_SETTINGS = {
    "jax_threefry_partitionable": True,
    "jax_random_seed_offset": 0,
    "jax_default_matmul_precision": None,
    "jax_enable_x64": False,
    "xla_result_flags": "",
}
# Parts of the names of XLA's flags that change results.
_RESULT_FLAGS = re.compile("fast_math|precision|determin|tf32|bf16|f16|ftz|denorm")


def started_on() -> dict[str, Any]:
    """Return the record of every start and result: date, commit, machine, versions, command line.

    Absolute paths in it are left out.
    """
    program = Path(sys.argv[0]).name.replace("__main__.py", "purejaxrl-reinforce")
    return {
        "date": now(),
        "commit": describe_commit(),
        "machine": describe_machine(),
        "versions": describe_versions(),
        "command": _without_paths(shlex.join([program, *sys.argv[1:]])),
    }


def in_words(started: Mapping[str, Any]) -> dict[str, str]:
    """Return a record of `started_on` as texts by topic."""
    here, versions = started["machine"], started["versions"]
    return {
        "date": str(started["date"]),
        "command": str(started["command"]),
        "machine": f"{machine_name(here)}, {here['memory_gib']} GiB, {here['system']}",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "commit": str(started["commit"] or "none: not run from a clone"),
    }


def describe_machine() -> dict[str, Any]:
    """Return processor, cores, memory, accelerators and their driver, operating system."""
    devices = jax.devices()
    return {
        "cpu": _cpu_model(),
        "cores": usable_cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "backend": jax.default_backend(),
        "device_kind": devices[0].device_kind,
        "devices": len(devices),
        "driver": driver_version(),
    }


def machine_name(machine: Mapping[str, Any]) -> str:
    """Return a result of `describe_machine` in a few words: the accelerator, or else the cores."""
    if machine["backend"] == "cpu":
        return f"{machine['cores']} cores of {machine['cpu']}"
    return f"{machine['devices']} x {machine['device_kind']}"


def driver_version() -> str | None:
    """Return the version of NVIDIA's driver, None without one."""
    if not NVIDIA_DRIVER.exists():
        return None
    version = re.search(r"\d+(\.\d+)+", NVIDIA_DRIVER.read_text())
    return version[0] if version else None


def describe_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that matter."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # run from its sources
            versions[package] = "not installed"
    return versions


def describe_flags() -> dict[str, Any]:
    """Return XLA_FLAGS, JAX_* variables and `result_settings`; paths in them are left out."""
    variables = {
        name: _without_paths(value)
        for name, value in sorted(os.environ.items())
        if name == "XLA_FLAGS" or name.startswith("JAX_")
    }
    return variables | result_settings()


def result_settings() -> dict[str, Any]:
    """Return the settings of jax, and the flags of XLA, that change random numbers or precision."""
    flags = [x for x in os.environ.get("XLA_FLAGS", "").split() if _RESULT_FLAGS.search(x)]
    settings = {name: jax.config.values[name] for name in USUAL_SETTINGS if name.startswith("jax_")}
    return settings | {"xla_result_flags": " ".join(sorted(flags))}


def result_device() -> str:
    """Return facts that change results beside these settings: kind of device, version of XLA."""
    kind = jax.devices()[0].device_kind
    kind = _cpu_model() if jax.default_backend() == "cpu" else kind
    return f"{kind}, jaxlib {importlib.metadata.version('jaxlib')}"


def require_result_settings(path: Path, settings: Mapping[str, Any]) -> None:
    """Raise ValueError unless jax has the settings of the training at `path`."""
    for name, here in result_settings().items():
        if (saved := settings.get(name)) != here:
            raise ValueError(
                f"{path} was trained with {name}={saved}, here it is {here}: results would differ"
            )


def describe_commit() -> str | None:
    """Return the commit of the checkout that this package runs from, None outside of one.

    It ends in "+changes" where files differ from that commit.
    """
    package = Path(__file__).resolve().parents[1]
    # An installed package may lie inside somebody else's repository.
    if not (package.parent / ".git").exists():
        return None
    command = ["git", "-C", str(package), "status", "--porcelain=v2", "--branch", "--", "."]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):  # no git, or not its checkout
        return None
    lines = done.stdout.splitlines()
    commit = lines[0].removeprefix("# branch.oid ")
    return commit if all(line.startswith("# ") for line in lines) else f"{commit}+changes"


def now() -> str:
    """Return date and time, UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def peak_process_bytes() -> int:
    """Return the most memory that this process has held so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def peak_device_bytes() -> int | None:
    """Return the most memory held on the first accelerator so far; None on a CPU."""
    stats = jax.devices()[0].memory_stats()
    return None if stats is None else int(stats["peak_bytes_in_use"])


def _without_paths(text: str) -> str:
    return re.sub(r"(?<![\w.])[~/][^\s,:]*", "PATH", text)


def _cpu_model() -> str:
    return _cpu_info("model name") or platform.processor() or platform.machine()


def cpu_features() -> str:
    """Return the name of the processor and the instructions that it has."""
    return f"{_cpu_model()} {_cpu_info('flags') or _cpu_info('Features')}"


def _cpu_info(name: str) -> str:
    """Return a fact about the first core from /proc/cpuinfo, else ""."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    values = [line.split(":", 1)[1].strip() for line in lines if line.startswith(name)]
    return values[0] if values else ""


def require_extra(extra: str, *modules: str) -> None:
    """Raise ValueError, with the line that installs `extra`, unless all `modules` are there."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise ValueError(
            f"this needs {' and '.join(missing)}: pip install '.[{extra}]' in a clone of the"
            " repository"
        )
