"""The gradient: numerically right, unbiased, blind to padding, as noisy as it is said to be.

And the optimizer: both places of Adam's epsilon, clipping by the true global norm, annealing.
"""

import itertools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import tests.support.probes  # noqa: F401  registers the probes
from purejaxrl_reinforce import Config, init, step
from purejaxrl_reinforce.algorithm.losses import gradient_noise, gradients, make_targets
from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.algorithm.optimizer import make_optimizer
from purejaxrl_reinforce.algorithm.reinforce import collect
from purejaxrl_reinforce.algorithm.rollout import Trajectory
from purejaxrl_reinforce.algorithm.setup import make_setup
from purejaxrl_reinforce.environments.environment import make
from tests.support import reference
from tests.support.configs import TEXTBOOK
from tests.support.learning import initial, learn, networks_of, targets_of

SMALL = TEXTBOOK.replace(hidden_sizes=(5,), num_envs=3, num_steps=8, entropy_coef=0.1, gamma=0.9)


def trained_with(config, state, trajectory):
    """Return the gradients that `learn` fed to Adam: its first moments after one step, times 10."""
    learned, _ = learn(config, state, trajectory)
    return Params(*(jax.tree.map(lambda m: 10 * m, s[1].mu) for s in learned.opt_state[:2]))


def random_trajectory(config, seed=0, T=8):
    """A batch with episodes that end in every way and lanes of different lengths."""
    random = np.random.default_rng(seed)
    N, env = config.num_envs, make(config.env)
    shape, obs_shape = (T, N), env.reset(jax.random.split(jax.random.key(0), 1))[0].shape[1:]
    lengths = np.array([T, T // 2, 1, *[T] * N])[:N]
    if env.num_actions is None:
        action = random.normal(size=(*shape, *env.action_shape))
    else:
        action = random.integers(0, env.num_actions, shape)
    return Trajectory(
        obs=jnp.float32(random.normal(size=(*shape, *obs_shape))),
        action=jnp.asarray(action, jnp.int32 if env.num_actions else jnp.float32),
        reward=jnp.float32(random.normal(size=shape)),
        terminated=jnp.asarray(random.random(shape) < 0.2),
        truncated=jnp.asarray(random.random(shape) < 0.2),
        valid=jnp.asarray(np.arange(T)[:, None] < lengths),
        next_obs=jnp.float32(random.normal(size=(*shape, *obs_shape))),
    )


def as_float64(tree):
    return jax.tree.map(lambda x: np.asarray(x, np.float64), tree)


def assert_trees_close(ours, theirs, **tolerance):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **tolerance), ours, theirs)


@pytest.mark.parametrize(
    ("env", "bootstrap", "trace_lambda"),
    [
        ("CartPole-v1", False, 0.6),
        ("CartPole-v1", True, 1.0),
        ("Pendulum-v1", True, 0.6),
        ("Pendulum-v1", False, 0.0),
    ],
)
def test_against_numerical_differentiation(env, bootstrap, trace_lambda):
    config = replace(SMALL, env=env, bootstrap=bootstrap, trace_lambda=trace_lambda)
    state, trajectory = initial(config), random_trajectory(config)
    if not bootstrap:
        trajectory = trajectory._replace(next_obs=None)
    played = as_float64(trajectory._replace(action=None))
    action, valid = np.asarray(trajectory.action), np.asarray(trajectory.valid)
    params = as_float64(state.params)
    layers = params.baseline["params"]["mlp"]
    values = reference.mlp(layers, played.obs)[..., 0]
    ends = played.terminated, played.truncated
    next_values = reference.mlp(layers, played.next_obs)[..., 0] if bootstrap else None
    returns = reference.returns(
        played.reward, *ends, valid, config.gamma, next_values, values, trace_lambda
    )
    advantages = reference.normalize(returns - values, valid, config.advantage_norm)
    loss = reference.policy_loss if env == "CartPole-v1" else reference.gaussian_policy_loss
    expected = Params(
        reference.numerical_gradient(
            lambda p: loss(p, played.obs, action, advantages, valid, config.entropy_coef),
            params.policy,
        ),
        reference.numerical_gradient(
            lambda p: reference.baseline_loss(p, played.obs, returns, valid), params.baseline
        ),
    )
    assert_trees_close(trained_with(config, state, trajectory), expected, rtol=2e-4, atol=2e-5)


# Every baseline, every normalization, with and without bootstrapping.
PADDED = [
    {"baseline": "value", "advantage_norm": "standardize", "bootstrap": True},
    {"baseline": "loo", "advantage_norm": "unit"},
    {"baseline": "mean", "advantage_norm": "none"},
    {"baseline": "none"},
]


