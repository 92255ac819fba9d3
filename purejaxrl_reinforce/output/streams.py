"""Standard output and error of a process, which cost no results where they cannot be written."""

import io
import os
import sys
from typing import Any


class LossyFile(io.FileIO):
    """A file that drops what cannot be written: on a full disk, or without a reader.

    Attributes:
        is_whole: whether nothing was dropped.
    """

    is_whole = True

    def write(self, data: Any) -> int:
        """Write or drop bytes; return how many."""
        try:
            return super().write(data)
        except OSError:
            self.is_whole = False
            return memoryview(data).nbytes


def open_streams() -> list[LossyFile]:
    """Open standard output and error anew, so that they never raise; return their files.

    Closed ones lead nowhere, so that no file that is opened later gets their numbers.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    files = []
    for name, number in (("stdout", 1), ("stderr", 2)):
        file = LossyFile(number, "w", closefd=False)
        encoding = getattr(getattr(sys, name), "encoding", "utf-8")  # of None there is none
        is_line_buffered = name == "stderr" or file.isatty()
        buffer = io.BufferedWriter(file)
        text = io.TextIOWrapper(buffer, encoding, "backslashreplace", None, is_line_buffered)
        setattr(sys, name, text)
        files.append(file)
    return files


def lost_output(files: list[LossyFile]) -> int:
    """Write what is buffered; return 1, and say so, if any of the output was dropped, else 0."""
    sys.stdout.flush()
    if all(file.is_whole for file in files):
        return 0
    print("error: not all of the output could be printed", file=sys.stderr)
    return 1
