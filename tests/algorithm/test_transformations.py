"""One compile; functions map over keys and over every float of the configuration; right keys."""

import dataclasses
from dataclasses import replace

import chex
import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest

from purejaxrl_reinforce import Config, evaluate, init, make_train, step, train
from purejaxrl_reinforce.algorithm.lanes import evaluation_key
from purejaxrl_reinforce.algorithm.reinforce import collect, state_shapes
from purejaxrl_reinforce.config import FLOAT_FIELDS, STATIC_FIELDS
from tests.support.configs import TEXTBOOK

TINY = TEXTBOOK.replace(
    num_envs=4, num_steps=20, num_updates=3, hidden_sizes=(8,), max_grad_norm=10.0
)
# Another valid value for every float.
OTHER = {
    "gamma": 0.5,
    "trace_lambda": 0.7,
    "policy_lr": 1e-3,
    "baseline_lr": 1e-4,
    "initial_std": 0.5,
    "obs_clip": 0.1,
    "adam_epsilon": 1e-3,
    "entropy_coef": 0.3,
    "baseline_coef": 0.1,
    "max_grad_norm": 1e-3,
}


def keys_of(n):
    return jax.vmap(jax.random.key)(jnp.arange(n))


def assert_trees_close(ours, theirs):
    def close(x, y):
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)

    jax.tree.map(close, ours, theirs)


def test_new_floats_and_new_keys_do_not_retrace():
    chex.clear_trace_counter()
    once = jax.jit(chex.assert_max_traces(train.__wrapped__, n=1))
    for seed in range(3):
        once(TINY, jax.random.key(seed))
    for name, value in OTHER.items():
        once(replace(TINY, **{name: value}), jax.random.key(9))
        once(replace(TINY, **{name: np.float64(value)}), jax.random.key(9))
    once(replace(TINY, gamma=1), jax.random.key(9))
    with pytest.raises(AssertionError, match="traced > 1"):
        once(replace(TINY, num_envs=5), jax.random.key(9))


def test_every_float_is_a_leaf_and_nothing_else():
    assert {*OTHER, "stop_at"} == set(FLOAT_FIELDS)
    named = {*FLOAT_FIELDS, *STATIC_FIELDS, "env_params"}
    assert named == {f.name for f in dataclasses.fields(Config)}
    leaves, structure = jax.tree.flatten(TINY)
    assert leaves == [getattr(TINY, name) for name in FLOAT_FIELDS if name != "stop_at"]
    assert len(jax.tree.leaves(replace(TINY, stop_at=1))) == len(leaves) + 1  # None is no leaf
    assert jax.tree.unflatten(structure, leaves) == TINY
    assert jax.tree.map(lambda x: None, TINY).gamma is None
    assert hash(structure) == hash(jax.tree.structure(replace(TINY, gamma=0.1)))


def with_params(config=TINY, **params):
    return replace(config, env_params=params)


def steps_played(config):
    """Return the steps that each lane played in the first update, [N]."""
    return collect(config, init(config, jax.random.key(0)))[1].sum.length


def test_parameters_of_the_environment_are_traced_and_mapped_over():
    """Mapped, traced or static: the same episodes, and a parameter makes a difference."""
    lengths = [0.5, 2.0]
    chex.clear_trace_counter()
    once = jax.jit(chex.assert_max_traces(steps_played, n=1))
    alone = [once(with_params(length=x)) for x in lengths]
    once(with_params(length=np.float32(0.7)))
    with pytest.raises(AssertionError, match="traced > 1"):
        once(with_params(length=2))
    mapped = jax.vmap(lambda length: steps_played(with_params(length=length)))(jnp.array(lengths))
    np.testing.assert_array_equal(mapped, alone)
    np.testing.assert_array_equal(jax.jit(steps_played)(with_params(length=2)), alone[1])
    np.testing.assert_array_equal(jax.jit(steps_played)(TINY), alone[0])
    assert (alone[0] != alone[1]).any()


def test_train_maps_over_configurations_and_keys():
    configs = replace(TINY, stop_at=5), replace(TINY, stop_at=1e9, **OTHER)
    mapped = jax.vmap(train)(jax.tree.map(lambda *x: jnp.stack(x), *configs), keys_of(2))
    assert mapped[0].update.tolist() == [1, 3]
    for i, (config, key) in enumerate(zip(configs, keys_of(2), strict=True)):
        assert_trees_close(jax.tree.map(lambda x, i=i: x[i], mapped), train(config, key))


def test_train_is_a_scan_of_step():
    state = init(TINY, jax.random.key(0))
    for _ in range(3):
        state, _ = step(TINY, state)
    assert_trees_close(make_train(TINY)(jax.random.key(0))[0], state)


