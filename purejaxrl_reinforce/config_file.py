"""Configurations as TOML files."""

import dataclasses
import hashlib
import tomllib
from pathlib import Path
from typing import Any

import tomli_w

from purejaxrl_reinforce.config import (
    FIELD_KINDS,
    OPTIONAL_FIELDS,
    Config,
    checked_seed,
    nearest,
)

CONFIG_FILE = "config.toml"

# Ends the configuration of a run; for others it is a comment like any.
_CHECKSUM = "# sha256 of the lines above: "

# Ten times what a configuration needs; the time that parsing takes grows with the square.
_LARGEST_BYTES = 10_000


def dump_config(config: Config, seed: int) -> str:
    """Return a TOML text with its checksum, for a run; fields that are None are left out."""
    values = {k: v for k, v in dataclasses.asdict(config).items() if v is not None}
    text = tomli_w.dumps({"seed": seed, **values})
    return f"{text}{_CHECKSUM}{_digest(text)}\n"


def load_config(path: str | Path) -> tuple[Config, int | None]:
    """Return the configuration of a TOML file, and its `seed` if it has one.

    Fields that the file leaves out have their defaults.

    Raises:
        ValueError: the file cannot be read or parsed, or has an unknown field or a wrong value;
            one line that begins with the file's name.
    """
    try:
        values = _parse(Path(path))
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
        ValueError: it is no run directory, or its configuration is not what was written.
    """
    path = run_dir / CONFIG_FILE
    try:
        content = path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    if content is None:
        raise ValueError(f"{run_dir} is not a run directory: it has no {CONFIG_FILE}")
    text, mark, checksum = content.decode(errors="replace").rpartition(_CHECKSUM)
    if not mark or checksum != f"{_digest(text)}\n":
        raise ValueError(
            f"{path} is damaged: checksum mismatch; a run's configuration cannot be"
            " edited, but copied and given as --config"
        )
    config, seed = load_config(path)
    values = tomllib.loads(text)
    for name in ("seed", *FIELD_KINDS):
        if name not in values and name not in OPTIONAL_FIELDS:
            raise ValueError(f"{path} is incomplete: it has no {name}")
    return config, checked_seed(seed)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


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
