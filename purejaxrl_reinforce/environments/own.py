"""A user's own environment, which the configuration names `package.module:Name`."""

import dataclasses
import traceback
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from purejaxrl_reinforce.imports import error_in_a_line, target_of
from purejaxrl_reinforce.tasks import TIME_LIMIT

# What to know of a method of gymnax's Environment that raises NotImplementedError.
_REMEDIES = {
    "step_env": "; `step` is not called",
    "is_terminated": ", is_terminal in gymnax 0.x; rename it, or leave `discount` out of info",
}


def own_environment(name: str) -> tuple[Any, Any, bool]:
    """Return the environment of a name, its parameters, and `done_has_time_limit`.

    Raises:
        ValueError: it cannot be imported, is no environment, or fails, or does not return what
            gymnax's environments return; one line.
    """
    from gymnax.environments.environment import Environment

    found, positional, keywords = target_of("environment", name)
    try:
        env = found(*positional, **keywords) if callable(found) else found
        mistake = next(_mistakes(env), None)
        if mistake is None:
            return env, env.default_params, done_has_time_limit(env, env.default_params)
    except (Exception, SystemExit) as error:  # whatever the user's code does
        method = traceback.extract_tb(error.__traceback__)[-1].name
        is_bare = isinstance(error, NotImplementedError) and not str(error)
        if is_bare and hasattr(Environment, method):
            mistake = f"must define {method}{_REMEDIES.get(method, '')}"
            raise ValueError(f"environment {name!r} {mistake}") from None
        raise ValueError(f"environment {name!r} fails: {error_in_a_line(error)}") from None
    raise ValueError(f"environment {name!r} {mistake}")


def done_has_time_limit(env: Any, params: Any) -> bool:
    """Return whether `step_env` also ends at the time limit, as the `done` of gymnax 0.x does.

    It takes one step from the start, and the same one just before the limit.
    """
    _, state = env.reset_env(jax.random.key(0), params)
    action = env.action_space(params).sample(jax.random.key(1))
    if not (hasattr(state, "time") and hasattr(state, "replace")):
        return False

    @jax.jit
    def ends(time: Any) -> Any:
        return env.step_env(jax.random.key(2), state.replace(time=time), action, params)[3]

    limit = jnp.asarray(getattr(params, TIME_LIMIT) - 1, jnp.asarray(state.time).dtype)
    return bool(ends(limit)) and not bool(ends(jnp.zeros_like(limit)))


def _mistakes(env: Any) -> Iterator[str]:
    """Yield faults, in words that follow the environment's name; only the first is shown."""
    from gymnax.environments.environment import Environment

    if not isinstance(env, Environment):
        yield "is neither a class nor an instance of gymnax's Environment"
    params = env.default_params
    yield from _mistakes_of_params(params)
    if mistake := space_mistake(env, params):
        yield f"cannot be used: {mistake}"
    # Traced, a reset and a step must agree with each other and with the space.
    key = jax.eval_shape(jax.random.key, 0)
    start = jax.eval_shape(env.reset_env, key, params)
    if not isinstance(start, tuple) or len(start) != 2:
        yield "must return obs, state from reset_env"
    obs, state = start
    if not hasattr(obs, "shape"):
        yield (
            f"observes a {type(obs).__name__}, which is not supported; return one array, such as"
            " jnp.concatenate of its parts"
        )
    if type(env).is_truncated is Environment.is_truncated and not hasattr(state, "time"):
        yield "has a state without a field `time`: derive it from EnvState, or define is_truncated"
    action = jax.eval_shape(env.action_space(params).sample, key)
    step = jax.eval_shape(env.step_env, key, state, action, params)
    if not isinstance(step, tuple) or len(step) != 5:
        yield "must return obs, state, reward, terminated, info from step_env"
    next_obs, next_state, reward, terminated, _ = step
    jax.eval_shape(env.is_truncated, next_state, params)  # it may fail, too
    space = env.observation_space(params)
    for mistake, found, expected in (
        ("an observation that is not of its space's shape", obs.shape, space.shape),
        ("another observation from step_env than from reset_env", next_obs, obs),
        ("another state from step_env than from reset_env", next_state, state),
        ("a reward that is no number", getattr(reward, "size", reward), 1),
        ("`terminated` that is not of shape ()", getattr(terminated, "shape", terminated), ()),
    ):
        if found != expected:
            yield f"returns {mistake}: {_in_words(found)}, not {_in_words(expected)}"


def _mistakes_of_params(params: Any) -> Iterator[str]:
    if not dataclasses.is_dataclass(params):
        yield f"has default_params of type {type(params).__name__}, which must be a dataclass"
    limit = getattr(params, TIME_LIMIT, None)
    if not isinstance(limit, int | float) or not 1 <= limit < 2**31:
        yield f"has no time limit: its {TIME_LIMIT} is {limit}"
    own = (vars(x).get("__annotations__", {}) for x in type(params).__mro__ if not _is_gymnax(x))
    if limit == 1 and not any(TIME_LIMIT in fields for fields in own):
        yield f"has gymnax's default time limit, 1: define {TIME_LIMIT} in its parameters' class"


def space_mistake(env: Any, params: Any) -> str:
    """Return what is wrong with an environment's spaces, "" if nothing is."""
    from gymnax.environments import spaces

    obs, action = env.observation_space(params), env.action_space(params)
    if not isinstance(obs, spaces.Discrete | spaces.Box):
        kind = type(obs).__name__
        return f"observation space {kind} is not supported; use a Box, of one array, or Discrete"
    if isinstance(action, spaces.Discrete):
        few = int(action.n) < 2
        return f"action space Discrete({int(action.n)}) leaves nothing to choose" if few else ""
    if isinstance(action, spaces.Box) and len(action.shape) == 1:
        return ""
    return (
        f"action space {action} is not supported; use Discrete or a one-dimensional Box"
        ", whose actions step_env can reshape"
    )


def _in_words(tree: Any) -> Any:
    """Return a tree with a text in the place of each array."""
    return jax.tree.map(
        lambda x: f"{x.dtype} of shape {x.shape}" if hasattr(x, "dtype") else x, tree
    )


def _is_gymnax(kind: type) -> bool:
    return kind.__module__.startswith("gymnax.")
