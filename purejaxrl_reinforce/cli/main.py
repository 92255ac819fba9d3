"""The command line: purejaxrl-reinforce VERB."""

import contextlib
import importlib.metadata
import inspect
import io
import os
import re
import signal
import sys
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import tyro

from purejaxrl_reinforce.cli import sweep, train, verbs
from purejaxrl_reinforce.config import FIELD_KINDS, checked_seed, foreign_names, nearest
from purejaxrl_reinforce.figures import drawing

_PROGRAM = "purejaxrl-reinforce"
_VERBS: dict[str, Any] = {
    kind.__name__.lower(): kind
    for kind in (
        train.Train, sweep.Sweep, verbs.Evaluate, verbs.Bench, verbs.Export, sweep.Extract,
        verbs.Describe, verbs.Video, verbs.Plot, verbs.Report, verbs.Doctor,
    )
}  # fmt: skip
# Errors of a user's own code are printed in one line, unless this variable is set.
_TRACEBACK = "PUREJAXRL_REINFORCE_TRACEBACK"
# Letters of an error.
_LONGEST_LINE = 1_000

_PURPOSE = "REINFORCE with a learned baseline, thousands of episodes at once."
_INTRODUCTION = f"""{_PURPOSE}

  {_PROGRAM} train --run-dir runs/first                train CartPole-v1, in some ten seconds
  {_PROGRAM} evaluate runs/first                       play 100 episodes with the trained policy
  {_PROGRAM} sweep --num-seeds 64 --num-updates 50     64 seeds at once, with intervals

Verbs: {", ".join(_VERBS)}.
{_PROGRAM} VERB --help lists the options of one, --help describes them all."""


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code.

    That is 0; 1 for failed training, or for something slower in `bench --compare`; 2 for bad input.
    """
    args = sys.argv[1:] if args is None else args
    try:
        if not args or args == ["--version"]:
            version = importlib.metadata.version("purejaxrl_reinforce")
            print(f"{_PROGRAM} {version}" if args else _INTRODUCTION)
            return 0
        verb = _parse(args)
        if isinstance(verb, train.Train) and not verb.process_id:
            drawing.start()
        from purejaxrl_reinforce.execution.jax_settings import setup

        setup()
        return verb.run() or 0
    except SystemExit as stop:  # of --help, or the reason is printed
        return int(stop.code or 0)
    except KeyboardInterrupt:
        return _fail("interrupted", 128 + signal.SIGINT)
    except ValueError as error:
        return _fail(str(error), 2)
    except OSError as error:
        return _fail(re.sub(r"^\[Errno \d+\] ", "", str(error)), 1)
    except Exception as error:
        from purejaxrl_reinforce.execution.jax_settings import missing_devices
        from purejaxrl_reinforce.imports import error_in_a_line, users_frame

        if message := missing_devices():
            return _fail(message, 2)
        if users_frame(error) is None or os.environ.get(_TRACEBACK):
            raise
        return _fail(f"{error_in_a_line(error)}; {_TRACEBACK}=1 shows the traceback", 2)


def _parse(args: Sequence[str]) -> Any:
    """Return the verb, with its options; its method `run` returns an exit code, or None for 0.

    Raises:
        SystemExit: the arguments ask for help, which tyro has printed.
        ValueError: there is no such verb, option, value or seed, or an argument is empty or cannot
            be printed.
    """
    for arg in args:
        if not arg or re.fullmatch("--[^=]*=", arg):  # as a path, the current directory
            raise ValueError(f"an argument is empty: {' '.join([_PROGRAM, *args])}")
        if not arg.isprintable():
            raise ValueError(f"the argument {arg!a} has characters that cannot be printed")
    name = args[0]
    if name in ("-h", "--help") or name.startswith("--tyro-"):  # a script for a shell
        return tyro.extras.subcommand_cli_from_dict(
            _VERBS, prog=_PROGRAM, description=_PURPOSE, args=args
        )
    if name not in _VERBS:
        raise ValueError(f"unknown verb {name!r}; verbs are {', '.join(_VERBS)}")
    verb, prog = _VERBS[name], f"{_PROGRAM} {name}"
    options: Any = {"prog": prog, "description": inspect.getdoc(verb), "args": args[1:]}
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box):
            parsed, unknown = tyro.cli(verb, return_unknown_args=True, **options)
    except SystemExit as stop:
        if stop.code:
            raise ValueError(_in_a_line(box.getvalue())) from None
        raise
    if unknown:
        raise ValueError(f"{prog} does not take {unknown[0]}{_hint(verb, unknown[0])}")
    checked_seed(getattr(parsed, "seed", None) or 0)
    return parsed


def _in_a_line(box: str) -> str:
    """Return tyro's message about a wrong value, without the frame around it."""
    lines = (re.sub("\x1b\\[[0-9;]*m|[╭╮╰╯│]", "", line).strip() for line in box.splitlines())
    _, reason, *details = re.split("[─-]{5,}", "\n".join(lines))
    reason = reason.partition("Got errors:")[0].strip().removeprefix("Error parsing ")
    right = re.search("Argument helptext:\\s+(.*)", "".join(details))
    if not right:
        return reason
    if wrong := re.search("'.*'", reason, re.DOTALL):  # without the types that tyro has tried
        reason = f"{reason.partition(':')[0]}: invalid value {wrong[0]}"
    usage = re.sub("{None}[|](.*)", r"\1 or None", right[1])
    return f"{reason}; write {usage}"


def _hint(verb: Any, unknown: str) -> str:
    """Return the name of an unknown option in this package, or options that resemble it."""
    option = unknown.partition("=")[0].replace("_", "-")
    name = option.removeprefix("--").replace("-", "_")
    foreign = foreign_names()["fields"] | foreign_names()["options"]
    if found := foreign.get(name.lower()):
        here = re.sub(r"\b[a-z]+_[a-z_]+", lambda x: "--" + x[0].replace("_", "-"), found)
        return f", which is here {here}"
    names = [field.name for field in fields(verb)]
    if "start" in names:
        names += ["preset", "config", *FIELD_KINDS]
    return nearest(option, [f"--{name.replace('_', '-')}" for name in names], 0.7)


def _fail(message: str, code: int) -> int:
    """Print an error in one line that can be read, whatever is in it; return `code`.

    Arguments of Python, such as `run_dir` in backticks, are the options --run-dir.
    """
    line = re.sub(r"`(\w+)`", lambda found: "--" + found[1].replace("_", "-"), message)
    line = " ".join(line.split())
    printable = (x if x.isprintable() else x.encode("unicode_escape").decode() for x in line)
    print("error:", "".join(printable)[:_LONGEST_LINE], file=sys.stderr)
    return code
