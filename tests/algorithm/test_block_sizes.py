"""Block sizes and platforms change neither what is played nor, beyond rounding, what is learned."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tests.support.probes  # noqa: F401  registers the probes
from purejaxrl_reinforce import init, train
from purejaxrl_reinforce.algorithm.blocks import equal_parts, num_groups
from purejaxrl_reinforce.algorithm.reinforce import collect
from tests.support.configs import TEXTBOOK

CONFIG = TEXTBOOK.replace(
    num_envs=24, num_steps=50, num_updates=4, hidden_sizes=(16,), policy_lr=1e-3
)
SETTINGS = {"lane_width": 8, "block_steps": 7, "block_rows": 100}
KINDS = [
    {"env": "FrozenLake-misc", "platform": "gpu"},
    {"env": "Pendulum-v1", "baseline": "loo"},
    {"rollout": "stream", "env": "Random-probe"},
    {"rollout": "stream", "bootstrap": True, "platform": "gpu"},
]


@pytest.mark.parametrize(
    "kind", [KINDS[0], *(pytest.param(x, marks=pytest.mark.slow) for x in KINDS[1:])], ids=str
)
def test_sizes_change_nothing_that_is_played(kind):
    usual = replace(CONFIG, **kind | {"platform": "auto"})
    state = init(usual, jax.random.key(0))
    ours, theirs = (jax.jit(collect)(c, state) for c in (replace(CONFIG, **SETTINGS | kind), usual))
    valid = np.asarray(theirs[2].valid)
    np.testing.assert_array_equal(ours[2].valid[:50], valid)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        if a.ndim > 1 and a.shape[0] >= 50:
            a, b = np.asarray(a)[:50][valid], np.asarray(b)[:50][valid]
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("platform", ["auto", pytest.param("gpu", marks=pytest.mark.slow)])
def test_sizes_change_nothing_that_is_learned(platform):
    changed = replace(CONFIG, platform=platform, **SETTINGS)
    ours, theirs = (train(config, jax.random.key(0))[0] for config in (changed, CONFIG))
    for a, b in zip(*map(jax.tree.leaves, (ours.params, theirs.params)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@settings(max_examples=500)
@given(total=st.integers(1, 10**9), longest=st.integers(1, 10**6))
def test_equal_parts_are_the_fewest_that_cover(total, longest):
    length = equal_parts(total, longest)
    assert 1 <= length <= longest
    assert -(-total // length) == -(-total // longest)
    assert -(-total // length) * length - total < -(-total // longest)


@settings(max_examples=500)
@given(lanes=st.integers(1, 10**6), width=st.integers(1, 10**6))
def test_groups_of_lanes_are_equal_and_as_narrow_as_powers_of_two_allow(lanes, width):
    groups = num_groups(lanes, width)
    assert lanes % groups == 0
    assert lanes // groups <= width or (lanes // groups) % 2
    assert groups == 1 or 2 * (lanes // groups) > width
