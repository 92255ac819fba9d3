"""The option --env-params: parameters of the environment, from text."""

from collections.abc import Mapping, Sequence
from typing import Any

from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from purejaxrl_reinforce.config import EnvParams

REGISTRY = ConstructorRegistry()


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


def _parse(texts: Sequence[str]) -> EnvParams:
    params = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"--env-params takes NAME=VALUE, such as gravity=12, not {text!r}")
        if name in params:
            raise ValueError(f"{name} is given twice")
        params[name] = parse_env_param(value)
    return EnvParams(params)


@REGISTRY.primitive_rule
def _rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[EnvParams] | None:
    if info.type != Mapping[str, Any]:  # of env_params alone
        return None
    return PrimitiveConstructorSpec(
        nargs="*",
        metavar="NAME=VALUE",
        instance_from_str=_parse,
        is_instance=lambda value: isinstance(value, EnvParams),
        str_from_instance=lambda params: [f"{name}={value}" for name, value in params.items()],
    )
