"""Files that are there whole or not at all."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

UNFINISHED = "unfinished-"


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a name to write to; what stands there takes the place of `path` when the block ends.

    Whatever interrupts, `path` is the old file or the new one. A process that is killed leaves a
    file beside it whose name begins with UNFINISHED.
    """
    unfinished = path.with_name(UNFINISHED + path.name)
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
