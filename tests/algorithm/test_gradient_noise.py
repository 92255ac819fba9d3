"""The variance that is reported is the one that gradients of many batches have."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import tests.support.probes  # noqa: F401  registers the probes
from purejaxrl_reinforce import init, step
from purejaxrl_reinforce.algorithm.losses import gradient_noise, gradients, make_targets
from purejaxrl_reinforce.algorithm.reinforce import collect
from purejaxrl_reinforce.algorithm.setup import make_setup
from tests.support.configs import TEXTBOOK

CONFIG = TEXTBOOK.replace(
    env="MatchReward-probe", num_envs=6, hidden_sizes=(4,), baseline="none",
    advantage_norm="none", gradient_noise=True,
)  # fmt: skip


def gradient_and_noise(config, state):
    trajectory = collect(config, state)[2]
    setup = make_setup(config)
    targets, statistics = make_targets(setup, state.params, trajectory)
    batch = (state.params, trajectory, targets, statistics.num_steps)
    grad = gradients(setup, *batch)[0].policy
    return grad, gradient_noise(setup, *batch, grad)


def test_it_is_the_variance_over_batches():
    state = init(CONFIG, jax.random.key(0))
    keys = jax.vmap(jax.random.key)(jnp.arange(4_000))

    @jax.jit
    @jax.vmap
    def batch(key):
        return gradient_and_noise(CONFIG, state._replace(key=key))

    grads, noise = batch(keys)
    flat = np.concatenate([np.asarray(x).reshape(len(keys), -1) for x in jax.tree.leaves(grads)], 1)
    variance = flat.var(axis=0, ddof=1).sum()
    np.testing.assert_allclose(np.mean(noise["gradient_variance"]), variance, rtol=0.05)
    signal = (flat.mean(axis=0) ** 2).sum()
    mean_signal = np.mean(noise["gradient_snr"] * noise["gradient_variance"])
    np.testing.assert_allclose(mean_signal, signal, rtol=0.2, atol=0.02 * variance)


@pytest.mark.parametrize(
    "block_rows", [100, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 100_000))]
)
def test_lanes_in_blocks_are_lanes_one_by_one(block_rows):
    config = TEXTBOOK.replace(
        num_envs=5, num_steps=30, hidden_sizes=(8,), gradient_noise=True, block_rows=block_rows,
        entropy_coef=0.1, normalize_obs=True,
    )  # fmt: skip
    state = init(config, jax.random.key(0))
    grad, noise = jax.jit(gradient_and_noise)(config, state)
    trajectory = collect(config, state)[2]
    setup = make_setup(config)
    targets, statistics = make_targets(setup, state.params, trajectory)
    squares = []
    for n in range(5):
        lane = trajectory._replace(valid=trajectory.valid & (jnp.arange(5) == n)[None])
        part = gradients(setup, state.params, lane, targets, statistics.num_steps)[0].policy
        squares.append(optax.tree.norm(part, squared=True))
    whole = optax.tree.norm(grad, squared=True)
    variance = 5 / 4 * (sum(squares) - whole / 5)
    np.testing.assert_allclose(noise["gradient_variance"], variance, rtol=1e-4)
    np.testing.assert_allclose(noise["gradient_snr"], whole / variance - 1, rtol=1e-3)


def test_it_is_reported_where_asked_for_and_changes_nothing():
    plain = replace(CONFIG, gradient_noise=False)
    (measured, metrics), (other, without) = (
        step(config, init(config, jax.random.key(0))) for config in (CONFIG, plain)
    )
    jax.tree.map(np.testing.assert_array_equal, measured.params, other.params)
    assert metrics.gradient_variance > 0
    assert metrics.finite
    assert np.isnan([without.gradient_variance, without.gradient_snr]).all()
    assert without.finite
