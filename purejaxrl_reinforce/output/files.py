"""New paths, atomic replacement of files, locked logs, directories that make room."""

import contextlib
import datetime
import errno
import fcntl
import itertools
import os
import re
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
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


def remove_unfinished(directory: Path) -> None:
    """Remove unfinished files of killed processes, where no other process may be writing."""
    for path in directory.iterdir() if directory.is_dir() else ():
        if is_unfinished(path):
            path.unlink()


def is_begun(directory: Path, log: str) -> bool:
    """Return whether a directory has no more than a process leaves that is killed at its start."""
    return directory.is_dir() and all(
        is_unfinished(path) or (path.name == log and not path.lstat().st_size)
        for path in directory.iterdir()
    )


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


def read_input(path: Path) -> bytes:
    """Return the content of a file; a ValueError says why it cannot be read."""
    try:
        with open_regular(path) as file:
            content: bytes = file.read()
            return content
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None


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


class LockedLog:
    """A file of lines with their time, locked: no other process can open it as a LockedLog.

    Raises:
        ValueError: another process holds it, and so is `doing` that in its directory.
        OSError: it cannot be written or locked; it was not made.
    """

    def __init__(self, path: Path, doing: str) -> None:
        self._path, is_new = path, not path.exists()
        # The file carries the lock: the system drops it however the process ends.
        self._file = open_regular(path, "a")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            if isinstance(error, BlockingIOError):
                raise ValueError(f"another process is {doing} in {path.parent}") from None
            if is_new:
                path.unlink()
            reason = f"its file system has no locks ({error.strerror})"
            raise OSError(error.errno, reason) from None

    def write(self, message: str) -> None:
        """Append a line; on a full disk it is lost."""
        time = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        with contextlib.suppress(OSError):
            self._file.write(f"{time} {message}\n")
            self._file.flush()

    def is_in_place(self) -> bool:
        """Return whether the file still has its path, and so its directory."""
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), self._path.stat())
        except OSError:
            return False

    def close(self) -> None:
        """Release the file."""
        with contextlib.suppress(OSError):
            self._file.close()


# What other verbs and loggers write into the directory of a run or a sweep. Weights & Biases has
# directories of its own, with its files and links to the latest.
_OF_OTHERS = re.compile(
    r"report(-\d+)?\.html|video(-\d+)?\.gif|policy(-\d+)?\.(npz|json)"
    r"|tensorboard(/setting\d[^/]*)?(/events\.out\.tfevents\.[^/]+)?"
    r"|wandb|wandb/(run|setting\d[^/]*)_id\.txt"
    r"|wandb/((offline-)?run-\d{8}_\d{6}-\w+(/.+)?|latest-run|debug(-\w+)?\.log|settings)"
)


def set_aside(
    path: Path, log: str, ours: re.Pattern[str], load: Callable[[Path], tuple[Any, ...]]
) -> Path | None:
    """Rename earlier results to make room for new ones; return their new path.

    None where nothing is, or no more than a killed process leaves at its start.

    Args:
        path: of the directory.
        log: name of the file that it is locked with.
        ours: matches the paths below it that may be there, beside those of other verbs and loggers.
        load: reads it and returns its identity last; a ValueError says that it is not ours.

    Raises:
        ValueError: it is not ours, has something of others in it, or another process writes to it.
        OSError: it cannot be renamed.
    """
    if not os.path.lexists(path) or is_begun(path, log):
        return None
    _require_ours(path, ours, load)
    with contextlib.closing(LockedLog(path / log, "writing")):
        return path.rename(first_free(path.parent, f"{path.name}-replaced"))


def remove_replaced(aside: Path) -> None:
    """Remove earlier results, where there are new ones; an OSError names what is left."""
    try:
        shutil.rmtree(aside)
    except OSError as error:
        raise OSError(f"cannot remove {aside}, the replaced: {error}") from None


def _require_ours(
    path: Path, ours: re.Pattern[str], load: Callable[[Path], tuple[Any, ...]]
) -> None:
    """Raise ValueError unless `path` is a directory of ours, and everything in it."""
    if path.is_symlink() or not path.is_dir():
        raise ValueError(f"`force` replaces directories only, not {path}")
    if Path.cwd().is_relative_to(path.resolve()):
        raise ValueError(f"`force` does not replace the current directory, {path}")
    from purejaxrl_reinforce.output.sealed import owner_of

    try:
        *_, identity = load(path)
    except ValueError as error:
        raise ValueError(f"`force` overwrites only output of this command: {error}") from None
    for found in sorted(path.rglob("*")):
        below = found.relative_to(path)
        names = (pattern.fullmatch(below.as_posix()) for pattern in (ours, _OF_OTHERS))
        is_named = any(names) or any(map(is_unfinished, (below, *below.parents)))
        # The sweep that confirms another has an identity of its own.
        is_numbered = (
            found.suffix == ".npz" and found.stem.isdigit() and found.parent.parent == path
        )
        if not is_named or (is_numbered and owner_of(found) != identity):
            raise ValueError(f"`force` overwrites only output of this command, not {found}")
