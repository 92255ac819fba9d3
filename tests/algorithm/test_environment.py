"""The lane environment is Gymnasium's CartPole; errors name what would be right."""

import re
from dataclasses import replace

import gymnasium
import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tests.support.probes  # noqa: F401  registers the probes
from purejaxrl_reinforce import Config, evaluate, init, step, train
from purejaxrl_reinforce.algorithm.environments.environment import make
from purejaxrl_reinforce.algorithm.reinforce import collect, state_shapes
from tests.support.configs import TEXTBOOK
from tests.support.env_params import settable


def test_transitions_agree_with_gymnasium():
    """1,000 random states, among them many next to and beyond the limits, and random actions."""
    n = 1000
    env = make("CartPole-v1")
    random = np.random.default_rng(0)
    states = random.uniform([-2.6, -3, -0.23, -3], [2.6, 3, 0.23, 3], (n, 4))
    actions = random.integers(0, 2, n)
    _, lanes = env.reset(jax.random.split(jax.random.key(0), n))
    columns = dict(zip(("x", "x_dot", "theta", "theta_dot"), jnp.float32(states.T), strict=True))
    ours = env.step(
        jax.random.split(jax.random.key(1), n), lanes.replace(**columns), jnp.asarray(actions)
    )
    ours = jax.tree.map(np.asarray, ours)

    theirs = gymnasium.make("CartPole-v1").unwrapped
    terminations = []
    for i in range(n):
        theirs.reset()
        theirs.state = np.float32(states[i])
        theirs.steps_beyond_terminated = None
        obs, reward, terminated, _, _ = theirs.step(int(actions[i]))
        np.testing.assert_allclose(ours.obs[i], obs, rtol=0, atol=1e-5)
        if np.abs(np.abs(obs[[0, 2]]) - [2.4, 12 * np.pi / 180]).min() > 1e-5:
            assert bool(ours.terminated[i]) == terminated
        terminations.append(terminated)
        # A step out of a state beyond the limits is none that an episode takes.
        if np.abs(states[i, 0]) < 2.4 and np.abs(states[i, 2]) < 12 * np.pi / 180:
            assert ours.reward[i] == reward
    assert 100 < sum(terminations) < 900


def test_resets_are_gymnasiums():
    obs, _ = make("CartPole-v1").reset(jax.random.split(jax.random.key(0), 20_000))
    assert obs.shape == (20_000, 4)
    assert float(jnp.abs(obs).max()) <= 0.05
    np.testing.assert_allclose(obs.mean(axis=0), 0, atol=0.001)
    np.testing.assert_allclose(obs.std(axis=0), 0.1 / np.sqrt(12), rtol=0.02)


@pytest.mark.parametrize(("name", "limit"), [("CartPole-v0", 200), ("CartPole-v1", 500)])
def test_time_limits(name, limit):
    env = make(name)
    assert env.time_limit == limit
    _, lanes = env.reset(jax.random.split(jax.random.key(0), 2))
    lanes = lanes.replace(time=jnp.array([limit - 2, limit - 1]))
    result = env.step(jax.random.split(jax.random.key(1), 2), lanes, jnp.zeros(2, int))
    np.testing.assert_array_equal(result.truncated, [False, True])


def test_a_policy_scores_the_same_in_gymnasium():
    """Half-trained, so that returns spread; sampled actions; first episode of each environment."""
    n = 256
    config = TEXTBOOK.replace(num_updates=8, anneal=False)
    state, _ = train(config, jax.random.key(0))
    ours = evaluate(config, state.params, jax.random.key(1), n, greedy=False).episode_return

    layers = jax.tree.map(np.asarray, state.params.policy["params"]["mlp"])
    envs = gymnasium.make_vec("CartPole-v1", num_envs=n, vectorization_mode="vector_entry_point")
    obs, _ = envs.reset(seed=0)
    random = np.random.default_rng(0)
    theirs, alive = np.zeros(n), np.ones(n, bool)
    while alive.any():
        hidden = np.maximum(obs @ layers["hidden_0"]["kernel"] + layers["hidden_0"]["bias"], 0)
        logits = hidden @ layers["out"]["kernel"] + layers["out"]["bias"]
        action = random.random(n) < 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
        obs, reward, terminated, truncated, _ = envs.step(action.astype(np.int64))
        theirs += alive * reward
        alive &= ~(terminated | truncated)
    standard_error = np.sqrt((ours.var() + theirs.var()) / n)
    assert theirs.std() > 20
    assert abs(float(ours.mean()) - theirs.mean()) < 4 * standard_error


