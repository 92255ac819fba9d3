"""Strict settings for every test."""

import gc
import os

import jax
import pytest

# Tests neither read nor fill the cache of whoever runs them; nor do the commands they start.
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"
jax.config.update("jax_enable_compilation_cache", False)
jax.config.update("jax_debug_key_reuse", True)
jax.config.update("jax_numpy_rank_promotion", "raise")


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
