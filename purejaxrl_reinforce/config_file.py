"""Configurations as TOML files, and the identity of a run."""

import hashlib
import json
import os
import re
import secrets
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tomli_w

from purejaxrl_reinforce.config import FIELD_KINDS, OBJECT_FIELDS, Config, checked_seed, field_hint
from purejaxrl_reinforce.named import require_paths
from purejaxrl_reinforce.output.files import read_input

CONFIG_FILE = "config.toml"

# Ends the configuration of a run; for others it is a comment like any.
_CHECKSUM = "# sha256 of the lines above: "


def new_identity(config: Config) -> str:
    """Return a unique name for a run.

    Raises:
        ValueError: an object of the configuration has no import path.
    """
    require_paths(*(getattr(config, name) for name in OBJECT_FIELDS))
    return secrets.token_hex(16)


def config_digest(config: Config) -> str:
    """Return 16 letters that no other configuration has."""
    return _digest(json.dumps(asdict(config), sort_keys=True))[:16]


def dump_config(config: Config, seed: int, owner: str) -> str:
    """Return the sealed TOML text of a run of this identity; fields of None are left out."""
    values = {k: v for k, v in asdict(config).items() if v is not None}
    text = tomli_w.dumps({"identity": owner, "seed": seed, **values})
    return f"{text}{_CHECKSUM}{_digest(text)}\n"


def load_config(path: str | Path) -> tuple[Config, int | None]:
    """Return the configuration of a TOML file, and its `seed` if it has one.

    Fields that the file leaves out have their defaults.

    Raises:
        ValueError: the file cannot be read or parsed, or has an unknown field or a wrong value;
            one line that begins with the file's name.
    """
    config, seed, _ = _parse(Path(path), read_input(Path(path)).decode(errors="replace"))
    return config, seed


def load_run_config(run_dir: Path) -> tuple[Config, int, str]:
    """Return configuration, seed and identity of a run directory.

    Raises:
        ValueError: it is no run directory, or its configuration was changed.
    """
    path = run_dir / CONFIG_FILE
    if not os.path.lexists(path):  # of a name that is too long as well
        raise ValueError(f"{run_dir} is not a run directory: it has no {CONFIG_FILE}")
    text, _, checksum = read_input(path).decode(errors="replace").rpartition(_CHECKSUM)
    if checksum != f"{_digest(text)}\n":
        raise ValueError(
            f"{path} is damaged: checksum mismatch; a run's configuration cannot be"
            " edited, but copied and given as `config`"
        )
    config, seed, identity = _parse(path, text)
    if seed is None or not re.fullmatch("[0-9a-f]{32}", str(identity)):
        raise ValueError(f"{path} has no seed, or not the identity of a run")
    return config, seed, str(identity)


def _parse(path: Path, text: str) -> tuple[Config, int | None, Any]:
    """Return the configuration, the seed and the identity in the text of a file."""
    try:
        values = tomllib.loads(text)
        seed, identity = values.pop("seed", None), values.pop("identity", None)
        for name in values:
            if name not in FIELD_KINDS:
                raise ValueError(f"unknown field {name!r}{field_hint(name)}")
        return Config(**values), None if seed is None else checked_seed(seed), identity
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not TOML: {error}") from None
    except (ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
