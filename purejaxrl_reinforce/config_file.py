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

from purejaxrl_reinforce.config import FIELD_KINDS, OPTIONAL_FIELDS, Config, checked_seed, nearest
from purejaxrl_reinforce.output.files import open_regular

CONFIG_FILE = "config.toml"

# Ends the configuration of a run; for others it is a comment like any.
_CHECKSUM = b"# sha256 of the lines above: "

# Ten times what a configuration needs; the time that parsing takes grows with the square.
_LARGEST_BYTES = 10_000


def new_identity(content: Any) -> str:
    """Return a name that no other run or sweep has, with a digest of its content.

    Args:
        content: what never changes of it, as JSON has it.
    """
    return f"{secrets.token_hex(8)}-{_short_digest(content)}"


def is_identity_of(identity: Any, content: Any) -> bool:
    """Return whether `new_identity` could have given this name to this content."""
    pattern = f"[0-9a-f]{{16}}-{_short_digest(content)}"
    return isinstance(identity, str) and re.fullmatch(pattern, identity) is not None


def run_content(config: Config, seed: int) -> dict[str, Any]:
    """Return what never changes of a run; a resumed one may get more updates."""
    return asdict(config) | {"seed": seed, "num_updates": None}


def dump_config(config: Config, seed: int, owner: str) -> str:
    """Return the sealed TOML text of a run of this identity; fields of None are left out."""
    values = {k: v for k, v in asdict(config).items() if v is not None}
    text = tomli_w.dumps({"identity": owner, "seed": seed, **values})
    return f"{text}{_CHECKSUM.decode()}{_digest(text.encode())}\n"


def load_config(path: str | Path) -> tuple[Config, int | None]:
    """Return the configuration of a TOML file, and its `seed` if it has one.

    Fields that the file leaves out have their defaults.

    Raises:
        ValueError: the file cannot be read or parsed, or has an unknown field or a wrong value;
            one line that begins with the file's name.
    """
    path = Path(path)
    if path.suffix.lower() in (".yaml", ".yml", ".json"):
        raise ValueError(f"{path} is not TOML, the one format of configurations")
    config, values = _parse(path, _read(path))
    return config, values.get("seed")


def load_run_config(run_dir: Path) -> tuple[Config, int, str]:
    """Return configuration, seed and identity of a run directory.

    Raises:
        ValueError: it is no run directory, or its configuration is not what was written.
    """
    path = run_dir / CONFIG_FILE
    if not os.path.lexists(path):  # of a name that is too long as well
        raise ValueError(f"{run_dir} is not a run directory: it has no {CONFIG_FILE}")
    text, mark, checksum = _read(path).rpartition(_CHECKSUM)
    if not mark or checksum != f"{_digest(text)}\n".encode():
        raise ValueError(
            f"{path} is damaged: checksum mismatch; a run's configuration cannot be"
            " edited, but copied and given as --config"
        )
    config, values = _parse(path, text)
    for name in ("identity", "seed", *FIELD_KINDS):
        if name not in values and name not in OPTIONAL_FIELDS:
            raise ValueError(f"{path} is incomplete: it has no {name}")
    if not is_identity_of(values["identity"], run_content(config, values["seed"])):
        raise ValueError(f"{path} is damaged: it has the identity of another run")
    return config, values["seed"], values["identity"]


def _read(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            content: bytes = file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    if len(content) > _LARGEST_BYTES:
        raise ValueError(f"{path} is larger than {_LARGEST_BYTES:,} bytes")
    return content


def _parse(path: Path, text: bytes) -> tuple[Config, dict[str, Any]]:
    """Return the configuration, and all values of the file."""
    try:
        values = tomllib.loads(text.decode())
        fields = {k: v for k, v in values.items() if k not in ("identity", "seed")}
        for name in fields:
            if name not in FIELD_KINDS:
                raise ValueError(f"unknown field {name!r}{nearest(name, FIELD_KINDS)}")
        if "seed" in values:
            checked_seed(values["seed"])
        return Config(**fields), values
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not TOML: {error}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise ValueError(f"{path}: nested too deeply; fields stand at the top level") from None


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _short_digest(content: Any) -> str:
    return _digest(json.dumps(content, sort_keys=True).encode())[:8]
