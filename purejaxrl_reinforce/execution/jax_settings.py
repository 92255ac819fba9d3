"""Settings of jax that a command makes by itself; a library must leave them to its user."""

import functools
import os
import warnings
from pathlib import Path
from typing import Any

import jax

from purejaxrl_reinforce.execution.jax_private import compilation_cache

# XLA's flags with which a GPU runs a whole training as one CUDA graph: loops go into graphs. The
# pass that is left out puts copies between kernels whose places the host works out, which breaks
# graphs apart.
CUDA_GRAPHS = (
    "--xla_gpu_enable_command_buffer=+WHILE --xla_disable_hlo_passes=fusion-dynamic-memcpy-rewriter"
)

NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


def setup(cache: str | Path | None = None) -> None:
    """Let jax use all cores of a CPU and CUDA graphs of a GPU, and keep compiled programs.

    Call it at the top of a script or notebook, before anything else uses jax; the command line does
    so by itself. Settings that the user has made in the environment stay.

    Args:
        cache: the directory of the compiled programs, which later processes take from it; nobody
            else should be able to write there. None: the one that jax has been told
            (JAX_COMPILATION_CACHE_DIR), else one in the user's cache directory, or none where that
            cannot be written.

    Raises:
        OSError: `cache` cannot be made or written.

    Example:
        >>> from purejaxrl_reinforce import setup
        >>> setup()
    """
    if not use_all_cores():
        remedy = "call setup() first, before gymnax or an environment is imported"
        warnings.warn(f"jax has started already, on one core: {remedy}", stacklevel=2)
    use_cuda_graphs()
    try:
        enable_compilation_cache(cache)
    except OSError:  # no place to keep anything: compile each time
        if cache is not None:
            raise


@functools.cache
def all_devices() -> list[jax.Device]:
    """Return jax's devices; warn once where these are one core of a CPU that has more."""
    if _has_idle_cores():
        warnings.warn(
            f"training uses one of {usable_cores()} cores: call purejaxrl_reinforce.setup() before"
            " jax is used, or set JAX_NUM_CPU_DEVICES",
            stacklevel=3,
        )
    return jax.devices()


def _has_idle_cores() -> bool:
    """Return whether jax has one core of a CPU that has more, by default."""
    is_one_core = jax.device_count() == 1 and jax.devices()[0].platform == "cpu"
    return is_one_core and usable_cores() > 1 and not _is_number_of_devices_set()


def use_all_cores() -> bool:
    """Make a CPU one device per usable core, unless the user has set a number of devices.

    The small operations of an update gain nothing from XLA's threads; lanes sharded over
    devices gain all of a core. Returns False where jax has started already with one device.
    """
    if not _is_number_of_devices_set():
        try:
            jax.config.update("jax_num_cpu_devices", usable_cores())
        except RuntimeError:
            return not _has_idle_cores()
    return True


def _is_number_of_devices_set() -> bool:
    flags = os.environ.get("XLA_FLAGS", "")
    return "JAX_NUM_CPU_DEVICES" in os.environ or "host_platform_device_count" in flags


def missing_devices() -> str:
    """Return why jax has no devices to compute on, "" where it has some."""
    try:
        jax.devices()
    except Exception as error:  # of each backend its own
        return (
            "jax has no devices, see the environment variables JAX_PLATFORMS and"
            f" JAX_NUM_CPU_DEVICES: {str(error) or 'no such platform'}"
        )
    return ""


def enable_compilation_cache(path: str | Path | None = None) -> None:
    """Keep compiled programs in a directory, see `setup`.

    Raises:
        OSError: the directory cannot be made or written.
    """
    is_default = path is None and jax.config.values.get("jax_compilation_cache_dir") is None
    if is_default:
        import platformdirs

        path = Path(platformdirs.user_cache_dir("purejaxrl_reinforce")) / "compiled"
    if path is not None:
        directory = Path(path).absolute()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_default:
            directory.chmod(0o700)
        if not os.access(directory, os.W_OK):
            raise PermissionError(f"cannot write to {directory}")
        jax.config.update("jax_compilation_cache_dir", str(directory))
    # The default keeps only programs that took a second to compile.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    _drop_unreadable_programs()


def _drop_unreadable_programs() -> None:
    """Let jax remove a program from its cache that it cannot read, as a full disk may leave one.

    By itself it warns and keeps it, at every start anew.
    """
    cache: Any = compilation_cache
    read = cache.get_executable_and_time

    def read_or_remove(key: str, *args: Any) -> Any:
        try:
            return read(key, *args)
        except Exception:  # of decompression, or of XLA
            path = Path(jax.config.values["jax_compilation_cache_dir"], f"{key}-cache")
            path.unlink(missing_ok=True)
            return None, None

    if read.__module__ != __name__:
        cache.get_executable_and_time = read_or_remove


def use_cuda_graphs(driver: Path = NVIDIA_DRIVER) -> None:
    """Let an NVIDIA GPU, which has the file of a driver, run loops as CUDA graphs.

    XLA itself leaves loops out where the driver cannot (before CUDA 12.3). A flag that the user has
    set stays.
    """
    given = os.environ.get("XLA_FLAGS", "")
    if driver.exists() and not any(x.partition("=")[0] in given for x in CUDA_GRAPHS.split()):
        os.environ["XLA_FLAGS"] = f"{given} {CUDA_GRAPHS}".strip()


def usable_cores() -> int:
    """Return the number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
