"""The command line: purejaxrl-reinforce VERB.

What is heavy to import (jax, gymnax, matplotlib) is imported by the verbs that use it.
"""

import argparse
import contextlib
import errno
import functools
import importlib.metadata
import inspect
import io
import operator
import re
import signal
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import tyro

from purejaxrl_reinforce.cli.bench import Bench
from purejaxrl_reinforce.cli.env_params_option import REGISTRY
from purejaxrl_reinforce.cli.help import print_help
from purejaxrl_reinforce.cli.options import DEFAULT_PRESET, foreign_option
from purejaxrl_reinforce.cli.policy import Evaluate, Export, Video
from purejaxrl_reinforce.cli.report import Describe, Plot, Report
from purejaxrl_reinforce.cli.sweep import Extract, Sweep, with_swept_steps
from purejaxrl_reinforce.cli.train import Train
from purejaxrl_reinforce.config import Config, nearest
from purejaxrl_reinforce.config_file import load_config, load_run_config
from purejaxrl_reinforce.output.streams import lossy_streams
from purejaxrl_reinforce.presets import preset, preset_for


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code.

    That is 0; 1 for failed training, for something slower in `bench --compare`, or for output that
    could not be printed, which costs no results; 2 for bad input.
    """
    with lossy_streams() as (out, err):
        try:
            code = _run(list(sys.argv[1:] if args is None else args))
        except SystemExit as stop:  # of --help, or because another process failed
            if stop.code:
                raise
            code = 0
            out.flush()
            if not out.failed:
                raise
        out.flush()
        if out.failed:
            print("error: not all of the output could be printed", file=sys.stderr)
    return code or int(out.failed or err.failed)


def _run(args: list[str]) -> int:
    try:
        _require_text(args)
        if not args or args == ["--version"]:
            print(_INTRODUCTION if not args else f"{_PROGRAM} {_version()}")
            return 0
        return _parse(args).run()
    except ValueError as error:
        return _fail(str(error), 2)
    except KeyboardInterrupt as interruption:
        print("interrupted; nothing was written", file=sys.stderr)
        return 128 + getattr(interruption, "signal", signal.SIGINT)
    except OSError as error:
        message = re.sub(r"^\[Errno \d+\] ", "", str(error))
        return _fail(message, 2 if error.errno == errno.ENAMETOOLONG else 1)


def _fail(message: str, code: int) -> int:
    """Print an error in one line that can be read, whatever long name is in it; return `code`."""
    print("error:", re.sub(r"[^\s:']{250,}", _cut, " ".join(message.split())), file=sys.stderr)
    return code


def _cut(word: re.Match[str]) -> str:
    return f"{word[0][:200]}... ({len(word[0]):,} characters)"


def _require_text(args: list[str]) -> None:
    """Raise ValueError where an argument is empty, which as a path would be `.`, or not UTF-8."""
    for previous, arg in zip(["the first argument", *args], args, strict=False):
        if not arg or (arg.startswith("--") and arg.endswith("=")):
            raise ValueError(f"{arg or previous} has an empty value")
        try:
            arg.encode()
        except UnicodeEncodeError:
            raise ValueError(f"the argument {arg!a} is not UTF-8") from None


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


def _parse(args: list[str]) -> Any:
    """Return the verb, with its options; it has a method `run` that returns the exit code."""
    if args and args[0] in _VERBS:
        # By itself, so that a mistyped option is not answered with one of another verb.
        verb = _VERBS[args[0]]
        return _parse_one(verb, f"{_PROGRAM} {args[0]}", args[1:], _default(verb, args[1:]))
    if args and not args[0].startswith("-"):
        there_are = f"there are {', '.join(_VERBS)}{nearest(args[0], _VERBS)}"
        raise ValueError(f"unknown verb {args[0]!r}; {there_are}")
    verbs = (
        Annotated[verb, tyro.conf.subcommand(name, description=_purpose(verb))]
        for name, verb in _VERBS.items()
    )
    return _parse_one(functools.reduce(operator.or_, verbs), _PROGRAM, args)


def _parse_one(kind: Any, prog: str, args: list[str], default: Any = tyro.MISSING_NONPROP) -> Any:
    """Return what tyro makes of `args`; a mistake is a ValueError with one line."""
    purpose = inspect.getdoc(kind) if isinstance(kind, type) else _PURPOSE
    stdout, stderr = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    try:
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            return tyro.cli(
                kind, prog=prog, description=purpose, args=args, default=default, registry=REGISTRY
            )
    except SystemExit as stop:
        if stop.code:
            message = foreign_option(args) or _one_line(stderr.getvalue())
            raise ValueError(message) from None
        stdout.seek(0)
        print_help(stdout.read())
        raise


def _purpose(verb: type) -> str:
    return str(inspect.getdoc(verb)).partition("\n\n")[0]


_PURPOSE = "REINFORCE with a learned baseline, thousands of episodes at once."

_INTRODUCTION = f"""{_PURPOSE}

  {_PROGRAM} train --run-dir runs/first                train CartPole-v1, in some ten seconds
  {_PROGRAM} evaluate runs/first                       play 100 episodes with what it learned
  {_PROGRAM} sweep --num-seeds 64 --num-updates 50     64 seeds at once, with intervals

