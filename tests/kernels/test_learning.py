"""The kernels of learning and whole updates, in interpret mode, against XLA's program."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purejaxrl_reinforce import Config, init, step
from purejaxrl_reinforce.algorithm.reinforce import XLA, make_engine
from purejaxrl_reinforce.algorithm.setup import make_setup
from tests.algorithm.test_losses import random_trajectory
from tests.kernels import QUICK_TO_INTERPRET
from tests.support.configs import TEXTBOOK

CARTPOLE = TEXTBOOK.replace(
    num_envs=9, num_steps=12, hidden_sizes=(5,), entropy_coef=0.1, gamma=0.9, bootstrap=True,
    trace_lambda=0.8, advantage_norm="none",
)  # fmt: skip
PLAIN = replace(CARTPOLE, bootstrap=False, trace_lambda=1.0, num_envs=5)

CASES = {
    "steps of two programs": replace(CARTPOLE, num_steps=37),
    "cut once": replace(CARTPOLE, num_envs=5, advantage_norm="standardize"),
    "no baseline": replace(PLAIN, baseline="none", advantage_norm="standardize"),
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


@functools.partial(jax.jit, compiler_options=QUICK_TO_INTERPRET)
def learn_in_both_ways(config, params, trajectory):
    """Return targets and gradients of each engine; the gradients are of the same targets."""
    setup, interpreted = (make_setup(replace(config, engine=e)) for e in ("xla", "interpret"))
    kernels = make_engine(interpreted)
    both = targets, statistics = XLA.make_targets(setup, params, trajectory)
    batch = (params, trajectory, targets, statistics.num_steps)
    grads = XLA.gradients(setup, *batch), kernels.gradients(interpreted, *batch)
    return (both, kernels.make_targets(interpreted, params, trajectory)), grads


def assert_close(ours, theirs, tolerance=1e-6):
    """Compare trees, relative to the largest number in them."""
    scale = max((float(np.abs(x).max(initial=0)) for x in jax.tree.leaves(theirs)), default=1.0)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * (scale or 1.0))


# These take long.
SLOW = ("three actions", "cut once")


@pytest.mark.parametrize(
    "name", [pytest.param(x, marks=pytest.mark.slow) if x in SLOW else x for x in CASES]
)
def test_targets_and_gradients_are_those_of_xla(name):
    config = CASES[name]
    state, trajectory = batch(config)
    (xla, kernel), (xla_grads, kernel_grads) = learn_in_both_ways(config, state.params, trajectory)
    valid = np.asarray(trajectory.valid)
    for ours, theirs in zip(kernel[0][:2], xla[0][:2], strict=True):
        assert_close(ours[valid], theirs[valid])
        assert not np.isnan(ours).any()
    # What is normalized has the rounding of the mean and of the scale on top of its own.
    assert_close(kernel[0].advantages, xla[0].advantages, 4e-6)
    assert_close(kernel_grads, xla_grads)
    assert any(np.abs(x).max() > 1e-3 for x in jax.tree.leaves(kernel_grads[0].policy))


def test_a_baseline_alone():
    """Its further steps take V at the parameters that they start from."""
    config = replace(CASES["cut once"], num_envs=2)
    state, trajectory = batch(config)
    _, (xla, kernel) = learn_in_both_ways(config, state.params._replace(policy=None), trajectory)
    assert_close(kernel, xla)
    assert kernel[0].policy is None


@pytest.mark.parametrize(
    ("changes", "learns"),
    [({}, True), pytest.param({"env": "Catch-bsuite"}, False, marks=pytest.mark.slow)],
)
def test_networks_with_many_products_learn_by_xla(changes, learns):
    engine = make_engine(make_setup(replace(PLAIN, engine="kernel", platform="gpu", **changes)))
    assert engine.play_batch is not XLA.play_batch
    assert (engine.gradients is not XLA.gradients) == learns


CONFIG = Config(
    num_envs=5, num_steps=12, hidden_sizes=(5,), bootstrap=True, num_updates=9,
    anneal=True, keras_adam=True, max_grad_norm=0.05, entropy_coef=0.1,
    advantage_norm="standardize", policy_lr=1e-3, baseline_lr=1e-3,
)  # fmt: skip


@functools.partial(jax.jit, compiler_options=QUICK_TO_INTERPRET)
def after(config, state):
    return step(replace(config, engine="xla"), state), step(
        replace(config, engine="interpret"), state
    )


@pytest.fixture(scope="module")
def state():
    return init(CONFIG, jax.random.key(0))._replace(update=jnp.int32(3))


@pytest.mark.parametrize("baseline_steps", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_an_update(state, baseline_steps):
    """Limits of norms and annealing included."""
    config = replace(CONFIG, baseline_steps=baseline_steps)
    (xla, xla_metrics), (kernels, metrics) = after(config, state)
    trees = [(x.params, x.opt_state, x.update, x.env_steps) for x in (kernels, xla)]
    assert_close = functools.partial(np.testing.assert_allclose, rtol=1e-4, strict=True)
    jax.tree.map(functools.partial(assert_close, atol=1e-6), *trees)
    jax.tree.map(functools.partial(assert_close, atol=1e-5), metrics, xla_metrics)
    assert metrics.policy_grad_norm > CONFIG.max_grad_norm
    moved = jax.tree.map(lambda x, y: np.abs(x - y).max(), kernels.params, state.params)
    assert min(jax.tree.leaves(moved)) > 1e-5


def test_agents_are_an_axis_of_the_same_kernels():
    states = jax.vmap(init, (None, 0))(CONFIG, jax.random.split(jax.random.key(0), 2))
    (xla, _), (kernels, _) = jax.vmap(after, (None, 0))(CONFIG, states)
    assert_close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)
    jax.tree.map(assert_close, kernels.params, xla.params)