@pytest.mark.parametrize("changes", PADDED, ids=str)
def test_padding_with_invalid_steps_and_lanes_changes_nothing(changes):
    config = replace(SMALL, block_rows=12, **changes)
    state, trajectory = initial(config), random_trajectory(config)

    def pad(x):
        shape = (x.shape[0] + 5, x.shape[1] + 2, *x.shape[2:])
        garbage = jnp.full(shape, jnp.nan if x.dtype == jnp.float32 else 1).astype(x.dtype)
        return garbage.at[: x.shape[0], : x.shape[1]].set(x)

    padded = jax.tree.map(pad, trajectory)
    valid = jnp.zeros(padded.valid.shape, bool).at[:8, :3].set(trajectory.valid)
    learned, metrics = learn(config, state, trajectory)
    learned_padded, metrics_padded = learn(config, state, padded._replace(valid=valid))
    assert_trees_close(learned_padded.params, learned.params, rtol=1e-5, atol=1e-5)
    assert_trees_close(metrics_padded, metrics, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("baseline", ["value", "none", "mean", "loo"])
def test_expected_gradient_on_an_enumerable_bandit(baseline):
    """Average over every joint action of three lanes, weighted by its probability.

    The mean baseline contains the lane's own return, which shrinks the expected gradient by
    1 - 1/N and leaves its direction.
    """
    N = 3
    config = TEXTBOOK.replace(
        env="MatchReward-probe", num_envs=N, baseline=baseline, advantage_norm="none",
        hidden_sizes=(4,),
    )  # fmt: skip
    state = initial(config)
    networks = networks_of(config)
    obs = jnp.array([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.5]])
    rewards_of_actions = jnp.array([[-1.0, 2.0], [0.5, 3.0], [0.0, -1.5]])  # [N, A]

    def exact_objective(params):
        probs = jax.nn.softmax(networks.distribution(Params(params, None), obs).logits)
        return -jnp.mean(jnp.sum(probs * rewards_of_actions, axis=1))

    exact = jax.jit(jax.grad(exact_objective))(state.params.policy)
    probs = np.asarray(jax.nn.softmax(networks.distribution(state.params, obs).logits))
    expected = jax.tree.map(jnp.zeros_like, exact)
    ones = jnp.ones((1, N), bool)
    for actions in itertools.product(range(2), repeat=N):
        weight = float(np.prod(probs[range(N), actions]))
        rewards = rewards_of_actions[jnp.arange(N), jnp.array(actions)]
        played = obs[None], jnp.array([actions]), rewards[None]
        trajectory = Trajectory(*played, terminated=ones, truncated=~ones, valid=ones)
        gradient = trained_with(config, state, trajectory).policy
        expected = jax.tree.map(lambda e, g, w=weight: e + w * g, expected, gradient)
    shrink = 1 - 1 / N if baseline == "mean" else 1.0
    assert_trees_close(expected, jax.tree.map(lambda x: shrink * x, exact), rtol=0, atol=2e-6)


def test_further_baseline_steps_move_only_the_baseline():
    config = replace(SMALL, anneal=False)
    state, trajectory = initial(config), random_trajectory(config)
    once, _ = learn(config, state, trajectory)
    thrice, _ = learn(replace(config, baseline_steps=3), state, trajectory)
    assert_trees_close(thrice.params.policy, once.params.policy, rtol=0, atol=0)
    # Three steps of one each, all towards the returns of the parameters from before the update.
    targets = targets_of(config, state.params, trajectory)
    ended = jnp.ones_like(trajectory.terminated)
    frozen = trajectory._replace(reward=targets.returns, terminated=ended)
    stepwise = state
    for _ in range(3):
        stepwise, _ = learn(config, stepwise, frozen)
    assert_trees_close(thrice.params.baseline, stepwise.params.baseline, rtol=1e-4, atol=1e-5)


def test_step_is_playing_and_learning():
    """What the other tests learn with is what `step` learns with."""
    config = replace(SMALL, baseline_steps=2)
    state = initial(config)
    _, _, trajectory = jax.jit(collect)(config, state)
    learned, metrics = learn(config, state, trajectory)
    stepped, step_metrics = step(config, state)
    assert_trees_close(stepped.params, learned.params, rtol=1e-5, atol=1e-6)
    assert_trees_close(stepped.opt_state, learned.opt_state, rtol=1e-5, atol=1e-6)
    for name, value in metrics.items():
        np.testing.assert_allclose(getattr(step_metrics, name), value, rtol=1e-5, atol=1e-6)


NOISY = TEXTBOOK.replace(
    env="MatchReward-probe", num_envs=6, hidden_sizes=(4,), baseline="none",
    advantage_norm="none", gradient_noise=True,
)  # fmt: skip


