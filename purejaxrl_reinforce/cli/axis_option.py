"""Values of fields, from the text of the options --axis and --env-params."""

import tomllib
from collections.abc import Sequence
from typing import Any

from purejaxrl_reinforce.config import ENV_PARAM, FIELD_KINDS
from purejaxrl_reinforce.sweeps.axes import log_range, require_field

_LOG = "log:"


def parse_axes(texts: Sequence[str]) -> dict[str, Sequence[Any]]:
    """Return values by field from several options as `parse_axis` takes them.

    Raises:
        ValueError: an option is wrong, or two name the same field.
    """
    axes: dict[str, Sequence[Any]] = {}
    for text in texts:
        name, values = parse_axis(text)
        if name in axes:
            raise ValueError(f"{name} is swept twice; give all its values in one --axis")
        axes[name] = values
    return axes


def parse_axis(text: str) -> tuple[str, Sequence[Any]]:
    """Return field and values of an option such as `policy_lr=0.01,0.03` or `gamma=log:0.9:1:3`.

    Values are separated by commas; those of hidden_sizes are lists: `[64],[64,64]`. `none` is None,
    for fields that may be None.

    Raises:
        ValueError: there is no such field, or the values are not of its kind.
    """
    name, equals, values = text.partition("=")
    name = name.strip().removeprefix("--").replace("-", "_")
    if not equals:
        raise ValueError(f"--axis takes FIELD=VALUE,VALUE,..., not {text!r}")
    require_field(name)
    values = values.strip()
    if values.startswith(_LOG):
        return name, _parse_log_range(name, values)
    if name == "hidden_sizes":
        return name, _parse_lists(name, values)
    if not values:
        return name, []
    parts = [value.strip() for value in values.split(",")]
    if "" in parts:
        raise ValueError(f"{name} has an empty value in {values!r}")
    if not name.startswith(ENV_PARAM):
        return name, [_parse_value(name, part) for part in parts]
    found = [parse_env_param(part) for part in parts]
    # Of one type, so that one program trains them all.
    return name, list(map(float, found)) if float in map(type, found) else found


def _parse_log_range(name: str, text: str) -> list[float]:
    if FIELD_KINDS.get(name) is not float and not name.startswith(ENV_PARAM):
        raise ValueError(f"a log range needs a float field; {name} is not one")
    try:
        low, high, num = text.removeprefix(_LOG).split(":")
        return log_range(float(low), float(high), int(num))
    except ValueError as error:
        hint = f" ({error})" if "log range" in str(error) else ""
        raise ValueError(f"{name}: a range is log:LOW:HIGH:NUMBER, not {text!r}{hint}") from None


def _parse_lists(name: str, text: str) -> list[Any]:
    try:
        parsed = {} if "\n" in text else tomllib.loads(f"x = [{text}]")
        return list(parsed["x"])
    except (tomllib.TOMLDecodeError, KeyError):
        raise ValueError(f"{name} takes lists such as [64],[64,64], not {text!r}") from None


def _parse_value(name: str, text: str) -> Any:
    """Return a value of its field's kind, else the text, which the field's own check refuses."""
    kind = FIELD_KINDS[name]
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    if kind == int | None and text.lower() == "none":
        return None
    try:
        return float(text) if kind is float else int(text) if kind in (int, int | None) else text
    except ValueError:
        return text


def parse_env_params(texts: Sequence[str]) -> dict[str, Any]:
    """Return parameters by name from `gravity=12`, `length=0.7`, ...

    Raises:
        ValueError: a text is something else, or two name the same parameter.
    """
    params: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"--env-params takes NAME=VALUE, such as gravity=12, not {text!r}")
        if name in params:
            raise ValueError(f"{name} is given twice")
        params[name] = parse_env_param(value)
    return params


def parse_env_param(text: str) -> bool | int | float:
    """Return the value of a parameter: `12`, `0.7`, `1e-3`, `true`.

    Raises:
        ValueError: it is none of these.
    """
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise ValueError(f"a parameter is a number, true or false, not {text!r}")
