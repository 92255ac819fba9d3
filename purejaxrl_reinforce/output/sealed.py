"""Arrays and JSON in files that have an owner and are verified when they are read.

An owner is the identity of a run or a sweep. A file of another owner is refused, whatever its name
and its shapes.
"""

import contextlib
import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from purejaxrl_reinforce.output import files, json_text

# The member of an .npz file that says whose it is.
_ABOUT = "about"


class DamagedError(ValueError):
    """A file was changed after it was written."""


@contextlib.contextmanager
def parsing(path: Path) -> Iterator[None]:
    """Interpret the content of a file; any error in the block becomes a DamagedError with its path.

    A checksum says that a file is as it was written, not that this release wrote it. So fields may
    be missing, and have any type: readers need not check them one by one.
    """
    try:
        yield
    except DamagedError:
        raise
    except Exception as error:  # of zipfile, NumPy and json, or of a field's use
        raise DamagedError(f"{path} is damaged: {' '.join(repr(error).split())}") from None


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray], owner: str) -> None:
    """Write arrays by name as `.npz`, a zip file, which has a CRC of each of them."""
    # To NumPy's files a bfloat16 is two bytes without a meaning, so its name is kept beside them.
    extended = {name: x.dtype.name for name, x in arrays.items() if x.dtype.kind == "V"}
    about = np.array(json.dumps({"owner": owner, "dtypes": extended}))
    with files.atomic_write(path) as unfinished:
        np.savez(unfinished, **arrays, **{_ABOUT: about})  # type: ignore[arg-type]


def load_arrays(path: Path, owner: str | None = None) -> dict[str, np.ndarray]:
    """Return the arrays that `save_arrays` wrote for an owner; None: for any.

    Raises:
        DamagedError: the file was changed since; one line that begins with its path.
        ValueError: it cannot be read, or is another owner's; likewise.
    """
    with files.open_input(path) as opened, parsing(path):
        # NumPy reads no further than an array's header says, so it may miss a wrong CRC.
        with zipfile.ZipFile(opened) as archive:
            if damaged := archive.testzip():
                raise DamagedError(f"{path} is damaged: checksum mismatch in {damaged}")
        opened.seek(0)
        with np.load(opened) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(str(arrays.pop(_ABOUT)))
        found, dtypes = about["owner"], about["dtypes"]
        arrays |= {name: arrays[name].view(dtype) for name, dtype in dtypes.items()}
    if owner is not None and found != owner:
        raise ValueError(f"{path} belongs to another run or sweep")
    return arrays


def owner_of(path: Path) -> str | None:
    """Return whose file of arrays this is, None where it does not say; the arrays are not read."""
    try:
        with files.open_input(path) as opened, np.load(opened) as file:
            return str(json.loads(str(file[_ABOUT]))["owner"])
    except Exception:  # see `parsing`
        return None


def write_sealed(path: Path, content: Any, owner: str) -> None:
    """Write `content` as JSON, with its owner and the checksum of both."""
    sealed = {"content": content, "owner": owner, "sha256": _digest(content, owner)}
    with files.atomic_write(path) as unfinished:
        unfinished.write_text(json_text.dump_json(sealed))


def read_sealed(path: Path) -> tuple[Any, str]:
    """Return the content and the owner that `write_sealed` wrote.

    Raises:
        DamagedError: the file was changed since; one line that begins with its path.
        ValueError: it cannot be read; likewise.
    """
    with files.open_input(path) as file, parsing(path):
        sealed = json_text.parse_json(file.read())
        content, found = sealed["content"], sealed["owner"]
        if sealed["sha256"] != _digest(content, found):
            raise DamagedError(f"{path} is damaged: checksum mismatch")
    return content, found


def _digest(content: Any, owner: str) -> str:
    text = json.dumps([json_text.json_value(content), owner], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
