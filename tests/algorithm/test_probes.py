"""Training on probe environments finds their known values and policies."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tests.support.probes  # noqa: F401  registers the probes
from purejaxrl_reinforce import train
from tests.support.configs import TEXTBOOK
from tests.support.learning import networks_of

ROLLOUTS = ["episodes", pytest.param("stream", marks=pytest.mark.slow)]
OBS = jnp.array([[-1.0, 0.0], [1.0, 0.0]])


def trained(env, **changes):
    config = TEXTBOOK.replace(
        **{"env": env, "num_envs": 64, "num_updates": 200, "gamma": 0.9, "hidden_sizes": (16,),
           "policy_lr": 1e-2, "baseline_lr": 1e-2, **changes}
    )  # fmt: skip
    state, metrics = train(config, jax.random.key(0))
    return networks_of(config), state, metrics


def probability_of_one(networks, params, obs):
    return jax.nn.softmax(networks.distribution(params, obs).logits)[:, 1]


@pytest.mark.parametrize(
    ("baseline", "norm"),
    [("value", "unit"), ("none", "standardize"), ("mean", "none"), ("loo", "none")],
)
def test_policy_and_values_of_the_match_probe(baseline, norm):
    networks, state, metrics = trained("MatchReward-probe", baseline=baseline, advantage_norm=norm)
    np.testing.assert_allclose(probability_of_one(networks, state.params, OBS), [0, 1], atol=0.05)
    assert metrics.entropy[-1] < 0.2 < metrics.entropy[0]
    if baseline == "value":
        np.testing.assert_allclose(networks.values(state.params, OBS), [1, 1], atol=0.1)


def test_policy_of_squashed_actions_that_depend_on_the_state():
    """Actions reach the environment in its own box, and the greedy ones too."""
    networks, state, metrics = trained(
        "Edge-probe", num_updates=400, action="squash", log_std="state", initial_std=0.5
    )
    means = networks.policy.to_env(networks.distribution(state.params, OBS).mode())[:, 0]
    np.testing.assert_allclose(means, [2, 3], atol=0.15)
    assert metrics.mean_return[-1] > -0.1


@pytest.mark.parametrize("rollout", ROLLOUTS)
@pytest.mark.parametrize(
    ("env", "changes", "value"),
    [
        ("Cut-probe", {"bootstrap": True}, 2),
        ("Cut-probe", {"bootstrap": True, "normalize_obs": True}, 2),
        ("CutAndEnd-probe", {"bootstrap": True, "normalize_obs": True}, 1),
        ("Cut-probe", {}, 1),
    ],
)
def test_a_time_limit_bootstraps_and_a_termination_does_not(env, changes, value, rollout):
    """Reward 1 for ever is worth 1 / (1 - gamma), a cut notwithstanding; termination wins."""
    networks, state, _ = trained(
        env, gamma=0.5, rollout=rollout, num_steps=4, num_updates=400, **changes
    )
    np.testing.assert_allclose(networks.values(state.params, OBS), value, atol=0.05)


@pytest.mark.parametrize("rollout", ROLLOUTS)
def test_a_time_limit_bootstraps_with_scaled_rewards(rollout):
    """Values are in units of the deviation that divides the rewards."""
    networks, state, _ = trained(
        "LongCut-probe", bootstrap=True, gamma=0.5, rollout=rollout, num_steps=8, num_updates=400,
        normalize_rewards=True,
    )  # fmt: skip
    deviation = np.sqrt(state.reward_moments.var)
    assert 0.1 < deviation < 1
    values = networks.values(state.params, OBS) * deviation
    np.testing.assert_allclose(values, 2, atol=0.1)
