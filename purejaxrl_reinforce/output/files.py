"""New paths, and atomic replacement of files."""

import contextlib
import errno
import itertools
import os
import re
import stat
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

# A path as public functions take it: also a run, or the results of a sweep, for its directory.
StrPath = str | os.PathLike[str]

# Stands in each file that a verb writes for people, so that `force` replaces no others.
MARK = "made by purejaxrl_reinforce"

# The unique name of a temporary file.
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
    """Return whether `path` has a name that `atomic_write` gives."""
    return _UNFINISHED.fullmatch(path.name) is not None


def open_regular(path: Path, mode: str = "rb") -> IO[Any]:
    """Open a regular file, which never waits; for writing, no link is followed.

    Raises:
        OSError: it cannot be opened, or is something else, such as a pipe or a directory.
    """

    def opener(name: str, flags: int) -> int:
        is_read = mode in ("r", "rb")
        handle = os.open(name, flags | os.O_NONBLOCK | (0 if is_read else os.O_NOFOLLOW), 0o666)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise OSError(errno.EINVAL, "not a regular file", name)
        return handle

    return open(path, mode, opener=opener)


@contextlib.contextmanager
def open_input(path: Path) -> Iterator[IO[bytes]]:
    """Open a regular file to read from; a ValueError says why it cannot be read."""
    try:
        with open_regular(path) as file:
            yield file
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None


def read_input(path: Path) -> bytes:
    """Return the content of a file, see `open_input`."""
    with open_input(path) as file:
        return file.read()


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


def new_file(
    out: StrPath | None, default: Path, suffixes: Sequence[str], force: bool = False
) -> Path:
    """Return a path for a file that does not exist yet, or may be replaced.

    Args:
        out: the requested path. None: `default`, numbered where that is taken.
        default: a path with one of the suffixes.
        suffixes: that the file's name may have.
        force: whether a file of ours at `out`, or `default`, may be replaced.

    Raises:
        ValueError: `out` exists, has another suffix, or lies where nothing can be written.
    """
    path = default if out is None else Path(out)
    if out is None and not force:
        path = first_free(default.parent, default.stem, default.suffix)
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"`out` must end in {' or '.join(suffixes)}, not {path.name!r}")
    require_free(path, force)
    existing = nearest_existing(path.absolute().parent)
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise ValueError(f"{existing} cannot be written to; choose another `out`")
    return path


def require_free(path: Path, force: bool = False) -> None:
    """Raise ValueError if anything is at `path`, with `force` unless it is a file of ours."""
    if not os.path.lexists(path):
        return
    if not force:
        raise ValueError(f"{path} exists; choose another `out`, or `force`")
    with contextlib.suppress(OSError), open_regular(path) as file:
        if MARK.encode() in file.read():
            return
    raise ValueError(f"{path} was not written by this command; choose another `out`")


def first_free(directory: Path, stem: str, suffix: str = "") -> Path:
    """Return a path in `directory` where nothing is: `stem`, else `stem-2`, `stem-3`, ..."""
    others = (f"{stem}-{i}" for i in itertools.count(2))
    paths = (directory / f"{name}{suffix}" for name in itertools.chain([stem], others))
    return next(path for path in paths if not os.path.lexists(path))


def new_dated_path(directory: Path, stem: str, suffix: str = "") -> Path:
    """Return a path in `directory` where nothing is, named after `stem` and the local time."""
    stem = stem.replace(":", "-")  # of an environment's name, which some take for a URL's scheme
    return first_free(directory, f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}", suffix)


def nearest_existing(path: Path) -> Path:
    """Return `path` if it exists, even as a dangling link, else its nearest existing parent."""
    return next(p for p in (path, *path.absolute().parents) if os.path.lexists(p))


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
