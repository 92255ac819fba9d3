"""Running statistics against NumPy's over the same valid steps; and what they do to learning."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tests.support.probes  # noqa: F401  registers the probes
from purejaxrl_reinforce import init, step
from purejaxrl_reinforce.algorithm.lanes import ONE_DEVICE
from purejaxrl_reinforce.algorithm.normalization import add_values, no_moments
from purejaxrl_reinforce.algorithm.reinforce import LARGEST_REWARD, collect, scale_rewards
from purejaxrl_reinforce.algorithm.setup import make_setup
from tests.support.configs import TEXTBOOK
from tests.support.learning import networks_of

EPISODES = TEXTBOOK.replace(
    num_envs=6, num_steps=40, hidden_sizes=(8,), normalize_obs=True, normalize_rewards=True
)
STREAM = replace(EPISODES, env="Random-probe", rollout="stream", num_steps=9)


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_moments_of_batches_are_those_of_all_values(offset):
    random = np.random.default_rng(0)
    batches = [np.float32(random.normal(offset, 2, size=(40, n, 3))) for n in (2, 30, 7)]
    # The second batch has no valid step.
    valids = [random.random(x.shape[:2]) < p for x, p in zip(batches, (0.6, 0, 0.6), strict=True)]
    moments = no_moments((3,))
    for x, valid in zip(batches, valids, strict=True):
        garbage = jnp.where(valid[..., None], x, jnp.nan)
        moments = add_values(moments, garbage, jnp.asarray(valid), ONE_DEVICE)
    values = np.concatenate([x[valid] for x, valid in zip(batches, valids, strict=True)])
    values = values.astype(np.float64)
    assert moments.number == len(values)
    np.testing.assert_allclose(moments.mean, values.mean(axis=0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(moments.var, values.var(axis=0), rtol=2e-5 if offset else 1e-6)


def test_small_values_have_their_own_variance_from_the_first_batch_on():
    x = 1e-4 * jax.random.normal(jax.random.key(0), (50, 20, 1))
    moments = add_values(no_moments((1,)), x, jnp.ones((50, 20), bool), ONE_DEVICE)
    np.testing.assert_allclose(moments.var, x.var(axis=(0, 1)), rtol=1e-5)


@pytest.fixture(scope="module", params=["episodes", "stream"])
def updates(request):
    """A configuration, its states before and after each of three updates, and what was played."""
    config = EPISODES if request.param == "episodes" else STREAM
    states, played = [init(config, jax.random.key(0))], []
    for _ in range(3):
        played.append(jax.jit(collect)(config, states[-1])[2])
        states.append(step(config, states[-1])[0])
    return config, states, played


def test_the_moments_of_observations_are_numpys(updates):
    _, states, played = updates
    obs = np.concatenate([np.asarray(t.obs)[np.asarray(t.valid)] for t in played])
    moments = states[-1].params.obs_moments
    np.testing.assert_allclose(moments.mean, obs.mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(moments.var, obs.var(axis=0), rtol=1e-5)


def test_the_moments_of_rewards_are_numpys(updates):
    """Each lane's discounted sum goes on from update to update until its episode ends."""
    config, states, played = updates
    sums, totals = np.zeros(config.num_envs), []
    for trajectory in jax.tree.map(np.asarray, played):
        for t in range(trajectory.valid.shape[0]):
            valid = trajectory.valid[t]
            sums[valid] = config.gamma * sums[valid] + trajectory.reward[t][valid]
            totals.extend(sums[valid])
            sums[trajectory.terminated[t] | trajectory.truncated[t]] = 0
    moments = states[-1].reward_moments
    np.testing.assert_allclose(moments.var, np.var(totals), rtol=1e-4)
    np.testing.assert_allclose(states[-1].reward_sums, sums, rtol=1e-4, atol=1e-6)
    assert np.any(sums) == (config.rollout == "stream")
    scaled = scale_rewards(make_setup(config), states[-2], played[-1])[0].reward
    expected = np.clip(played[-1].reward / np.std(totals), -LARGEST_REWARD, LARGEST_REWARD)
    np.testing.assert_allclose(
        np.where(played[-1].valid, scaled, 0), np.where(played[-1].valid, expected, 0), rtol=1e-4
    )


def test_networks_see_normalized_and_clipped_observations(updates):
    config, states, _ = updates
    networks = networks_of(replace(config, obs_clip=1.5))
    plain = networks_of(replace(config, normalize_obs=False))
    params = states[-1].params
    moments = params.obs_moments
    obs = moments.mean[None] + 9 * jax.random.normal(jax.random.key(2), (50, *moments.mean.shape))
    mean, var = np.asarray(moments.mean), np.asarray(moments.var)
    normalized = np.clip((np.asarray(obs) - mean) / np.sqrt(var + 1e-8), -1.5, 1.5)
    assert np.mean(np.abs(normalized) == 1.5) > 0.1
    np.testing.assert_allclose(
        networks.values(params, obs),
        plain.values(params._replace(obs_moments=None), normalized),
        rtol=1e-4,
        atol=1e-5,
    )
