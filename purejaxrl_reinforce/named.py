"""Environments and networks by name: the import path and arguments of an object, as a text.

`my_envs:PointMass(size=3)` is such a text. An object that has none is named, too, but cannot be
made from its name. Imports neither jax nor numpy.
"""

import ast
import functools
import inspect
import operator
import pickle
import sys
from typing import Any

# Arguments of a network that are given to it when it is used.
_GIVEN_LATER = ("num_outputs", "parent", "name")


class Named(str):
    """The name of an object that the configuration was given: equal to it as a text.

    Two of them are equal if they were also made of one object, so that a class that is defined
    again, as in a notebook, is another one.

    Attributes:
        target: the class, the factory or the instance.
        has_path: whether the name alone is enough to make the object again.
    """

    target: Any
    has_path: bool

    def __eq__(self, other: object) -> bool:
        same = not isinstance(other, Named) or self.target is other.target
        return same and str.__eq__(self, other) is True

    __hash__ = str.__hash__

    def __deepcopy__(self, _: Any) -> "Named":
        return self


def named(value: Any) -> Any:
    """Return the name of a class, a factory, a partial of these or an instance; other values as is.

    It has a path if the name makes an equal object: with literal arguments, which of an instance
    are the attributes that are called like the parameters of its class.
    """
    if isinstance(value, str) or not (callable(value) or hasattr(value, "step_env")):
        return value
    target, keywords, is_instance = value, {}, False
    if isinstance(value, functools.partial):
        target, keywords = value.func, value.keywords
    elif not isinstance(value, type) and not inspect.isroutine(value):
        target, is_instance = type(value), True
    name = f"{target.__module__}:{getattr(target, '__qualname__', '')}"
    try:
        if is_instance:
            keywords = _keywords(value)
        text = ", ".join(f"{key}={x!r}" for key, x in keywords.items())
        path, _, literal = path_and_arguments(full := f"{name}({text})" if text else name)
        module, _, attributes = path.partition(":")
        has_path = operator.attrgetter(attributes)(sys.modules[module]) is target
        has_path &= not getattr(value, "args", ())  # of a partial
        if is_instance:
            given = {x: getattr(value, x) for x in _GIVEN_LATER if x in vars(value)}
            has_path &= _alike(target(**literal, **given), value)
    except Exception:  # whatever a class of the user's does
        has_path = False
    result = Named(full if has_path else f"{name} at {id(value):#x}")
    result.target, result.has_path = target if has_path else value, has_path
    return result


def _keywords(value: Any) -> dict[str, Any]:
    """Return the arguments of the class of an instance that it has as attributes, but defaults."""
    parameters = inspect.signature(type(value)).parameters.values()
    own = [p for p in parameters if p.name not in _GIVEN_LATER]
    values = {p.name: (getattr(value, p.name), p.default) for p in own}
    return {name: x for name, (x, default) in values.items() if repr(x) != repr(default)}


def _alike(x: Any, y: Any) -> bool:
    """Return whether two instances of a class hold equal values."""
    if type(x).__eq__ is object.__eq__:  # which compares nothing
        return pickle.dumps(vars(x)) == pickle.dumps(vars(y))
    return bool(x == y)


def path_and_arguments(name: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Return the import path in a name, and its positional and keyword arguments.

    Raises:
        ValueError: they are no literals, such as numbers, texts and tuples of these.
    """
    path, parenthesis, rest = name.partition("(")
    if not parenthesis or getattr(name, "has_path", True) is False:
        return path, [], {}
    try:
        call = ast.parse(f"f({rest}", mode="eval").body
        assert isinstance(call, ast.Call)
        positional = list(map(ast.literal_eval, call.args))
        return path, positional, {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
    except (AssertionError, SyntaxError, ValueError):
        raise ValueError(f"{name!r} must be module:Name(size=3), with literal values") from None


def require_paths(*names: str) -> None:
    """Raise ValueError if one of these could not be made again from its name alone."""
    for name in names:
        if not getattr(name, "has_path", True):
            raise ValueError(
                f"{name} cannot be recorded: a run needs a class or a function that can be"
                " imported, and literal arguments; write a function that returns the object"
            )
