"""Configurations as TOML or YAML files."""

import dataclasses
import hashlib
import tomllib
from pathlib import Path
from typing import Any

import tomli_w
import yaml

from purejaxrl_reinforce.config import (
    FIELD_KINDS,
    FLOAT_FIELDS,
    OPTIONAL_FIELDS,
    Config,
    checked_seed,
    nearest,
)

CONFIG_FILE = "config.toml"

# Ends the configuration of a run; for others it is a comment like any.
_CHECKSUM = "# sha256 of the lines above: "


def dump_config(config: Config, seed: int) -> str:
    """Return a TOML text with its checksum, for a run; fields that are None are left out."""
    values = {k: v for k, v in dataclasses.asdict(config).items() if v is not None}
    text = tomli_w.dumps({"seed": seed, **values})
    return f"{text}{_CHECKSUM}{_digest(text)}\n"


def load_config(path: Path) -> tuple[Config, int | None]:
    """Return the configuration of a TOML or YAML file, and its `seed` if it has one.

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
    except (ValueError, yaml.YAMLError) as error:
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
    if path.exists() and not path.is_file():
        raise ValueError("is not a file")
    text = path.read_text()
    if path.suffix.lower() not in (".yaml", ".yml"):
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"is not TOML (YAML needs the suffix .yaml): {error}") from None
    values = yaml.safe_load(text)
    if not isinstance(values, dict):
        raise ValueError("must be a mapping of field names to values")
    for name in values.keys() & set(FLOAT_FIELDS):
        # YAML 1.1 reads 1e-3, without a point, as a string.
        if isinstance(values[name], str):
            values[name] = _number(name, values[name])
    return values


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{name} must be a number, not {text!r}") from None
