"""Code of one's own: what the configuration names as `package.module:Name`."""

import importlib
import sys
import sysconfig
import traceback
from pathlib import Path
from typing import Any

from purejaxrl_reinforce.config import nearest

# Files of Python, of installed packages and of this one.
_OTHERS = (
    "<",
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
    str(Path(__file__).parent.parent),
)


def imported(kind: str, path: str) -> Any:
    """Return what `path` names, also from a module in the current directory.

    Raises:
        ValueError: there is no such module or name, or the module fails; one line.
    """
    module_name, _, name = path.partition(":")
    if "" not in sys.path:  # a command starts without the current directory
        sys.path.append("")
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever the module does
        raise ValueError(f"{kind} {path!r} cannot be imported: {in_a_line(error)}") from None
    if not hasattr(module, name):
        near = nearest(name, (x for x in vars(module) if not x.startswith("_")))
        raise ValueError(f"{kind} {path!r}: {module_name} has no {name!r}{near}")
    return getattr(module, name)


def in_a_line(error: BaseException) -> str:
    """Return an error in a line, with the file and line of the user's code that raised it."""
    text = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    if isinstance(error, SyntaxError):  # its text has both
        return text
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(_OTHERS)]
    return f"{text} ({own[-1].filename}, line {own[-1].lineno})" if own else text
