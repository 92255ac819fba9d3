"""The clock: what it measures, that nothing compiles while it runs, and intervals of ratios."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purejaxrl_reinforce.bench.timing import (
    RecompilationError,
    cold_caches,
    measure,
    paired_ratio,
    ratio_of_medians,
)
from tests.support.settings import settings_of_jax


def test_compilation_is_cold_every_time():
    traced = []
    inner = jax.jit(lambda x: (traced.append(1), x * 2)[1])
    for _ in range(2):
        with cold_caches():
            jax.jit(lambda x: inner(x)).lower(1.0).compile()
    assert len(traced) == 2


def test_compilation_leaves_the_persistent_cache_alone(tmp_path):
    with settings_of_jax(
        jax_enable_compilation_cache=True,
        jax_compilation_cache_dir=str(tmp_path),
        jax_persistent_cache_min_compile_time_secs=0,
    ):
        x = jnp.ones(3)
        kept = set(tmp_path.iterdir())
        with cold_caches():
            jax.jit(lambda x: x - 4)(x).block_until_ready()
        assert set(tmp_path.iterdir()) == kept
        assert jax.config.values["jax_enable_compilation_cache"]


def test_functions_run_in_turn_and_every_sample_is_kept():
    order = []

    def wait(name, seconds):
        order.append(name)
        time.sleep(seconds)

    timings = measure({"a": lambda: wait("a", 0.02), "b": lambda: wait("b", 0.04)}, repeats=5)
    # Each is short, and runs once before its sample.
    assert order[-20:] == ["a", "a", "b", "b"] * 5
    assert [len(timing.samples) for timing in timings.values()] == [5, 5]
    assert timings["a"].calls_per_sample == 1
    assert 0.02 <= timings["a"].min <= timings["a"].median
    assert timings["b"].min >= 0.04


def test_a_function_that_recompiles_is_not_timed():
    growing = jax.jit(lambda x: x * 3)
    sizes = iter(range(1, 100_000))
    with pytest.raises(RecompilationError, match="traced or compiled while the clock ran"):
        measure({"growing": lambda: growing(np.ones(next(sizes)))}, repeats=2)


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    random = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        a, b = 1.5 * random.lognormal(0, 0.1, 15), random.lognormal(0, 0.1, 15)
        found = ratio_of_medians(a, b)
        assert found.low <= found.value <= found.high
        held += found.low <= 1.5 <= found.high
    assert held >= 180


def test_infinite_times_compare():
    assert ratio_of_medians([np.inf] * 5, [np.inf] * 5).value == 1
    assert ratio_of_medians([np.inf] * 5, [1.0] * 5).low == np.inf


def test_paired_ratios_cancel_what_disturbs_both():
    disturbance = np.random.default_rng(0).uniform(1, 10, 9)
    np.testing.assert_allclose(paired_ratio(2 * disturbance, disturbance), (2, 2, 2))
    with pytest.raises(ValueError, match="shorter"):
        paired_ratio(disturbance, disturbance[1:])
