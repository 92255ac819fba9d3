"""Environments of one's own: gymnax classes or instances named `package.module:Name`."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from purejaxrl_reinforce.algorithm.environments.env_params import TIME_LIMIT
from purejaxrl_reinforce.algorithm.environments.own_code import imported, in_a_line


def own_environment(path: str) -> tuple[Any, Any]:
    """Return the gymnax environment `path` and its parameters.

    Raises:
        ValueError: it cannot be imported, is no environment, or fails, or does not return what
            gymnax's environments return; one line.
    """
    from gymnax.environments.environment import Environment

    found = imported("environment", path)
    try:
        env = found() if isinstance(found, type) else found
        if not isinstance(env, Environment):
            raise _MistakeError("is neither a class nor an instance of gymnax's Environment")
        params = env.default_params
        _check_params(params)
        _check_functions(env, params)
    except _MistakeError as mistake:
        raise ValueError(f"environment {path!r} {mistake}") from None
    except Exception as error:  # whatever the user's code does
        raise ValueError(f"environment {path!r} fails: {in_a_line(error)}") from None
    return env, params


class _MistakeError(Exception):
    """What is wrong with an environment, in words that follow its name."""


def _check_params(params: Any) -> None:
    if not dataclasses.is_dataclass(params):
        raise _MistakeError(
            f"has default_params that are no dataclass, but {type(params).__name__}"
        )
    limit = getattr(params, TIME_LIMIT, None)
    if not isinstance(limit, int | float) or not 1 <= limit < 2**31:
        raise _MistakeError(f"has no time limit: its {TIME_LIMIT} is {limit}")


def _check_functions(env: Any, params: Any) -> None:
    key = jax.eval_shape(lambda: jax.random.key(0))
    start = jax.eval_shape(env.reset_env, key, params)
    obs, state = _parts("reset_env", start, ("obs", "state"))
    _check_obs("reset_env", obs, env.observation_space(params))
    action = jax.eval_shape(env.action_space(params).sample, key)
    result = jax.eval_shape(env.step_env, key, state, action, params)
    names = ("obs", "state", "reward", "terminated", "info")
    next_obs, next_state, reward, terminated, _ = _parts("step_env", result, names)
    for what, first, second in (("obs", obs, next_obs), ("state", state, next_state)):
        if _shapes(first) != _shapes(second):
            raise _MistakeError(
                f"returns another {what} from step_env than from reset_env:"
                f" {_words(second)}, not {_words(first)}"
            )
    truncated = jax.eval_shape(env.is_truncated, state, params)
    _check_number("reward", reward, "iuf")
    _check_number("terminated", terminated, "b")
    _check_number("is_truncated", truncated, "b")


def _parts(function: str, result: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    if not isinstance(result, tuple) or len(result) != len(names):
        found = f"{len(result)} values" if isinstance(result, tuple) else type(result).__name__
        raise _MistakeError(f"must return {', '.join(names)} from {function}, not {found}")
    return result


def _check_obs(function: str, obs: Any, space: Any) -> None:
    shape = tuple(getattr(space, "shape", ()))
    if not isinstance(obs, jax.ShapeDtypeStruct) or obs.shape != shape:
        raise _MistakeError(
            f"returns an observation from {function} that is not in its space: {_words(obs)}, not"
            f" of shape {shape}"
        )


def _check_number(what: str, value: Any, kinds: str) -> None:
    is_scalar = isinstance(value, jax.ShapeDtypeStruct) and value.size == 1
    if not is_scalar or jnp.dtype(value.dtype).kind not in kinds:
        right = "a truth value" if kinds == "b" else "a number"
        raise _MistakeError(f"must return {right} for {what}, not {_words(value)}")


def _shapes(tree: Any) -> Any:
    leaves, structure = jax.tree.flatten(tree)
    return structure, [(x.shape, x.dtype) for x in leaves]


def _words(tree: Any) -> str:
    leaves = [f"{x.dtype}{list(x.shape)}" for x in jax.tree.leaves(tree)]
    return ", ".join(leaves) or "nothing"
