"""Directories of results: locked by a log in them, and making room for new ones."""

import contextlib
import datetime
import fcntl
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from purejaxrl_reinforce.output.files import first_free, is_unfinished, open_regular


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
