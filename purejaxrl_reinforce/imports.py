"""Imports of users' own code by name, with errors in a line."""

import importlib
import operator
import re
import sys
import sysconfig
import textwrap
import traceback
from pathlib import Path
from typing import Any

from purejaxrl_reinforce.config import nearest
from purejaxrl_reinforce.named import Named, path_and_arguments

# Files of Python, of installed packages and of this one.
_FILES_OF_OTHERS = (
    "<",
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
    str(Path(__file__).parent),
)
# A frame in the text that XLA makes of what a callback of compiled code raises.
_FRAME = re.compile(r'File "(.+)", line (\d+), in .')


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
    except (Exception, SystemExit) as error:  # whatever the module does
        near = ""
        if module_name.endswith(".py"):
            near = "; leave out .py"
        elif isinstance(error, ModuleNotFoundError) and module_name.startswith(str(error.name)):
            near = "; run it where its module is, or set PYTHONPATH"
        line = error_in_a_line(error)
        raise ValueError(f"{kind} {path!r} cannot be imported: {line}{near}") from None
    try:
        return operator.attrgetter(name)(module)
    except AttributeError:
        near = nearest(name, (x for x in vars(module) if not x.startswith("_")))
        near += "; move it from the script or notebook to a module" * (module_name == "__main__")
        raise ValueError(f"{kind} {path!r}: {module_name} has no {name!r}{near}") from None


def error_in_a_line(error: BaseException) -> str:
    """Return an error in a line, with the file and line of the user's code that raised it."""
    text = f"{type(error).__name__}: {error}".strip()
    text = text.splitlines()[-1] if _FRAME.search(text) else text
    text = textwrap.shorten(text, 300, placeholder=" ...")
    frame = users_frame(error)
    if frame is None or isinstance(error, SyntaxError):  # whose text has both
        return text
    return f"{text} ({frame.filename}, line {frame.lineno})"


def users_frame(error: BaseException) -> traceback.FrameSummary | None:
    """Return the innermost line of the user's code that raised an error, None if there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    frames += [traceback.FrameSummary(x, int(n), "") for x, n in _FRAME.findall(str(error))]
    own = [frame for frame in frames if not frame.filename.startswith(_FILES_OF_OTHERS)]
    return own[-1] if own else None


def target_of(kind: str, name: str) -> tuple[Any, list[Any], dict[str, Any]]:
    """Return the object that a name stands for, and the arguments to call it with.

    Raises:
        ValueError: as `imported`, or the name's arguments are no literals.
    """
    path, positional, keywords = path_and_arguments(name)
    target = name.target if isinstance(name, Named) else imported(kind, path)
    return target, positional, keywords
