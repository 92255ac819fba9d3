"""Directories of earlier results, kept aside until new ones have taken their place."""

import contextlib
import re
import shutil
from pathlib import Path

from purejaxrl_reinforce.output.files import LockedLog, first_free, is_unfinished

# What other verbs write into the directory of a run or a sweep.
_LATER = re.compile(r"(report(-\d+)?\.html|video(-\d+)?\.gif|policy(-\d+)?\.(npz|json))")


class SetAside:
    """A directory of earlier results, renamed to make room. `restore` or `drop` it.

    Args:
        path: of the directory. Nothing is done where it is not there, or empty.
        log: name of the file that it is locked with, and that shows whose it is.
        ours: matches the paths below it that may be there, beside what `report`, `video` and
            `export` write.

    Raises:
        ValueError: it has something of others in it, another process writes to it, or it cannot be
            renamed.
    """

    def __init__(self, path: Path, log: str, ours: re.Pattern[str]) -> None:
        self._path, self._aside = path, path
        if not path.is_dir() or not any(path.iterdir()):
            return
        others = [p for p in sorted(path.rglob("*")) if not _is_ours(p.relative_to(path), ours)]
        if others or path.is_symlink() or not (path / log).is_file():
            found = others[0] if others else path
            raise ValueError(f"--force replaces only what this command wrote, not {found}")
        try:
            with contextlib.closing(LockedLog(path / log, "writing")):
                self._aside = first_free(path.parent, f"{path.name}-replaced")
                path.rename(self._aside)
        except OSError as error:
            raise ValueError(f"cannot replace {path}: {error.strerror}") from None

    def restore(self) -> None:
        """Put it back, where nothing is."""
        if self._aside != self._path:
            self._aside.rename(self._path)
            self._aside = self._path

    def drop(self) -> None:
        """Remove it: there are new results."""
        if self._aside != self._path:
            shutil.rmtree(self._aside)
            self._aside = self._path


def _is_ours(path: Path, ours: re.Pattern[str]) -> bool:
    known = any(pattern.fullmatch(path.as_posix()) for pattern in (ours, _LATER))
    return known or any(map(is_unfinished, (path, *path.parents)))
