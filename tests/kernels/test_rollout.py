"""The rollout kernel, in interpret mode, plays bit by bit what XLA's program plays."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tests.support.probes  # noqa: F401  registers the probes
from purejaxrl_reinforce import init
from purejaxrl_reinforce.algorithm.reinforce import XLA, collect, make_engine
from purejaxrl_reinforce.algorithm.setup import make_setup
from purejaxrl_reinforce.kernels.engine import refusal, why_not_lowered
from tests.kernels import QUICK_TO_INTERPRET
from tests.support.configs import TEXTBOOK

EPISODES = TEXTBOOK.replace(num_envs=11, hidden_sizes=(16,), engine="xla")
STREAM = replace(EPISODES, rollout="stream", num_steps=40, bootstrap=True, num_envs=5)


@functools.partial(jax.jit, compiler_options=QUICK_TO_INTERPRET)
def collected(config, state):
    return collect(config, state)


def of_both_engines(config, state):
    return [collected(replace(config, engine=engine), state) for engine in ("interpret", "xla")]


def assert_same_bits(ours, theirs):
    """Compare lanes, finished episodes and the valid rows; invalid ones hold no information."""
    valid = np.asarray(ours[2].valid)
    np.testing.assert_array_equal(valid, theirs[2].valid[: len(valid)])
    assert not theirs[2].valid[len(valid) :].any()
    for a, b in zip(jax.tree.leaves(ours[:2]), jax.tree.leaves(theirs[:2]), strict=True):
        np.testing.assert_array_equal(a, b, strict=True)
    for a, b in zip(jax.tree.leaves(ours[2]), jax.tree.leaves(theirs[2]), strict=True):
        assert a.dtype == b.dtype
        rows = slice(None) if len(a) == 1 else valid
        np.testing.assert_array_equal(a[rows], b[: len(a)][rows])


def check(config, seed=0):
    ours, theirs = of_both_engines(config, init(config, jax.random.key(seed)))
    assert_same_bits(ours, theirs)
    return ours


def test_episodes():
    """Thousands of steps, in which a rounding of the logits would have changed some action.

    Rows after the end are zero: what is never written could hold a NaN that spoils gradients.
    """
    episodes = check(replace(EPISODES, num_envs=201, bootstrap=True))[2]
    lengths, obs = np.asarray(episodes.valid.sum(axis=0)), np.asarray(episodes.obs)
    assert lengths.sum() > 4000
    assert lengths.min() < 12 < 60 < lengths.max()
    for first in range(0, 201, 8):
        lanes = slice(first, first + 8)  # of one program
        assert obs[: lengths[lanes].max(), lanes].any(axis=-1).all()
        assert not obs[lengths[lanes].max() :, lanes].any()


def test_other_rollouts():
    check(STREAM)
    check(replace(EPISODES, env="Random-probe", num_steps=3))


@pytest.mark.slow
def test_one_lane():
    check(replace(EPISODES, env="TimeLimit-probe", num_envs=1, hidden_sizes=(3,)))


def test_continuous_actions():
    """A sum has other bits in another order: the same actions but for these."""
    pendulum = replace(STREAM, env="Pendulum-v1", num_steps=30)
    state = init(pendulum, jax.random.key(0))
    ours, theirs = (outputs[2] for outputs in of_both_engines(pendulum, state))
    assert float(jnp.std(theirs.obs)) > 0.1
    np.testing.assert_allclose(ours.action, theirs.action[:30], atol=1e-4)
    np.testing.assert_allclose(ours.action[0], theirs.action[0], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("env", ["Acrobot-v1", "MountainCar-v0", "Catch-bsuite"])
@pytest.mark.parametrize("config", [EPISODES, STREAM], ids=["episodes", "stream"])
def test_other_environments(env, config):
    check(replace(config, env=env))


@pytest.mark.parametrize(
    ("env", "config"),
    [
        ("CartPole-v1", EPISODES),
        ("Pendulum-v1", STREAM),
        pytest.param("MountainCar-v0", STREAM, marks=pytest.mark.slow),
        pytest.param("Acrobot-v1", STREAM, marks=pytest.mark.slow),
        pytest.param("Catch-bsuite", EPISODES, marks=pytest.mark.slow),
    ],
)
def test_kernels_lower_for_a_gpu(env, config):
    assert why_not_lowered(replace(config, env=env)) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"hidden_sizes": (8, 8)}, "its networks have not one hidden layer of ReLUs"),
        ({"layer_norm": True}, "its networks have not one hidden layer of ReLUs"),
        ({"network": "tests.support.networks:Tanh"}, "its networks have not one hidden layer"),
        ({"env": "Pendulum-v1", "action": "squash"}, "it takes neither squashed actions nor"),
        ({"env": "SimpleBandit-bsuite"}, "SimpleBandit-bsuite needs the operation 'sort'"),
        ({"env": "DeepSea-bsuite"}, "DeepSea-bsuite needs 135 numbers per lane, and 64 fit"),
    ],
)
def test_reasons_why_there_is_no_kernel(changes, reason):
    assert reason in why_not_lowered(replace(STREAM, **changes))


def test_without_a_kernel_xla_plays_and_one_warning_says_why():
    config = replace(EPISODES, hidden_sizes=(8, 9))
    with pytest.warns(UserWarning, match="'kernel' is not available, so XLA is used: its net"):
        assert refusal(config, 9.0)
    assert refusal(config, 9.0)  # the warning is not repeated: it would be an error here
    with pytest.warns(UserWarning, match=r"needs compute capability 8.0, and this GPU has 7.5"):
        assert refusal(replace(EPISODES, num_envs=2), 7.5)


def test_the_kernel_needs_an_nvidia_gpu():
    with pytest.raises(ValueError, match="engine='kernel' needs an NVIDIA GPU, and this is a CPU"):
        init(replace(EPISODES, engine="kernel"), jax.random.key(0))
    assert make_engine(make_setup(replace(EPISODES, engine="auto"))) is XLA
