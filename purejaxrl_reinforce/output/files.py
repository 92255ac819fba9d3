"""New paths, atomic file replacement, locked logs."""

import contextlib
import datetime
import errno
import fcntl
import itertools
import os
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

# The name of a temporary file: nobody else has one like it.
_UNFINISHED = re.compile(r"unfinished-[0-9a-f]{32}(\..*)?")


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path; the file written there replaces `path` when the block ends.

    Whatever interrupts, `path` is the old file or the new one, on disk as well. A process that is
    killed leaves a file beside it for which `is_unfinished` holds.
    """
    unfinished = path.with_name(f"unfinished-{uuid.uuid4().hex}{path.suffix}")
    unfinished.touch(exist_ok=False)  # follows no link and opens no file that was there
    try:
        yield unfinished
        sync(unfinished)
        unfinished.replace(path)
        sync(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def is_unfinished(path: Path) -> bool:
    """Return whether `path` has the name of a temporary file of `atomic_write`."""
    return _UNFINISHED.fullmatch(path.name) is not None


def remove_unfinished(directory: Path) -> None:
    """Remove the temporary files of killed processes, where no other process may be writing."""
    for path in directory.iterdir() if directory.is_dir() else ():
        if is_unfinished(path):
            path.unlink()


def sync(path: Path) -> None:
    """Wait until a file or the names in a directory are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # of file systems that cannot do that for directories
            raise
    finally:
        os.close(handle)


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
