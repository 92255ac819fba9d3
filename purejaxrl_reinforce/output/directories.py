"""Directories of results: locked by a log in them, and making room for new ones."""

import contextlib
import datetime
import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

from purejaxrl_reinforce.output.files import first_free, is_unfinished, open_regular, sync
from purejaxrl_reinforce.output.sealed import owner_of


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


def _open_locked(path: Path, doing: str) -> IO[str]:
    """Open a file to append to, which no other process can then open so.

    Raises:
        ValueError: another process holds it, and so is `doing` that in its directory.
        OSError: it cannot be written or locked; it was not made.
    """
    is_new = not path.exists()
    # The file carries the lock: the system drops it however the process ends.
    file = open_regular(path, "a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        if isinstance(error, BlockingIOError):
            raise ValueError(f"another process is {doing} in {path.parent}") from None
        if is_new:
            path.unlink()
        reason = f"its file system has no locks ({error.strerror})"
        raise OSError(error.errno, reason) from None
    return file


class LockedDirectory:
    """A directory that no other process writes to, from `lock` to `close`.

    Args:
        path: of the directory.
        log: name of the file in it that carries the lock, a log of lines with their time.
        doing: what a process that holds it is doing.
    """

    def __init__(self, path: Path, log: str, doing: str) -> None:
        self.path, self._log, self._doing = path, path / log, doing
        self._file: IO[str] | None = None
        self._made, self._made_in_it = list[Path](), list[Path]()
        self._replaced: Path | None = None

    def set_aside(self, ours: re.Pattern[str], load: Callable[[Path], tuple[Any, ...]]) -> None:
        """Rename earlier results to make room for new ones, until `drop_replaced` or `undo`.

        Nothing is done where nothing is, or no more than a killed process leaves at its start.

        Args:
            ours: matches the paths below the directory that may be there, beside those of other
                verbs and loggers.
            load: reads it and returns its identity last; a ValueError says that it is not ours.

        Raises:
            ValueError: it is not ours, has something of others in it, or another process holds it.
            OSError: it cannot be renamed.
        """
        if os.path.lexists(self.path) and not is_begun(self.path, self._log.name):
            _require_ours(self.path, ours, load)
            with _open_locked(self._log, "writing"):
                aside = first_free(self.path.parent, f"{self.path.name}-replaced")
                self._replaced = self.path.rename(aside)

    def lock(self, makes: Iterable[str] = ()) -> None:
        """Make the directory if it is not there, and lock it; `makes` is what is made in it then.

        Raises:
            ValueError: another process holds it; everything is as it was.
            OSError: it cannot be made, written or locked; likewise.
        """
        is_new = not self._log.exists()
        self._made = [x for x in (self.path, *self.path.absolute().parents) if not x.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._file = _open_locked(self._log, self._doing)
        except (OSError, ValueError):
            self.undo()
            raise
        # Another process may have made some of it before it let go of the lock.
        self._made_in_it = [x for x in map(self.path.joinpath, makes) if not os.path.lexists(x)]
        self._made_in_it += [self._log] if is_new else []
        remove_unfinished(self.path)
        for made in self._made:
            sync(made.parent)

    def log(self, message: str) -> None:
        """Append a line to the log; on a full disk, or where it is not locked, it is lost."""
        time = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        if self._file is not None and not self._file.closed:
            with contextlib.suppress(OSError):
                self._file.write(f"{time} {message}\n")
                self._file.flush()

    def is_in_place(self) -> bool:
        """Return whether it is locked and was neither removed nor renamed."""
        if self._file is None or self._file.closed:
            return False
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), self._log.stat())
        except OSError:
            return False

    def close(self) -> None:
        """Release the directory."""
        if self._file is not None and not self._file.closed:
            if not self.is_in_place():  # what is there now is another's
                self._made_in_it = []
            with contextlib.suppress(OSError):
                self._file.close()

    def undo(self) -> None:
        """Release the directory, remove what was made, and rename what was replaced back."""
        self.close()
        with contextlib.suppress(OSError):
            for path in self._made_in_it:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        for path in self._made:
            with contextlib.suppress(OSError):  # not made after all, or with files of others
                path.rmdir()
        if self._replaced is not None:
            with contextlib.suppress(OSError):
                self._replaced.rename(self.path)
        self._made_in_it, self._made, self._replaced = [], [], None

    def drop_replaced(self) -> None:
        """Remove the earlier results; an OSError names what cannot be removed."""
        if self._replaced is not None:
            try:
                shutil.rmtree(self._replaced)
            except OSError as error:
                raise OSError(f"cannot remove {self._replaced}, the replaced: {error}") from None
            self._replaced = None


# What other verbs and loggers write into the directory of a run or a sweep. Weights & Biases has
# directories of its own, with its files and links to the latest.
_OF_OTHERS = re.compile(
    r"report(-\d+)?\.html|video(-\d+)?\.gif|policy(-\d+)?\.(npz|json)"
    r"|tensorboard(/setting\d[^/]*)?(/events\.out\.tfevents\.[^/]+)?"
    r"|wandb|wandb/(run|setting\d[^/]*)_id\.txt"
    r"|wandb/((offline-)?run-\d{8}_\d{6}-\w+(/.+)?|latest-run|debug(-\w+)?\.log|settings)"
)


def _require_ours(
    path: Path, ours: re.Pattern[str], load: Callable[[Path], tuple[Any, ...]]
) -> None:
    """Raise ValueError unless `path` is a directory of ours, and everything in it."""
    if path.is_symlink() or not path.is_dir():
        raise ValueError(f"`force` replaces directories only, not {path}")
    if Path.cwd().is_relative_to(path.resolve()):
        raise ValueError(f"`force` does not replace the current directory, {path}")
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
