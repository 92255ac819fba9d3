"""Parameters of a gymnax environment that differ from its own."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from purejaxrl_reinforce.config import ENV_PARAM, nearest
from purejaxrl_reinforce.tasks import TIME_LIMIT

# Parameters that follow from others, in gymnax and in Gymnasium alike.
DERIVED: dict[str, dict[str, Callable[[Any], Any]]] = {
    "CartPole": {
        "total_mass": lambda x: x.masscart + x.masspole,
        "polemass_length": lambda x: x.masspole * x.length,
    },
}


def derived(name: str) -> Mapping[str, Callable[[Any], Any]]:
    """Return by name the parameters of an environment that follow from others."""
    return DERIVED.get(name.partition("-")[0], {})


def changed(name: str, params: Any, env_params: Mapping[str, Any]) -> Any:
    """Return the parameters of the environment `name` with some changed, which may be traced.

    Those that are floats stay floats.

    Raises:
        ValueError: it has no such parameter, or one of another type.
    """
    own = [field.name for field in dataclasses.fields(params) if field.name not in derived(name)]
    values = dict(env_params)
    for key, value in env_params.items():
        if key in derived(name):
            raise ValueError(f"{ENV_PARAM}{key} of {name} follows from others; set those")
        if key not in own:
            raise ValueError(f"{name} has no parameter {key!r}{nearest(key, own, cutoff=0)}")
        _check(key, getattr(params, key), value)
        if isinstance(getattr(params, key), float) and type(value) is int:
            values[key] = float(value)
    new = dataclasses.replace(params, **values)
    return dataclasses.replace(new, **{key: of(new) for key, of in derived(name).items()})


def _check(key: str, own: Any, value: Any) -> None:
    if not isinstance(own, bool | int | float):
        raise ValueError(f"{ENV_PARAM}{key} is an array, which cannot be set")
    if isinstance(own, bool) != isinstance(value, bool):
        kind = "true or false" if isinstance(own, bool) else "a number"
        raise ValueError(f"{ENV_PARAM}{key} must be {kind}, not {value}")
    whole = key == TIME_LIMIT or type(own) is int
    if whole and not isinstance(value, int):
        raise ValueError(f"{ENV_PARAM}{key} must be a whole number, such as {int(own)}")
    if key == TIME_LIMIT and value < 1:
        raise ValueError(f"{ENV_PARAM}{key} must be at least 1, not {value}")
