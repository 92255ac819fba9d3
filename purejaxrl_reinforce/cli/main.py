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
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from purejaxrl_reinforce.config import Config, nearest, preset
from purejaxrl_reinforce.config_file import checked_seed, load_config, load_run_config
from purejaxrl_reinforce.looking import Describe, Plot, Report, Video
from purejaxrl_reinforce.options import (
    DEFAULT_PRESET,
    ConfigFileOption,
    ConfigOptions,
    PresetOption,
    ProcessesOption,
    ProcessOptions,
    RunArgument,
    SampleOption,
    SeedOption,
)
from purejaxrl_reinforce.outputs import first_free
from purejaxrl_reinforce.sweeping import Sweep, TakeOut


@dataclass(frozen=True)
class Train:
    """Train a policy and leave a run directory: configuration, metrics, plot, parameters."""

    preset: PresetOption = DEFAULT_PRESET
    config_file: ConfigFileOption = None
    seed: SeedOption = 0
    run_dir: Annotated[
        Path | None,
        tyro.conf.arg(help="New or empty directory for the results. None: one below runs/."),
    ] = None
    resume: Annotated[
        Path | None,
        tyro.conf.arg(
            metavar="RUN",
            help="Train on in this run directory, from its latest checkpoint and with its"
            " configuration, of which only --num-updates may change.",
        ),
    ] = None
    checkpoint_every: Annotated[
        int | None, tyro.conf.arg(help="Updates between checkpoints. None: by time alone.")
    ] = None
    checkpoint_seconds: Annotated[
        float, tyro.conf.arg(help="Seconds between checkpoints; there is one at the end as well.")
    ] = 60.0
    keep: Annotated[
        int,
        tyro.conf.arg(help="Checkpoints to keep: the latest, and that with the best mean return."),
    ] = 3
    tensorboard: Annotated[
        bool, tyro.conf.arg(help="Log to TensorBoard, below the run directory.")
    ] = False
    wandb: Annotated[
        bool, tyro.conf.arg(help="Log to Weights & Biases; WANDB_MODE=offline needs no network.")
    ] = False
    quiet: Annotated[bool, tyro.conf.arg(help="Print errors only.")] = False
    processes: ProcessesOption = field(default_factory=ProcessOptions)
    config: ConfigOptions = field(default_factory=Config)

    def run(self) -> int:
        from purejaxrl_reinforce.launch import prepare

        prepare()
        from purejaxrl_reinforce.connecting import connect
        from purejaxrl_reinforce.processes import from_first
        from purejaxrl_reinforce.training import resume_run, train_run

        connect(self.processes)
        # preset and config_file have done their work before parsing: see _starting_point.
        config, seed, run_dir, hosting = from_first(self._checked)
        run = train_run if self.resume is None else resume_run
        return run(config, seed, run_dir, hosting)

    def _checked(self) -> tuple[Config, int, Path, Any]:
        from purejaxrl_reinforce.loggers import MODULES
        from purejaxrl_reinforce.training import Hosting

        if self.resume is not None:
            self._require_same_run(self.resume)
        hosting = Hosting(
            self.checkpoint_every,
            self.checkpoint_seconds,
            self.keep,
            tuple(name for name in MODULES if getattr(self, name)),
            self.quiet,
        )
        run_dir = self.resume or self.run_dir or _new_run_dir(self)
        return self.config, checked_seed(self.seed), run_dir, hosting

    def _require_same_run(self, run_dir: Path) -> None:
        if self.run_dir is not None:
            raise ValueError("give --resume or --run-dir, not both")
        config, seed = load_run_config(run_dir)
        changed = [name for name in vars(config) if vars(config)[name] != vars(self.config)[name]]
        changed += ["seed"] if seed != self.seed else []
        if other := [name for name in changed if name != "num_updates"]:
            raise ValueError(
                f"--resume keeps the configuration of {run_dir}, but {other[0]} differs;"
                " only num_updates can change"
            )


@dataclass(frozen=True)
class Evaluate:
    """Play whole episodes with the policy of a run directory and print its returns."""

    run_dir: RunArgument
    episodes: Annotated[int, tyro.conf.arg(help="Episodes to play.")] = 100
    sample: SampleOption = False
    seed: SeedOption = 0
    backend: Annotated[
        Literal["jax", "gymnasium"],
        tyro.conf.arg(
            help="gymnasium: play in the real environment as well, as many episodes, and say"
            " whether both agree."
        ),
    ] = "jax"

    def run(self) -> int:
        from purejaxrl_reinforce.launch import prepare

        prepare()
        from purejaxrl_reinforce.evaluate_command import evaluate

        seed = checked_seed(self.seed)
        return evaluate(self.run_dir, self.episodes, not self.sample, seed, self.backend)


@dataclass(frozen=True)
class Export:
    """Write the policy of a run directory as plain arrays, and a JSON that says how to use them."""

    run_dir: RunArgument
    out: Annotated[
        Path | None,
        tyro.conf.arg(
            help="New file that ends in .npz or .safetensors; the JSON goes beside it."
            " None: policy.npz in RUN."
        ),
    ] = None

    def run(self) -> int:
        from purejaxrl_reinforce.export import export

        return export(self.run_dir, self.out)


@dataclass(frozen=True)
class Bench:
    """Measure how fast a configuration trains, phase by phase, or compare two measurements.

    Training is compiled once and run from scratch several times. A JSON report and its picture
    are left behind. With --compare the exit code is 1 if anything got slower, else 0.
    """

    preset: PresetOption = DEFAULT_PRESET
    config_file: ConfigFileOption = None
    seed: SeedOption = 0
    repeats: Annotated[
        int, tyro.conf.arg(help="How often each thing is timed; noise shows from 5 on.")
    ] = 5
    out: Annotated[
        Path | None,
        tyro.conf.arg(help="New file that ends in .json, or a directory. None: one below bench/."),
    ] = None
    compare: Annotated[
        tuple[Path, Path] | None,
        tyro.conf.arg(
            metavar="OLD NEW",
            help="Measure nothing; say what is slower in the second of two reports. A change counts"
            " if the 95% interval of the ratio excludes 1 and the ratio differs from it by 5%.",
        ),
    ] = None
    config: ConfigOptions = field(default_factory=Config)

    def run(self) -> int:
        if self.compare is not None:
            from purejaxrl_reinforce.compare import compare_files

            if self != Bench(compare=self.compare, config=preset(DEFAULT_PRESET)):
                raise ValueError("--compare takes two reports and no other option")
            return compare_files(*self.compare)
        from purejaxrl_reinforce.launch import prepare

        prepare()
        from purejaxrl_reinforce.bench_command import bench

        return bench(self.config, checked_seed(self.seed), self.repeats, self.out)


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
    "take-out": TakeOut,
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


def _new_run_dir(train: Train) -> Path:
    """Return a path below runs/ that does not exist yet."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return first_free(Path("runs"), f"{train.config.env}-seed{train.seed}-{stamp}")
