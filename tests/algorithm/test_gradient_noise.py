"""The variance that is reported is the one that gradients of many batches have."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax

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
    """Return the policy's gradient, its noise, and the gradients of the lanes one by one."""
    trajectory = collect(config, state)[2]
    setup = make_setup(config)
    targets, statistics = make_targets(setup, state.params, trajectory)

    def gradient_of(lanes):
        part = trajectory._replace(valid=trajectory.valid & lanes[None])
        return gradients(setup, state.params, part, targets, statistics.num_steps)[0].policy

    lanes = jnp.eye(config.num_envs, dtype=bool)
    grad = gradient_of(lanes.any(axis=0))
    noise = gradient_noise(setup, state.params, trajectory, targets, statistics.num_steps, grad)
    return grad, noise, [gradient_of(lane) for lane in lanes]


def test_it_is_the_variance_over_batches():
    state = init(CONFIG, jax.random.key(0))
    keys = jax.vmap(jax.random.key)(jnp.arange(4_000))

    @jax.jit
    @jax.vmap
    def batch(key):
        return gradient_and_noise(CONFIG, state._replace(key=key))[:2]

    grads, noise = batch(keys)
    flat = np.concatenate([np.asarray(x).reshape(len(keys), -1) for x in jax.tree.leaves(grads)], 1)
    variance = flat.var(axis=0, ddof=1).sum()
    np.testing.assert_allclose(np.mean(noise["gradient_variance"]), variance, rtol=0.05)
    signal = (flat.mean(axis=0) ** 2).sum()
    mean_signal = np.mean(noise["gradient_snr"] * noise["gradient_variance"])
    np.testing.assert_allclose(mean_signal, signal, rtol=0.2, atol=0.02 * variance)


def test_lanes_in_blocks_are_lanes_one_by_one():
    config = TEXTBOOK.replace(
        num_envs=5, num_steps=30, hidden_sizes=(8,), gradient_noise=True, block_rows=100,
        entropy_coef=0.1, normalize_obs=True,
    )  # fmt: skip
    grad, noise, parts = jax.jit(gradient_and_noise)(config, init(config, jax.random.key(0)))
    whole, *squares = (optax.tree.norm(x, squared=True) for x in (grad, *parts))
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
