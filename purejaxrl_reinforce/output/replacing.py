"""Directories of earlier results, which stay until new ones are whole."""

import contextlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from purejaxrl_reinforce.output.files import LockedLog, first_free, is_unfinished

# What other verbs write into the directory of a run or a sweep.
_LATER = re.compile(r"(report(-\d+)?\.html|video(-\d+)?\.gif|policy(-\d+)?\.(npz|json))")


class Replacement:
    """A directory of earlier results that makes room; `commit` removes it, `rollback` returns it.

    Nothing is done where nothing is there, or an empty directory.

    Args:
        path: of the directory.
        log: name of the file that it is locked with.
        ours: matches the paths below it that may be there, beside what `report`, `video` and
            `export` write.
        load: reads the identity of what is there; a ValueError says that it is not ours.

    Raises:
        ValueError: it is not ours, has something of others in it, another process writes to it,
            or it cannot be renamed; nothing was done.
    """

    def __init__(
        self, path: Path, log: str, ours: re.Pattern[str], load: Callable[[Path], object]
    ) -> None:
        self._path = path
        self._aside: Path | None = None
        if not os.path.lexists(path) or (path.is_dir() and not any(path.iterdir())):
            return
        try:
            _require_ours(path, ours, load)
            with contextlib.closing(LockedLog(path / log, "writing")):
                aside = first_free(path.parent, f"{path.name}-replaced")
                path.rename(aside)
        except OSError as error:
            raise ValueError(f"cannot replace {path}: {error.strerror}") from None
        self._aside = aside

    def commit(self) -> None:
        """Remove it: there are new results.

        Raises:
            OSError: something in it cannot be removed.
        """
        if self._aside is not None:
            try:
                shutil.rmtree(self._aside)
            except OSError as error:
                message = f"earlier results are left in {self._aside}"
                raise OSError(f"{message}: {error.strerror}") from None
            self._aside = None

    def rollback(self) -> None:
        """Put it back, where nothing is."""
        if self._aside is not None:
            self._aside.rename(self._path)
            self._aside = None


def _require_ours(path: Path, ours: re.Pattern[str], load: Callable[[Path], object]) -> None:
    """Raise ValueError unless `path` is a directory of ours, and everything in it."""
    if path.is_symlink() or not path.is_dir():
        raise ValueError(f"--force replaces directories only, not {path}")
    if Path.cwd().is_relative_to(path.resolve()):
        raise ValueError(f"--force does not replace the current directory, {path}")
    try:
        load(path)
    except ValueError as error:
        raise ValueError(f"--force replaces only what this command wrote: {error}") from None
    for found in sorted(path.rglob("*")):
        if found.is_symlink() or not _is_ours(found.relative_to(path), ours):
            raise ValueError(f"--force replaces only what this command wrote, not {found}")


def _is_ours(path: Path, ours: re.Pattern[str]) -> bool:
    known = any(pattern.fullmatch(path.as_posix()) for pattern in (ours, _LATER))
    return known or any(map(is_unfinished, (path, *path.parents)))
