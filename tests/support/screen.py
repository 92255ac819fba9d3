"""What rich draws, as plain lines."""

import io

from rich.console import Console


def drawn(renderable, width: int = 80) -> list[str]:
    """Return the lines of a renderable on a screen of so many columns."""
    file = io.StringIO()
    Console(file=file, width=width).print(renderable)
    return [line.rstrip() for line in file.getvalue().splitlines()]
