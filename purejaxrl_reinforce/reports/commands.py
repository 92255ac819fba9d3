"""Commands that repeat what a page shows."""

import dataclasses
import shlex
from collections.abc import Collection, Sequence
from typing import Any

from purejaxrl_reinforce.config import Config


def command(verb: str, *options: Any) -> str:
    """Return a command line, quoted for a shell."""
    return shlex.join(["purejaxrl-reinforce", verb, *map(str, options)])


def config_options(config: Config, but: Collection[str] = ()) -> list[str]:
    """Return the options that make a configuration of the command line's default.

    Args:
        config: to be made.
        but: fields without an option.
    """
    default = Config()
    options: list[str] = []
    for field in dataclasses.fields(config):
        value, name = getattr(config, field.name), field.name.replace("_", "-")
        if field.name in but or value == getattr(default, field.name):
            continue
        if isinstance(value, bool):
            options.append(f"--{name}" if value else f"--no-{name}")
            continue
        words = [value]
        if isinstance(value, tuple):
            words = list(value)
        elif isinstance(value, dict):
            words = [f"{key}={_word(x)}" for key, x in value.items()]
        options += [f"--{name}", *map(str, words)]
    return options


def axis_option(name: str, values: Sequence[Any]) -> list[str]:
    """Return the option that sweeps a field over values."""
    return ["--axis", f"{name}={','.join(map(_word, values))}"]


def _word(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{','.join(map(str, value))}]"
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
