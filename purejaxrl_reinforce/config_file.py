"""Configurations as TOML or YAML files."""

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import tomli_w
import yaml

from purejaxrl_reinforce.config import FIELD_KINDS, FLOAT_FIELDS, Config, checked_seed, nearest

CONFIG_FILE = "config.toml"


def dump_config(config: Config, seed: int) -> str:
    """Return a TOML text that `load_config` reads; fields that are None are left out."""
    values = {k: v for k, v in dataclasses.asdict(config).items() if v is not None}
    return tomli_w.dumps({"seed": seed, **values})


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
        ValueError: it is no run directory, or its configuration is damaged.
    """
    path = run_dir / CONFIG_FILE
    if not path.is_file():
        raise ValueError(f"{run_dir} is not a run directory: it has no {CONFIG_FILE}")
    config, seed = load_config(path)
    return config, seed or 0


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
