"""Standard output and error while they can be written; what is lost there costs no results."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class LossyStream:
    """A text stream that drops what cannot be written: on a full disk, or without a reader.

    Attributes:
        stream: what it writes to; None where the process was started without it.
        failed: whether anything was dropped.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.failed = False

    def write(self, text: str) -> int:
        """Write or drop `text`; return its length."""
        try:
            self.stream.write(text)
        except (OSError, ValueError, AttributeError):  # the latter of None
            self._fail()
        return len(text)

    def flush(self) -> None:
        """Write what is buffered, or drop it."""
        try:
            if self.stream is not None:
                self.stream.flush()
        except (OSError, ValueError):
            self._fail()

    def isatty(self) -> bool:
        """Return whether this is a terminal."""
        return self.stream is not None and bool(self.stream.isatty())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def _fail(self) -> None:
        self.failed = True
        with (
            contextlib.suppress(OSError, ValueError, AttributeError),
            Path(os.devnull).open("w") as nowhere,
        ):
            # Python flushes once more at its exit.
            os.dup2(nowhere.fileno(), self.stream.fileno())


@contextlib.contextmanager
def lossy_streams() -> Iterator[tuple[LossyStream, LossyStream]]:
    """Give standard output and error, which meanwhile are lossy."""
    before = sys.stdout, sys.stderr
    out, err = LossyStream(sys.stdout), LossyStream(sys.stderr)
    sys.stdout, sys.stderr = out, err
    try:
        yield out, err
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = before
