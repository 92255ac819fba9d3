"""The kernels of learning, in interpret mode, against XLA's program and against each other."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purejaxrl_reinforce import init
from purejaxrl_reinforce.algorithm.engine import learning_engine
from purejaxrl_reinforce.algorithm.losses import gradients, make_targets
from purejaxrl_reinforce.algorithm.networks.build import Params
from tests.algorithm.test_losses import random_trajectory
from tests.support.configs import TEXTBOOK

CARTPOLE = TEXTBOOK.replace(
    num_envs=9, num_steps=12, hidden_sizes=(5,), entropy_coef=0.1, gamma=0.9, bootstrap=True,
    trace_lambda=0.8, advantage_norm="none",
)  # fmt: skip
PLAIN = replace(CARTPOLE, bootstrap=False, trace_lambda=1.0, num_envs=5)

CASES = {
    "steps of two programs": replace(CARTPOLE, num_steps=37),
    "one lane": replace(CARTPOLE, num_envs=1, trace_lambda=1.0, advantage_norm="unit"),
    "cut once": replace(CARTPOLE, num_envs=5, advantage_norm="standardize"),
    "no baseline": replace(PLAIN, baseline="none", advantage_norm="standardize"),
    "mean": replace(PLAIN, baseline="mean", entropy_coef=0.0),
    "loo": replace(PLAIN, baseline="loo", advantage_norm="unit"),
    "three actions": replace(PLAIN, env="Acrobot-v1", hidden_sizes=(8,)),
    "continuous actions": replace(PLAIN, env="Pendulum-v1", advantage_norm="standardize"),
}


def batch(config):
    """Return a state and a batch with early ends and, in invalid rows, no numbers."""
    trajectory = random_trajectory(config, T=config.num_steps)
    valid = trajectory.valid.at[:, -1].set(jnp.arange(config.num_steps) < 4)

    def spoilt(x):
        mask = valid.reshape(valid.shape + (1,) * (x.ndim - 2))
        return jnp.where(mask, x, jnp.nan) if x.dtype == jnp.float32 else x

    next_obs = trajectory.next_obs if config.bootstrap else None
    trajectory = jax.tree.map(spoilt, trajectory._replace(next_obs=None))
    if config == CASES["cut once"]:
        trajectory = trajectory._replace(terminated=trajectory.terminated & False)
        next_obs = next_obs[:1]
    return init(config, jax.random.key(1)), trajectory._replace(valid=valid, next_obs=next_obs)


@jax.jit
def learn_in_both_ways(config, params, trajectory):
    """Return targets and gradients of each engine; the gradients are of the same targets."""
    targets = [make_targets(config, params, trajectory, engine=e) for e in ("xla", "interpret")]
    return targets, [
        gradients(config, params, trajectory, targets[0], engine=e) for e in ("xla", "interpret")
    ]


def assert_close(ours, theirs, tolerance=1e-6):
    """Compare trees, relative to the largest number in them."""
    scale = max((float(np.abs(x).max(initial=0)) for x in jax.tree.leaves(theirs)), default=1.0)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * (scale or 1.0))


# The kernels of these are those of other cases, or take long.
SLOW = ("mean", "one lane", "three actions", "cut once")


@pytest.mark.parametrize(
    "name", [pytest.param(x, marks=pytest.mark.slow) if x in SLOW else x for x in CASES]
)
def test_targets_and_gradients_are_those_of_xla(name):
    config = CASES[name]
    state, trajectory = batch(config)
    (xla, kernel), (xla_grads, kernel_grads) = learn_in_both_ways(config, state.params, trajectory)
    valid = np.asarray(trajectory.valid)
    for ours, theirs in zip(kernel[:2], xla[:2], strict=True):
        assert_close(ours[valid], theirs[valid])
        assert not np.isnan(ours).any()
    # What is normalized has the rounding of the mean and of the scale on top of its own.
    assert_close(kernel.advantages, xla.advantages, 4e-6)
    assert_close(kernel.statistics, xla.statistics, 4e-6)
    assert_close(kernel_grads, xla_grads)
    assert any(np.abs(x).max() > 1e-3 for x in jax.tree.leaves(kernel_grads[0].policy))


def test_a_baseline_alone():
    """Its further steps take V at the parameters that they start from."""
    config = replace(CASES["cut once"], num_envs=2)
    state, trajectory = batch(config)

    @jax.jit
    def learn(baseline):
        params = Params(None, baseline)
        targets = make_targets(config, params, trajectory, engine="xla")
        xla = gradients(config, params, trajectory, targets, engine="xla")
        return xla, gradients(
            config, params, trajectory, targets._replace(values=None), engine="interpret"
        )

    assert_close(*learn(state.params.baseline))


def test_a_constant_batch_has_advantages_of_zero():
    config = replace(PLAIN, baseline="none", advantage_norm="standardize", gamma=0.0)
    state, trajectory = batch(config)
    trajectory = trajectory._replace(reward=jnp.full_like(trajectory.reward, 0.1))
    targets = make_targets(config, state.params, trajectory, engine="interpret")
    np.testing.assert_array_equal(targets.advantages, 0)
    assert targets.statistics.explained_variance == 0


def test_agents_are_an_axis_of_the_same_kernels():
    config = CASES["cut once"]
    _, trajectory = batch(config)
    params = jax.vmap(init, (None, 0))(config, jax.random.split(jax.random.key(0), 2)).params

    def learn(params, engine):
        targets = make_targets(config, params, trajectory, engine=engine)
        return targets.returns, gradients(config, params, trajectory, targets, engine=engine)

    kernel, xla = (
        jax.jit(jax.vmap(lambda params, engine=engine: learn(params, engine)))(params)
        for engine in ("interpret", "xla")
    )
    assert np.abs(xla[0][0] - xla[0][1]).max() > 1e-3
    for agent in range(2):
        assert_close(*jax.tree.map(lambda x: x[agent], (kernel, xla)), 4e-6)  # noqa: B023


@pytest.mark.parametrize(
    ("changes", "engine"),
    [({}, "kernel"), pytest.param({"env": "Catch-bsuite"}, "xla", marks=pytest.mark.slow)],
)
def test_networks_with_many_products_learn_by_xla(changes, engine):
    config = replace(PLAIN, engine="kernel", platform="gpu", **changes)
    assert learning_engine(config) == engine
