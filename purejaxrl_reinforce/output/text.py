"""What pictures, tables and lines call things: settings, values, counts."""

from collections.abc import Sequence
from typing import Any

from purejaxrl_reinforce.config import Config


def setting_label(config: Config, names: Sequence[str]) -> str:
    """Return the named fields as `policy_lr=0.01, hidden_sizes=64x64`."""
    return ", ".join(f"{name}={short_value(getattr(config, name))}" for name in names)


def short_value(value: Any) -> str:
    """Return a field's value without brackets or many digits: `64x64`, `0.00316228`."""
    if isinstance(value, tuple):
        return "x".join(map(str, value)) or "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def count(number: int, what: str) -> str:
    """Return `1 seed`, `1,024 seeds`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