Verbs: {", ".join(_VERBS)}.
{_PROGRAM} VERB --help lists the options of one, --help describes them all."""


def _version() -> str:
    return importlib.metadata.version("purejaxrl_reinforce")


def _default(verb: Any, args: list[str]) -> Any:
    """Return the verb with the configuration and seed that its options change, if it has them."""
    names = {field.name for field in fields(verb)}
    if "config" not in names:
        return tyro.MISSING_NONPROP
    name, config, seed = _starting_point(args)
    if verb is Sweep:
        config = with_swept_steps(config, args)
    start = {"preset": name, "config": config, "seed": seed, "arguments": tuple(args)}
    return verb(**{name: value for name, value in start.items() if name in names})


def _starting_point(args: list[str]) -> tuple[str, Config, int]:
    """Return the preset, and the configuration and seed that the options change.

    The configuration is the preset's or a file's. Without either option, the preset is that of the
    environment.

    They are tyro's defaults, so they have to be known before it parses; what else is wrong with
    `args` is left for it to say.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--preset")
    parser.add_argument("--env", default="")
    parser.add_argument("--process-id")
    parser.add_argument("--resume", type=lambda text: None if text == "None" else Path(text))
    parser.add_argument("--config", type=lambda text: None if text == "None" else Path(text))
    try:
        known, _ = parser.parse_known_args(args)
    except argparse.ArgumentError:
        return DEFAULT_PRESET, preset(DEFAULT_PRESET), 0
    name = known.preset or preset_for(known.env) or DEFAULT_PRESET
    if known.resume is not None:
        if known.preset is not None or known.config is not None:
            raise ValueError("--resume takes the run's own configuration: no --preset or --config")
        if known.process_id not in (None, "0"):
            return name, preset(name), 0  # the first process reads the run's, for all of them
        return name, *load_run_config(known.resume)[:2]
    if known.config is None:
        return name, preset(name), 0
    if known.preset is not None:
        raise ValueError("give --preset or --config, not both")
    config, seed = load_config(known.config)
    return name, config, seed or 0


def _one_line(box: str) -> str:
    """Return the message of tyro's error on one line, with the options that it suggests.

    tyro draws a title, the message and further sections, with rules between them, in a frame: in
    colors on a terminal, and in ASCII without sides where the encoding asks for it. Of any other
    text all words are kept.
    """
    text = re.sub(r"\x1b\[[\d;]*m", "", box)
    text = re.sub(r"\A(╭.*\n|.*\n *-+ *\n)", "", text)  # the title
    parts = re.split(r"^[ ─-]+$", re.sub(r"[│╭╮╰╯]", "", text), flags=re.MULTILINE)
    message, *others = [part for part in parts if part.strip()] or [""]
    message = " ".join(message.split())
    similar = [
        option
        for part in others
        if part.lstrip().startswith(("Perhaps you meant", "Arguments similar to"))
        # Less indented than the help text, in which options may be named as well.
        for option in re.findall(r"^ {5,6}(--[\w-]+)", part, flags=re.MULTILINE)
    ]
    hint = f"; did you mean {' or '.join(dict.fromkeys(similar))}?" if similar else ""
    return message + hint
