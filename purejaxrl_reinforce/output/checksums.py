"""Arrays and JSON in files with a SHA-256 that is verified when they are read."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from purejaxrl_reinforce.output.files import atomic_write
from purejaxrl_reinforce.output.json_text import dump_json, json_value, parse_json

# The member of an .npz file, and of a JSON object, that is the checksum of the others.
CHECKSUM = "sha256"


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name as `.npz`, and the checksum of all of them as another array."""
    checksum = np.array(_arrays_digest(arrays))
    with atomic_write(path) as unfinished:
        np.savez(unfinished, **arrays, **{CHECKSUM: checksum})  # type: ignore[arg-type]


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays that `save_arrays` wrote.

    Raises:
        OSError: the file cannot be opened.
        ValueError: it is not what was written; one line that begins with its path.
    """
    with path.open("rb") as opened:
        try:
            with np.load(opened) as file:
                arrays = {name: file[name] for name in file.files}
            # NumPy reads no further than an array's header says: the CRCs of a zip file prove
            # little about headers.
            checksum = str(arrays.pop(CHECKSUM, "missing"))
            intact = checksum == _arrays_digest(arrays)
        except Exception as error:  # NumPy raises all sorts of them on damaged files
            raise ValueError(f"{path} is damaged: {error!r}") from None
    if not intact:
        raise ValueError(f"{path} is damaged: checksum mismatch")
    return arrays


def write_sealed(path: Path, content: Any) -> None:
    """Write `content` as JSON, beside its checksum."""
    with atomic_write(path) as unfinished:
        unfinished.write_text(dump_json({"content": content, CHECKSUM: _json_digest(content)}))


def read_sealed(path: Path) -> Any:
    """Return what `write_sealed` was given.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not what was written; one line that begins with its path.
    """
    try:
        sealed = parse_json(path.read_text())
        intact = sealed[CHECKSUM] == _json_digest(sealed["content"])
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} is damaged") from None
    if not intact:
        raise ValueError(f"{path} is damaged: checksum mismatch")
    return sealed["content"]


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _arrays_digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 over names, dtypes, shapes and bytes."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        if array.dtype.hasobject:
            raise ValueError(f"{name} is an array of Python objects")
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    return digest.hexdigest()


def _json_digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(json_value(content), sort_keys=True).encode()).hexdigest()
