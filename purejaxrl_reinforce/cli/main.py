"""The command line: purejaxrl-reinforce VERB.

What is heavy to import (jax, gymnax, matplotlib) is imported by the verbs that use it.
"""

import errno
import importlib.metadata
import inspect
import re
import sys
from collections.abc import Sequence
from typing import Any

import tyro

from purejaxrl_reinforce.cli.bench import Bench
from purejaxrl_reinforce.cli.options import hint_of_foreign_option
from purejaxrl_reinforce.cli.policy import Evaluate, Export, Video
from purejaxrl_reinforce.cli.report import Describe, Plot, Report
from purejaxrl_reinforce.cli.sweep import Extract, Sweep
from purejaxrl_reinforce.cli.train import Train

_PROGRAM = "purejaxrl-reinforce"
_VERBS: dict[str, Any] = {
    "train": Train,
    "sweep": Sweep,
    "evaluate": Evaluate,
    "bench": Bench,
    "export": Export,
    "extract": Extract,
    "describe": Describe,
    "video": Video,
    "plot": Plot,
    "report": Report,
}
# Letters of an error.
_LONGEST_LINE = 1_000

_PURPOSE = "REINFORCE with a learned baseline, thousands of episodes at once."
_INTRODUCTION = f"""{_PURPOSE}

  {_PROGRAM} train --run-dir runs/first                train CartPole-v1, in some ten seconds
  {_PROGRAM} evaluate runs/first                       play 100 episodes with what it learned
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
        try:
            verb = _parse(args)
        except SystemExit as stop:  # of --help, or tyro has printed what is wrong
            return int(stop.code or 0)
        return int(verb.run())
    except ValueError as error:
        return _fail(str(error), 2)
    except OSError as error:
        message = re.sub(r"^\[Errno \d+\] ", "", str(error))
        return _fail(message, 2 if error.errno == errno.ENAMETOOLONG else 1)


def _parse(args: Sequence[str]) -> Any:
    """Return the verb, with its options; it has a method `run` that returns the exit code.

    Raises:
        SystemExit: the arguments ask for help, or are wrong; tyro has printed why.
        ValueError: an argument is empty or cannot be printed.
    """
    for arg in args:
        if not arg or re.fullmatch("--[^=]*=", arg):  # as a path, the current directory
            raise ValueError(f"an argument is empty: {' '.join([_PROGRAM, *args])}")
        if not arg.isprintable():
            raise ValueError(f"the argument {arg!a} has characters that cannot be printed")
    try:
        if args[0] in _VERBS:
            verb, prog = _VERBS[args[0]], f"{_PROGRAM} {args[0]}"
            description = inspect.getdoc(verb)
            return tyro.cli(verb, prog=prog, description=description, args=args[1:])
        return tyro.extras.subcommand_cli_from_dict(
            _VERBS, prog=_PROGRAM, description=_PURPOSE, args=args
        )
    except SystemExit as stop:
        if stop.code and (hint := hint_of_foreign_option(args)):
            print(f"error: {hint}", file=sys.stderr)
        raise


def _fail(message: str, code: int) -> int:
    """Print an error in one line that can be read, whatever is in it; return `code`."""
    line = " ".join(message.split())
    printable = (x if x.isprintable() else x.encode("unicode_escape").decode() for x in line)
    print("error:", "".join(printable)[:_LONGEST_LINE], file=sys.stderr)
    return code
