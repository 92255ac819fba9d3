"""Directories of earlier results, which stay until new ones are whole."""

import contextlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from purejaxrl_reinforce.output.files import LockedLog, first_free, is_unfinished

# What other verbs and loggers write into the directory of a run or a sweep. Weights & Biases has
# directories of its own, with its files and links to the latest.
_OF_OTHERS = re.compile(
    r"report(-\d+)?\.html|video(-\d+)?\.gif|policy(-\d+)?\.(npz|json)"
    r"|tensorboard(/setting\d[^/]*)?(/events\.out\.tfevents\.[^/]+)?"
    r"|wandb|wandb/(run|setting\d[^/]*)_id\.txt"
    r"|wandb/((offline-)?run-\d{8}_\d{6}-\w+(/.+)?|latest-run|debug(-\w+)?\.log|settings)"
)


class Replacement:
    """A directory of earlier results that makes room: `commit` removes it, `rollback` returns it.

    Nothing is done where nothing is, or no more than a killed process leaves at its start.

    Args:
        path: of the directory.
        log: name of the file that it is locked with.
        ours: matches the paths below it that may be there, beside those of other verbs and loggers.
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
        if path.is_dir() and all(is_unfinished(x) or x.name == log for x in path.iterdir()):
            return
        if path.exists() or path.is_symlink():
            _require_ours(path, ours, load)
            try:
                with contextlib.closing(LockedLog(path / log, "writing")):
                    self._aside = path.rename(first_free(path.parent, f"{path.name}-replaced"))
            except OSError as error:
                raise ValueError(f"cannot replace {path}: {error.strerror}") from None

    def commit(self) -> None:
        """Remove it: there are new results.

        Raises:
            OSError: something in it cannot be removed.
        """
        if self._aside is not None:
            try:
                shutil.rmtree(self._aside)
            except OSError as error:
                left = f"earlier results are left in {self._aside}"
                raise OSError(f"{left}: {error.strerror}") from None
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
        below = found.relative_to(path)
        names = (pattern.fullmatch(below.as_posix()) for pattern in (ours, _OF_OTHERS))
        if not any(names) and not any(map(is_unfinished, (below, *below.parents))):
            raise ValueError(f"--force replaces only what this command wrote, not {found}")