def gradient_and_noise(config, state):
    """Return the policy's gradient, its noise, and the gradients of the lanes one by one."""
    setup, trajectory = make_setup(config), collect(config, state)[2]
    targets, statistics = make_targets(setup, state.params, trajectory)

    def gradient_of(lanes):
        part = trajectory._replace(valid=trajectory.valid & lanes[None])
        return gradients(setup, state.params, part, targets, statistics.num_steps)[0].policy

    lanes = jnp.eye(config.num_envs, dtype=bool)
    grad = gradient_of(lanes.any(axis=0))
    noise = gradient_noise(setup, state.params, trajectory, targets, statistics.num_steps, grad)
    return grad, noise, [gradient_of(lane) for lane in lanes]


def test_it_is_the_variance_over_batches():
    state = init(NOISY, jax.random.key(0))
    keys = jax.vmap(jax.random.key)(jnp.arange(4_000))

    @jax.jit
    @jax.vmap
    def batch(key):
        return gradient_and_noise(NOISY, state._replace(key=key))[:2]

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
    plain = replace(NOISY, gradient_noise=False)
    state = init(NOISY, jax.random.key(0))
    (measured, metrics), (other, without) = (step(config, state) for config in (NOISY, plain))
    jax.tree.map(np.testing.assert_array_equal, measured.params, other.params)
    assert metrics.gradient_variance > 0
    assert metrics.finite
    assert np.isnan([without.gradient_variance, without.gradient_snr]).all()
    assert without.finite


def adam(gradients, learning_rate, epsilon, keras):
    """Adam's path from 0 along scalar gradients, from Kingma and Ba (2015) and Keras' order."""
    m = v = x = 0.0
    for t, g in enumerate(gradients, start=1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        if keras:
            rate = learning_rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            x -= rate * m / (np.sqrt(v) + epsilon)
        else:
            x -= learning_rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + epsilon)
    return x


def optimizer_step(config, learning_rate, params, opt_state, gradient):
    optimizer = make_optimizer(config, learning_rate, optax.tree.get(opt_state, "count"))
    updates, opt_state = optimizer.update(gradient, opt_state, params)
    return optax.apply_updates(params, updates), opt_state


@pytest.mark.parametrize("keras", [False, True])
def test_adam_against_its_equations(keras):
    # Gradients as small as epsilon, where its place matters.
    gradients = np.array([1e-7, -3e-7, 2e-7, 5e-7, 1e-7])
    config = Config(keras_adam=keras, adam_epsilon=1e-7)
    params = {"x": jnp.zeros(())}
    opt_state = make_optimizer(config, 0.03).init(params)
    for gradient in map(jnp.float32, gradients):
        params, opt_state = optimizer_step(config, 0.03, params, opt_state, {"x": gradient})
    ours, other = adam(gradients, 0.03, 1e-7, keras), adam(gradients, 0.03, 1e-7, not keras)
    np.testing.assert_allclose(params["x"], ours, rtol=1e-3)
    assert abs(ours - other) > 0.1 * abs(ours)


@pytest.mark.parametrize(("limit", "scale"), [(1.0, 0.2), (6.0, 1.0), (float("inf"), 1.0)])
def test_clipping_keeps_the_direction_and_bounds_the_norm_over_all_leaves(limit, scale):
    gradient = {"a": jnp.array([3.0, 0.0]), "b": jnp.array([[4.0]])}  # norm 5
    config, params = Config(max_grad_norm=limit), jax.tree.map(jnp.zeros_like, gradient)
    opt_state = make_optimizer(config, 1.0).init(params)
    _, opt_state = optimizer_step(config, 1.0, params, opt_state, gradient)
    # Adam's first moment after one step is a tenth of the gradient that reached it.
    expected = jax.tree.map(lambda x: 0.1 * scale * x, gradient)
    assert_trees_close(opt_state[1].mu, expected, rtol=1e-5)


def test_annealing_ends_at_zero_and_each_network_has_its_own_rate():
    rates = {"policy_lr": 1e-3, "baseline_lr": 1e-2}
    config = TEXTBOOK.replace(num_envs=2, num_steps=5, num_updates=4, **rates)
    state = init(config, jax.random.key(0))

    def largest_change(config, state):
        after, _ = step(config, state)
        changes = jax.tree.map(lambda x, y: float(jnp.abs(x - y).max()), after.params, state.params)
        return [max(jax.tree.leaves(x)) for x in changes[:2]]

    # Adam's first step is as long as the learning rate.
    np.testing.assert_allclose(largest_change(config, state), [1e-3, 1e-2], rtol=0.01)
    half_way = state._replace(update=jnp.int32(2))
    np.testing.assert_allclose(largest_change(config, half_way), [5e-4, 5e-3], rtol=0.01)
    at_the_end, later = (state._replace(update=jnp.int32(n)) for n in (4, 6))
    np.testing.assert_array_equal(largest_change(config, at_the_end), [0, 0])
    np.testing.assert_array_equal(largest_change(config, later), [0, 0])
    constant = replace(config, anneal=False)
    np.testing.assert_allclose(largest_change(constant, at_the_end), [1e-3, 1e-2], rtol=0.01)
