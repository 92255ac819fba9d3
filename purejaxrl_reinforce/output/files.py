"""New paths, atomic file replacement, locked logs."""

import contextlib
import datetime
import fcntl
import itertools
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

UNFINISHED = "unfinished-"


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path; the file written there replaces `path` when the block ends.

    Whatever interrupts, `path` is the old file or the new one. A process that is killed leaves a
    file beside it whose name begins with UNFINISHED.
    """
    unfinished = path.with_name(UNFINISHED + path.name)
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def new_file(out: Path | None, default: Path, suffixes: Sequence[str]) -> Path:
    """Return a path for a file that does not exist yet.

    Args:
        out: the requested path. None: `default`, numbered where that is taken.
        default: a path with one of the suffixes.
        suffixes: that the file's name may have.

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
    """Return a path in `directory` where nothing is: `stem`, else `stem-2`, `stem-3`, ..."""
    others = (f"{stem}-{i}" for i in itertools.count(2))
    paths = (directory / f"{name}{suffix}" for name in itertools.chain([stem], others))
    return next(path for path in paths if not os.path.lexists(path))


def new_dated_path(directory: Path, stem: str, suffix: str = "") -> Path:
    """Return a path in `directory` where nothing is, named after `stem` and the local time."""
    return first_free(directory, f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}", suffix)


def nearest_existing(path: Path) -> Path:
    """Return `path` if anything is there, even a dangling link, else its nearest such parent."""
    return next(p for p in (path, *path.absolute().parents) if os.path.lexists(p))


def require_writable(path: Path) -> None:
    """Raise ValueError unless `path` lies in a directory, or below one, that can be written to."""
    existing = nearest_existing(path.absolute().parent)
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise ValueError(f"{existing} cannot be written to; choose another --out")


@contextlib.contextmanager
def write_output(path: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` at the end and is removed on failure.

    Raises:
        ValueError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as unfinished:
            yield unfinished
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror or error}") from None


class LockedLog:
    """A file of lines with their time, locked: no other process can open it as a LockedLog.

    Args:
        path: of the file; made if it is not there.

    Raises:
        BlockingIOError: another process holds it.
        OSError: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        # The file carries the lock: the system drops it however the process ends.
        self._file = path.open("a")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise

    def write(self, message: str) -> None:
        """Append a line; on a full disk it is lost."""
        time = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        with contextlib.suppress(OSError):
            self._file.write(f"{time} {message}\n")
            self._file.flush()

    def close(self) -> None:
        """Release the file."""
        with contextlib.suppress(OSError):
            self._file.close()
