"""The command line: purejaxrl-reinforce VERB.

What is heavy to import (jax, gymnax, matplotlib) is imported by the verbs that use it.
"""

import argparse
import contextlib
import functools
import inspect
import io
import operator
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from purejaxrl_reinforce.cli.bench import Bench
from purejaxrl_reinforce.cli.options import (
    DEFAULT_PRESET,
)
from purejaxrl_reinforce.cli.policy import Evaluate, Export, Video
from purejaxrl_reinforce.cli.report import Describe, Plot, Report
from purejaxrl_reinforce.cli.sweep import Extract, Sweep
from purejaxrl_reinforce.cli.train import Train
from purejaxrl_reinforce.config import Config, nearest, preset
from purejaxrl_reinforce.config_file import load_config, load_run_config


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code.

    That is 0; 1 for failed training, or for something slower in `bench --compare`; 2 for bad input.
    """
    args = list(sys.argv[1:] if args is None else args)
    try:
        return _parse(args).run()
    except ValueError as error:
        print("error:", *str(error).split(), file=sys.stderr)
        return 2
    except KeyboardInterrupt as interruption:
        print("interrupted; nothing was written", file=sys.stderr)
        return 128 + getattr(interruption, "signal", signal.SIGINT)
    except BrokenPipeError:  # the reader, such as head, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


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
    if args and not args[0].startswith("-") and args[0] not in _VERBS:
        there_are = f"there are {', '.join(_VERBS)}{nearest(args[0], _VERBS)}"
        raise ValueError(f"unknown verb {args[0]!r}; {there_are}")
    union = _subcommands(*_starting_point(args))
    stderr = io.StringIO()
    try:
        with contextlib.redirect_stderr(stderr):
            return tyro.cli(
                union,
                prog="purejaxrl-reinforce",
                description="REINFORCE with a learned baseline, thousands of episodes at once.",
                args=args,
            )
    except SystemExit as stop:
        if stop.code:
            raise ValueError(_one_line(stderr.getvalue())) from None
        raise


def _subcommands(base: Config, seed: int) -> Any:
    """Return the union of all verbs, as tyro takes it, with the defaults of their options."""
    defaults = {
        "train": Train(config=base, seed=seed),
        "sweep": Sweep(config=base, seed=seed),
        "bench": Bench(config=base, seed=seed),
        "describe": Describe(config=base),
    }
    return functools.reduce(
        operator.or_,
        (
            Annotated[
                verb,
                tyro.conf.subcommand(
                    name,
                    default=defaults.get(name, tyro.MISSING_NONPROP),
                    description=inspect.getdoc(verb),
                ),
            ]
            for name, verb in _VERBS.items()
        ),
    )


# Verbs with an option for every field of the configuration.
_CONFIGURED = (["train"], ["sweep"], ["bench"], ["describe"])


def _starting_point(args: list[str]) -> tuple[Config, int]:
    """Return the configuration and seed that the options change: a preset's or a file's.

    They are tyro's defaults, so they have to be known before it parses; what else is wrong with
    `args` is left for it to say.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--preset")
    parser.add_argument("--process-id")
    parser.add_argument("--resume", type=lambda text: None if text == "None" else Path(text))
    parser.add_argument("--config", type=lambda text: None if text == "None" else Path(text))
    try:
        known, _ = parser.parse_known_args(args[1:] if args[:1] in _CONFIGURED else [])
    except argparse.ArgumentError:
        return preset(DEFAULT_PRESET), 0
    if known.resume is not None:
        if known.preset is not None or known.config is not None:
            raise ValueError("--resume takes the run's own configuration: no --preset or --config")
        if known.process_id not in (None, "0"):
            return preset(DEFAULT_PRESET), 0  # the first process reads the run's, for all of them
        return load_run_config(known.resume)
    if known.config is None:
        return preset(DEFAULT_PRESET if known.preset is None else known.preset), 0
    if known.preset is not None:
        raise ValueError("give --preset or --config, not both")
    config, seed = load_config(known.config)
    return config, seed or 0


def _one_line(box: str) -> str:
    """Return the message of tyro's framed error text on one line, with the options it suggests."""
    # A title, the message and suggestions, between rules; where the terminal's encoding asks for
    # it, the frame is left out and the rules are drawn in ASCII.
    rows = [row.strip("│╭╮╰╯ ") for row in box.splitlines()]
    is_rule = [not row.strip("─-") for row in rows]
    start = next(i for i in range(1, len(rows)) if not is_rule[i])
    message = rows[start : is_rule.index(True, start)]
    suggested = [row for row in rows[start + len(message) :] if row.startswith("--")]
    if any(row.startswith("Perhaps you meant") for row in rows) and suggested:
        message.append("; did you mean " + " or ".join(suggested) + "?")
    return " ".join(message).replace(" ;", ";")
