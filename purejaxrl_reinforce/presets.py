"""Presets: measured configurations, each with its purpose, in presets.toml beside this file.

docs/pages/presets.md has their results.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from purejaxrl_reinforce.config import Config, nearest


@dataclass(frozen=True)
class Preset:
    """A named configuration and its purpose.

    Attributes:
        tuned: whether it is meant to solve its environment, and so what `--env` alone starts from.
    """

    config: Config
    purpose: str
    tuned: bool = True


def _load() -> dict[str, Preset]:
    text = Path(__file__).with_name("presets.toml").read_text()
    return {
        name: Preset(
            purpose=fields.pop("purpose"), tuned=fields.pop("tuned", True), config=Config(**fields)
        )
        for name, fields in tomllib.loads(text).items()
    }


PRESETS = _load()


def preset_for(env: str) -> str | None:
    """Return the name of the preset that was tuned for an environment, if there is one."""
    tuned = (name for name, preset in PRESETS.items() if preset.tuned and preset.config.env == env)
    return next(tuned, None)


def preset(name: str) -> Config:
    """Return the configuration of a preset.

    Raises:
        ValueError: there is no preset of that name.

    Example:
        >>> from purejaxrl_reinforce import preset
        >>> preset("acrobot").env
        'Acrobot-v1'
    """
    if name not in PRESETS:
        raise ValueError(
            f"unknown preset {name!r}; there are {', '.join(PRESETS)}{nearest(name, PRESETS)}"
        )
    return PRESETS[name].config
