"""A log file that only one process at a time can hold."""

import contextlib
import datetime
import fcntl
from pathlib import Path


class LockedLog:
    """Appends lines with the time to a file; while it is open, no other process can open it so.

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
        """Let go of the file."""
        with contextlib.suppress(OSError):
            self._file.close()