def test_evaluate_maps_over_parameters_and_keys():
    params = jax.vmap(init, in_axes=(None, 0))(TINY, keys_of(2)).params

    def play(params, key):
        return evaluate(TINY, params, key, 8, greedy=False)

    played = jax.jit(jax.vmap(play))(params, keys_of(2))
    alone = play(jax.tree.map(lambda x: x[1], params), jax.random.key(1))
    np.testing.assert_array_equal(played.episode_length[1], alone.episode_length)


def selects_in_loops(jaxpr, in_loop=False):
    """Count the select_n equations inside the bodies of while loops."""
    count = 0
    for eqn in jaxpr.eqns:
        count += in_loop and eqn.primitive.name == "select_n"
        inside = in_loop or eqn.primitive.name == "while"
        for inner in jax.extend.core.jaxprs_in_params(eqn.params):
            count += selects_in_loops(inner, inside)
    return count


def test_mapping_leaves_the_predicates_of_loops_scalar():
    """A mapped predicate would select over the whole carry of its loop at every iteration."""
    states = jax.vmap(init, in_axes=(None, 0))(TINY, keys_of(5))
    mapped = jax.make_jaxpr(jax.vmap(step, in_axes=(None, 0)))(TINY, states)
    alone = jax.make_jaxpr(step)(TINY, init(TINY, jax.random.key(0)))
    assert selects_in_loops(alone.jaxpr) > 0
    assert selects_in_loops(mapped.jaxpr) == selects_in_loops(alone.jaxpr)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rollout": "stream", "num_steps": 3},  # no episode finishes
        {"eval_every": 2, "eval_episodes": 2, "normalize_obs": True, "normalize_rewards": True},
        {"env": "Pendulum-v1", "gradient_noise": True, "baseline": "loo", "action": "squash"},
        {"env": "FrozenLake-misc", "baseline": "none"},  # rewards and gradients of 0
    ],
    ids=str,
)
def test_a_hunt_for_nans_finds_none_in_healthy_updates(changes):
    config = replace(TINY, **changes)
    state = init(config, jax.random.key(0))
    missing = np.isnan([float(x) for x in step(config, state)[1].by_name().values()])
    with jax.debug_nans(True):
        _, metrics = step(config, state)
    np.testing.assert_array_equal(
        np.isneginf([float(x) for x in metrics.by_name().values()]), missing
    )
    assert metrics.finite


WRONG = [
    (lambda: jax.random.PRNGKey(0)[:1], r"as of jax.random.key\(0\), not .*uint32\[1\]"),
    (lambda: 0, r"key must be one typed key, as of jax.random.key\(0\), not .*int32\[\]"),
    (lambda: jax.random.split(jax.random.key(0), 3), r"key must be one typed key, .*\[3\]"),
    (lambda: jax.random.key(0, impl="rbg"), "key must be of the kind threefry2x32, .* not rbg"),
    (lambda: jax.random.key(0, impl="unsafe_rbg"), "threefry2x32, .* not unsafe_rbg"),
]


def test_an_old_key_is_the_typed_one():
    states = init(TINY, jax.random.PRNGKey(5)), init(TINY, jax.random.key(5))
    for x, y in zip(*(jax.tree.leaves(s._replace(key=None)) for s in states), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize(("make", "message"), WRONG)
@pytest.mark.parametrize("use", ["init", "train", "evaluate"])
def test_wrong_keys(make, message, use):
    params = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), state_shapes(TINY).params)
    uses = {
        "init": lambda key: init(TINY, key),
        "train": lambda key: train(TINY, key),
        "evaluate": lambda key: evaluate(TINY, params, key, 2),
    }
    with pytest.raises(ValueError, match=message) as error:
        uses[use](make())
    assert "\n" not in str(error.value)


def test_float64_is_refused():
    state = init(TINY, jax.random.key(0))
    for use in (lambda: init(TINY, jax.random.key(0)), lambda: step(TINY, state)):
        with jax.enable_x64(True), pytest.raises(ValueError, match="unset jax_enable_x64"):
            use()


def test_evaluation_uses_no_key_of_training():
    """Training folds in the numbers from 0: those of `split`, of updates and of lanes."""
    key = jax.random.key(0)
    numbers = jnp.arange(100_000, dtype=jnp.uint32)
    data = jax.vmap(lambda i: jax.random.key_data(jax.random.fold_in(key, i)))(numbers)
    own = np.asarray(jax.random.key_data(evaluation_key(key)))
    assert not (np.asarray(data) == own).all(axis=1).any()


def test_a_state_is_shown_in_a_line():
    state = init(TINY, jax.random.key(0))
    size = sum(x.size for x in jax.tree.leaves(state.params))
    assert repr(state) == f"TrainState(update 0, 0 steps, {size:,} parameters)"
    states = jax.vmap(lambda key: init(TINY, key))(keys_of(3))
    assert repr(states) == f"TrainState([0 0 0], {3 * size:,} parameters)"
    traced = []
    jax.eval_shape(lambda x: traced.append(repr(x)), state)
    assert "\n" not in traced[0]
