"""Configurations as TOML files."""

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import tomli_w

from purejaxrl_reinforce.config import FIELD_KINDS, Config, checked_seed, nearest

CONFIG_FILE = "config.toml"

# Ten times what a configuration needs; the time that parsing takes grows with the square.
_LARGEST_BYTES = 10_000


def dump_config(config: Config, seed: int) -> str:
    """Return a TOML text that `load_config` reads; fields that are None are left out."""
    values = {k: v for k, v in dataclasses.asdict(config).items() if v is not None}
    return tomli_w.dumps({"seed": seed, **values})


def load_config(path: Path) -> tuple[Config, int | None]:
    """Return the configuration of a TOML file, and its `seed` if it has one.

    Fields that the file leaves out have their defaults.

    Raises:
        ValueError: the file cannot be read or parsed, or has an unknown field or a wrong value;
            one line that begins with the file's name.
    """
    try:
        values = _parse(path)
        seed = values.pop("seed", None)
        for name in values:
            if name not in FIELD_KINDS:
                raise ValueError(f"unknown field {name!r}{nearest(str(name), FIELD_KINDS)}")
        return Config(**values), None if seed is None else checked_seed(seed)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise ValueError(f"{path}: nested too deeply; fields stand at the top level") from None


def load_run_config(run_dir: Path) -> tuple[Config, int]:
    """Return configuration and seed of a run directory.

    Raises:
        ValueError: it is no run directory, or its configuration is damaged.
    """
    path = run_dir / CONFIG_FILE
    if not path.is_file():
        raise ValueError(f"{run_dir} is not a run directory: it has no {CONFIG_FILE}")
    config, seed = load_config(path)
    return config, seed or 0


def _parse(path: Path) -> dict[str, Any]:
    if path.suffix.lower() in (".yaml", ".yml", ".json"):
        raise ValueError("is not TOML, the one format of configurations")
    if path.exists() and not path.is_file():
        raise ValueError("is not a file")
    with path.open("rb") as file:
        content = file.read(_LARGEST_BYTES + 1)
    if len(content) > _LARGEST_BYTES:
        raise ValueError(f"is larger than {_LARGEST_BYTES:,} bytes")
    try:
        return tomllib.loads(content.decode())
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"is not TOML: {error}") from None
