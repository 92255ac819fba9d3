"""Block sizes and platforms change neither what is played nor, beyond rounding, what is learned."""

from dataclasses import replace

import jax
import numpy as np
import pytest

import tests.support.probes  # noqa: F401  registers the probes
from purejaxrl_reinforce import init, train
from purejaxrl_reinforce.algorithm.reinforce import collect
from tests.support.configs import TEXTBOOK

CONFIG = TEXTBOOK.replace(
    num_envs=24, num_steps=50, num_updates=4, hidden_sizes=(16,), policy_lr=1e-3
)
SETTINGS = [
    {"block_steps": 1, "block_rows": 1},
    {"lane_width": 8, "block_steps": 7, "block_rows": 100},
    {"platform": "gpu", "lane_width": 8, "block_steps": 7, "block_rows": 100},
]
KINDS = [
    {"rollout": "stream", "bootstrap": True},
    {"rollout": "stream", "env": "Random-probe"},
    {"env": "Pendulum-v1", "baseline": "loo"},
    {"env": "FrozenLake-misc"},
]
PLAYED = [
    (KINDS[3], SETTINGS[2]),
    *(pytest.param(*x, marks=pytest.mark.slow) for x in zip(KINDS[1:3], SETTINGS, strict=False)),
    *(pytest.param(KINDS[0], settings, marks=pytest.mark.slow) for settings in SETTINGS),
]


@pytest.mark.parametrize(("kind", "settings"), PLAYED, ids=str)
def test_sizes_change_nothing_that_is_played(kind, settings):
    config = replace(CONFIG, **kind)
    state = init(config, jax.random.key(0))
    usual, changed = (jax.jit(collect)(c, state) for c in (config, replace(config, **settings)))
    valid = np.asarray(usual[2].valid)
    np.testing.assert_array_equal(changed[2].valid[:50], valid)
    for a, b in zip(jax.tree.leaves(changed), jax.tree.leaves(usual), strict=True):
        if a.ndim > 1 and a.shape[0] >= 50:
            a, b = np.asarray(a)[:50][valid], np.asarray(b)[:50][valid]
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def usual():
    return train(CONFIG, jax.random.key(0))[0]


@pytest.mark.parametrize(
    "settings",
    [SETTINGS[1], *(pytest.param(s, marks=pytest.mark.slow) for s in SETTINGS[::2])],
    ids=str,
)
def test_sizes_change_nothing_that_is_learned(settings, usual):
    changed, _ = train(replace(CONFIG, **settings), jax.random.key(0))
    for a, b in zip(*map(jax.tree.leaves, (changed.params, usual.params)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
