"""A user's own environments and networks, which the configuration names `package.module:Name`."""

import dataclasses
import importlib
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from purejaxrl_reinforce.algorithm.lanes import key_shape
from purejaxrl_reinforce.config import nearest
from purejaxrl_reinforce.tasks import TIME_LIMIT

# Files of Python, of installed packages and of this one.
_FILES_OF_OTHERS = (
    "<",
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
    str(Path(__file__).parents[2]),
)
# A frame in the text that XLA makes of what a callback of compiled code raises.
_FRAME = re.compile(r'File "(.+)", line (\d+), in .')


def imported(kind: str, path: str) -> Any:
    """Return what `path` names, also from a module in the current directory.

    Raises:
        ValueError: there is no such module or name, or the module fails; one line.
    """
    module_name, _, name = path.partition(":")
    if "" not in sys.path:  # a command starts without the current directory
        sys.path.append("")
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # whatever the module does
        raise ValueError(f"{kind} {path!r} cannot be imported: {error_in_a_line(error)}") from None
    if not hasattr(module, name):
        near = nearest(name, (x for x in vars(module) if not x.startswith("_")))
        raise ValueError(f"{kind} {path!r}: {module_name} has no {name!r}{near}")
    return getattr(module, name)


def error_in_a_line(error: BaseException) -> str:
    """Return an error in a line, with the file and line of the user's code that raised it."""
    text = f"{type(error).__name__}: {error}".strip()
    text = " ".join((text.splitlines()[-1] if _FRAME.search(text) else text).split())[:200]
    frame = users_frame(error)
    if frame is None or isinstance(error, SyntaxError):  # whose text has both
        return text
    return f"{text} ({frame.filename}, line {frame.lineno})"


def users_frame(error: BaseException) -> traceback.FrameSummary | None:
    """Return the innermost line of the user's code that raised an error, None if there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    frames += [traceback.FrameSummary(x, int(n), "") for x, n in _FRAME.findall(str(error))]
    own = [frame for frame in frames if not frame.filename.startswith(_FILES_OF_OTHERS)]
    return own[-1] if own else None


def own_environment(path: str) -> tuple[Any, Any]:
    """Return the gymnax environment `path` and its parameters.

    Raises:
        ValueError: it cannot be imported, is no environment, or fails, or does not return what
            gymnax's environments return; one line.
    """
    found = imported("environment", path)
    try:
        env = found() if isinstance(found, type) else found
        mistake = next(_mistakes(env), None)
    except (Exception, SystemExit) as error:  # whatever the user's code does
        raise ValueError(f"environment {path!r} fails: {error_in_a_line(error)}") from None
    if mistake is not None:
        raise ValueError(f"environment {path!r} {mistake}")
    return env, env.default_params


def _mistakes(env: Any) -> Iterator[str]:
    """Yield what is wrong, in words that follow the environment's name; the first one counts."""
    from gymnax.environments.environment import Environment

    if not isinstance(env, Environment):
        yield "is neither a class nor an instance of gymnax's Environment"
    params = env.default_params
    if not dataclasses.is_dataclass(params):
        yield f"has default_params that are no dataclass, but {type(params).__name__}"
    limit = getattr(params, TIME_LIMIT, None)
    if not isinstance(limit, int | float) or not 1 <= limit < 2**31:
        yield f"has no time limit: its {TIME_LIMIT} is {limit}"
    # Traced, a reset and a step must agree with each other and with the space.
    start = jax.eval_shape(env.reset_env, key_shape(), params)
    if not isinstance(start, tuple) or len(start) != 2:
        yield "must return obs, state from reset_env"
    obs, state = start
    action = jax.eval_shape(env.action_space(params).sample, key_shape())
    step = jax.eval_shape(env.step_env, key_shape(), state, action, params)
    if not isinstance(step, tuple) or len(step) != 5:
        yield "must return obs, state, reward, terminated, info from step_env"
    next_obs, next_state, reward, *_ = step
    space = env.observation_space(params)
    for mistake, found, expected in (
        ("an observation that is not of its space's shape", obs.shape, space.shape),
        ("another observation from step_env than from reset_env", next_obs, obs),
        ("another state from step_env than from reset_env", next_state, state),
        ("a reward that is no number", reward.size, 1),
    ):
        if found != expected:
            yield f"returns {mistake}: {found}, not {expected}"
