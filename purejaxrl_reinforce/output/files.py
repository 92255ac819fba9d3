"""New files: where they may go, and that they are there whole or not at all."""

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from purejaxrl_reinforce.files import replacing


def new_file(out: Path | None, default: Path, suffixes: Sequence[str]) -> Path:
    """Return a path for a file that does not exist yet.

    Args:
        out: what was asked for. None: `default`, or with a number behind its name where that is
            taken.
        default: a path with one of the suffixes.
        suffixes: what the file's name may end with.

    Raises:
        ValueError: `out` exists, has another suffix, or lies where nothing can be written.
    """
    if out is None:
        path = first_free(default.parent, default.stem, default.suffix)
    elif out.suffix.lower() not in suffixes:
        raise ValueError(f"--out must end in {' or '.join(suffixes)}, not {out.name!r}")
    elif os.path.lexists(out):
        raise ValueError(f"{out} exists; choose another --out")
    else:
        path = out
    require_writable(path)
    return path


def first_free(directory: Path, stem: str, suffix: str = "") -> Path:
    """Return a path in `directory` where nothing is: `stem`, else with a number behind it."""
    others = (f"{stem}-{i}" for i in itertools.count(2))
    paths = (directory / f"{name}{suffix}" for name in itertools.chain([stem], others))
    return next(path for path in paths if not os.path.lexists(path))


def require_writable(path: Path) -> None:
    """Raise ValueError unless `path` lies in a directory, or below one, that can be written to."""
    existing = next(p for p in path.absolute().parents if p.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise ValueError(f"{existing} cannot be written to; choose another --out")


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a name to write to, which becomes `path` at the end, or vanishes if that fails.

    Raises:
        ValueError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as unfinished:
            yield unfinished
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror or error}") from None