# MNISTBandit fetches its data from the network.
LOCAL_ENVIRONMENTS = [name for name in gymnax.registered_envs if not re.search("MNIST|probe", name)]


def own_params(name):
    """Return all parameters of an environment that can be given, as they are."""
    own = vars(make(name)._params)
    given = {x: own[x] for x in settable(name) if isinstance(own[x], bool | int | float)}
    return given | {"max_steps_in_episode": int(own["max_steps_in_episode"])}


SLOW = pytest.mark.slow


@pytest.mark.parametrize("name", LOCAL_ENVIRONMENTS)
@pytest.mark.parametrize(
    ("rollout", "given"),
    [
        ("episodes", own_params),  # floats traced, the others static
        pytest.param("episodes", lambda name: {}, marks=SLOW),
        pytest.param("stream", lambda name: {}, marks=SLOW),
    ],
    ids=["with all parameters", "episodes", "stream"],
)
def test_every_gymnax_environment_can_be_trained_on(name, rollout, given):
    config = TEXTBOOK.replace(
        env=name, rollout=rollout, num_envs=3, num_steps=12, hidden_sizes=(8,),
        env_params=given(name),
    )  # fmt: skip
    with jax.numpy_rank_promotion("allow"):  # gymnax's Swimmer relies on it
        state = jax.eval_shape(init, config, jax.random.key(0))
        after, metrics = jax.eval_shape(step, config, state)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == jax.tree.map(
        lambda x: (x.shape, x.dtype), state
    )
    assert all(metric.shape == () for metric in metrics)


@pytest.mark.parametrize(
    ("name", "rollout"),
    [
        ("Pendulum-v1", "episodes"),
        ("FrozenLake-misc", "stream"),
        # As `test_block_sizes` plays them.
        pytest.param("Pendulum-v1", "stream", marks=SLOW),
        pytest.param("Random-probe", "episodes", marks=SLOW),
    ],
)
def test_continuous_discrete_and_random_environments_give_finite_updates(name, rollout):
    config = TEXTBOOK.replace(env=name, rollout=rollout, num_envs=4, num_steps=25, num_updates=3)
    _, metrics = train(config, jax.random.key(0))
    assert metrics.finite.all()


def test_actions_are_clipped_to_the_action_space():
    env = make("Target-probe")
    _, lanes = env.reset(jax.random.split(jax.random.key(0), 2))
    key = jax.random.split(jax.random.key(1), 2)
    wild = env.step(key, lanes, jnp.array([[9.0], [-9.0]]))
    limit = env.step(jax.random.clone(key), lanes, jnp.array([[2.0], [-2.0]]))
    np.testing.assert_array_equal(wild.reward, limit.reward)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CartPole-v7", "unknown environment 'CartPole-v7'; did you mean 'CartPole-v1'"),
        ("cartpole-V0", "did you mean 'CartPole-v0'"),
        ("xyzzy", "unknown environment 'xyzzy'; did you mean '.*' or '.*' or '.*'"),
        ("Broken-probe", "environment 'Broken-probe' cannot be made: its data is missing"),
        ("MatrixAction-probe", "action space .* is not supported; use Discrete or"),
        ("DictObservation-probe", "observation space Dict is not supported; use Box or Discrete"),
    ],
)
def test_errors_say_what_would_be_right(name, message):
    with pytest.raises(ValueError, match=message):
        make(name)
    with pytest.raises(ValueError, match=message):
        init(replace(Config(), env=name), jax.random.key(0))


def test_unused_randomness_is_not_computed():
    """CartPole's steps use no keys, so the compiled loop makes none; Random's steps use theirs."""

    def keys_per_lane(env_name):
        config = Config(env=env_name, num_envs=37, num_steps=20)
        program = jax.jit(collect).lower(config, state_shapes(config)).compile()
        return program.as_text().count("u32[37,2]")

    resets_only = keys_per_lane("CartPole-v1")
    assert keys_per_lane("Random-probe") > resets_only
    assert resets_only == keys_per_lane("ConstantReward-probe")
