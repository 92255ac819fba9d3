"""Strict settings for every test, and one cache of compiled programs for all processes."""

import gc
import os
import tempfile

import pytest

# Tests and the commands they start neither read nor fill the cache of whoever runs them. They share
# one of their own, which the process that starts the others makes before jax reads its settings.
# It holds small programs too: each file's tests start without any in memory, see below.
if "PYTEST_XDIST_WORKER" not in os.environ:
    _cache = tempfile.TemporaryDirectory()
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _cache.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
import jax

jax.config.update("jax_debug_key_reuse", True)
jax.config.update("jax_numpy_rank_promotion", "raise")

# Files with long tests, which start first, so that no process ends up alone with one.
LONG = (
    "test_documents.py",
    "test_processes.py",
    "test_faults.py",
    "test_sweep.py",
    "test_resume.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONG)


# Compiling takes half as long without optimizations, and sums then round as they please. That is
# for files that compare numbers to a tolerance, train little, and share no runs with other files.
UNOPTIMIZED = (
    "test_environment",
    "test_losses",
    "test_probes",
    "test_rollout",
    "test_transformations",
    "kernels.test_step",
)


@pytest.fixture(autouse=True, scope="module")
def _optimizations(request):
    without = request.module.__name__ in [f"tests.algorithm.{name}" for name in UNOPTIMIZED]
    jax.config.update("jax_disable_most_optimizations", without)


@pytest.fixture(autouse=True, scope="module")
def _forget_compiled_programs():
    """Free the memory mappings of the programs that a file's tests have compiled.

    On the CPU a compiled training program keeps some 800 of them. A process with 80 programs
    reaches Linux's limit (vm.max_map_count, 65,530) and dies of a segmentation fault in the middle
    of a compilation.
    """
    yield
    jax.clear_caches()
    gc.collect()


@pytest.fixture(scope="session")
def finished_sweep(tmp_path_factory):
    """The directory of a finished sweep (`sweeps.GRID`), which no test may change."""
    from tests.support.sweeps import GRID, sweep_into

    return sweep_into(tmp_path_factory.mktemp("sweeps") / "grid", GRID)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A directory for compiled programs, of one file's commands: see `processes.command`."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """A finished run of `TINY` with seed 1 and a checkpoint of each update.

    Tests that change a run copy it first: `shutil.copytree(finished_run, tmp_path / "run")`.
    """
    from purejaxrl_reinforce import Hosting, train_run
    from tests.support.runs import TINY

    path = tmp_path_factory.mktemp("finished") / "run"
    train_run(TINY, 1, path, Hosting(checkpoint_every=1, keep=TINY.num_updates))
    return path
