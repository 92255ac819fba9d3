"""Strict settings for every test, and one cache of compiled programs for all processes."""

import gc
import importlib.metadata
import os
import shutil
import tempfile
from pathlib import Path

import hypothesis
import pytest

# Tests and the commands they start neither read nor fill the cache of whoever runs them. They share
# one of their own, which the process that starts the others makes before jax reads its settings, or
# which .ci/run names, so that its calls of pytest share one. It holds small programs too: processes
# that tests start have none in memory.
if "PYTEST_XDIST_WORKER" not in os.environ:
    _cache = tempfile.TemporaryDirectory()
    os.environ["JAX_COMPILATION_CACHE_DIR"] = os.environ.get("TESTS_CACHE", _cache.name)
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
import jax

jax.config.update("jax_debug_key_reuse", True)
jax.config.update("jax_numpy_rank_promotion", "raise")

# Most of the time goes into compiling. With these flags a training program takes 3 CPU seconds
# instead of 5.5, and 1 without optimizations. Where XLA_FLAGS is set, even to nothing, programs are
# compiled as users have them: .ci/run does so with what compares their bits.
QUICK_TO_COMPILE = "--xla_cpu_parallel_codegen_split_count=1"
if importlib.metadata.version("jaxlib").startswith("0.10."):  # XLA ends at a flag it does not know
    QUICK_TO_COMPILE += " --xla_cpu_use_fusion_emitters=false"

# Files with long tests, which start first, so that no process ends up alone with one.
LONG = (
    "tests/test_documents.py",
    "tests/runs/test_faults.py",
    "tests/execution/test_processes.py",
    "tests/sweeps/test_sweep.py",
    "tests/algorithm/test_learning.py",
)
# Programs of these files are optimized all the same: they train long, are measured, or give the
# same bits as another program only so.
OPTIMIZED = (
    "tests/test_documents.py",
    "tests/kernels/test_lane_vectors.py",
    "tests/kernels/test_rollout.py",
    "tests/algorithm/test_block_sizes.py",
    "tests/algorithm/test_learning.py",
    "tests/algorithm/test_values.py",
    "tests/bench/test_compile_for.py",
    "tests/bench/test_standard.py",
    "tests/diagnosis/test_doctor.py",
    "tests/execution/test_program.py",
    "tests/test_benchmarks.py",
)
# Of Linux's limit for a process (vm.max_map_count); a compiled training program keeps some 300.
MOST_MAPPINGS = 65_530 // 2
_FILE = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    # The same cases every time, but for those of --hypothesis-seed=DATE every night.
    hypothesis.settings.register_profile("fixed", derandomize=True)
    if config.getoption("--hypothesis-seed") is None:
        hypothesis.settings.load_profile("fixed")
    if config.option.markexpr in ("not slow", "slow"):
        os.environ.setdefault("XLA_FLAGS", QUICK_TO_COMPILE)


def file_of(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: (file_of(item) not in LONG, file_of(item) not in OPTIMIZED))


def pytest_collection_finish() -> None:
    """Let the garbage collector look at what tests make alone, and less often."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


def num_mappings() -> float:
    """Return how many memory mappings this process has; infinity where nobody counts them."""
    maps = Path("/proc/self/maps")
    return maps.read_bytes().count(b"\n") if maps.exists() else float("inf")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Optimize the programs of OPTIMIZED alone, and free those of earlier files in time.

    Not a fixture: those of the session come before those of a file. A process that reaches the
    limit of mappings dies of a segmentation fault in the middle of a compilation.
    """
    if item.config.stash.get(_FILE, None) == file_of(item):
        return
    item.config.stash[_FILE] = file_of(item)
    quick = os.environ.get("XLA_FLAGS") == QUICK_TO_COMPILE
    plain = quick and file_of(item) not in OPTIMIZED
    if (
        jax.config.values["jax_disable_most_optimizations"] != plain
        or num_mappings() > MOST_MAPPINGS
    ):
        jax.clear_caches()
        gc.collect()
    jax.config.update("jax_disable_most_optimizations", plain)
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = str(plain)  # for processes that tests start


@pytest.fixture(scope="session")
def finished_sweep(tmp_path_factory):
    """The directory of a finished sweep (`sweeps.GRID`), which no test may change."""
    from tests.support.sweeps import GRID, sweep_into

    return sweep_into(tmp_path_factory.mktemp("sweeps") / "grid", GRID)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """A finished run of `TINY` with seed 1 and a checkpoint of each update; tests change `run`."""
    from purejaxrl_reinforce import RunOptions, train_run
    from tests.support.runs import TINY

    path = tmp_path_factory.mktemp("finished") / "run"
    train_run(TINY, 1, path, RunOptions(checkpoint_every=1, keep=TINY.num_updates))
    return path


@pytest.fixture
def run(finished_run, tmp_path):
    """A copy of `finished_run`, which a test may change."""
    return shutil.copytree(finished_run, tmp_path / "run")
