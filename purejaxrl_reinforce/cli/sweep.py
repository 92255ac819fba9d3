"""The verbs of sweeps: `sweep`, `extract`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from purejaxrl_reinforce.cli.axis_option import parse_axes, parse_axis
from purejaxrl_reinforce.cli.options import (
    DEFAULT_PRESET,
    Arguments,
    ConfigFileOption,
    ConfigOptions,
    ForceOption,
    LoggerOptions,
    LoggersOption,
    PresetOption,
    ProcessesOption,
    ProcessOptions,
    facts_of,
    given_options,
    warn_if_untuned,
)
from purejaxrl_reinforce.config import ENV_PARAM, Config, checked_seed
from purejaxrl_reinforce.output.files import first_free, new_dated_path

if TYPE_CHECKING:
    from purejaxrl_reinforce.sweeps.plan import SweepPlan


@dataclass(frozen=True)
class Sweep:
    """Train many seeds of one or many settings and report the results.

    Agents are trained in slices, each saved when it finishes: after an interruption, rerun the
    same command with the same directory. It will hold results, statistics, a table and figures.
    """

    preset: PresetOption = DEFAULT_PRESET
    config_file: ConfigFileOption = None
    axis: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]],
        tyro.conf.arg(
            metavar="FIELD=VALUES",
            help="Field to sweep, with its values: policy_lr=0.01,0.03 or policy_lr=log:0.001:0.1:5"
            " or hidden_sizes=[64],[64,64]. Repeat it for more fields: all combinations are"
            " trained.",
        ),
    ] = ()
    zip: Annotated[
        bool,
        tyro.conf.arg(help="Combine the fields' first values, then their second, ..."),
    ] = False
    num_seeds: Annotated[int, tyro.conf.arg(help="Number of seeds; the same for each setting.")] = (
        16
    )
    seed: Annotated[int, tyro.conf.arg(help="First seed.")] = 0
    sweep_dir: Annotated[
        Path | None,
        tyro.conf.arg(
            help="New or empty directory, or that of the same sweep, to finish it. None: a new one"
            " below sweeps/."
        ),
    ] = None
    force: ForceOption = False
    width: Annotated[
        int | None,
        tyro.conf.arg(help="Agents per slice. None: some seconds of training."),
    ] = None
    episodes: Annotated[
        int, tyro.conf.arg(help="Greedy episodes to evaluate each agent with after training.")
    ] = 100
    loggers: LoggersOption = field(default_factory=LoggerOptions)
    quiet: Annotated[bool, tyro.conf.arg(help="Print errors only.")] = False
    processes: ProcessesOption = field(default_factory=ProcessOptions)
    config: ConfigOptions = field(default_factory=Config)
    arguments: Arguments = ()

    def run(self) -> int:
        from purejaxrl_reinforce.execution.jax_settings import prepare

        prepare()
        from purejaxrl_reinforce.execution.distributed import connect
        from purejaxrl_reinforce.execution.processes import require_equal, run_on_all
        from purejaxrl_reinforce.sweeps.command import run_sweep

        connect(**vars(self.processes))
        require_equal(facts_of(self))
        plan, path = run_on_all(self._checked)
        loggers = run_on_all(self.loggers.chosen)
        stopped_by = run_sweep(plan, path, self.width, self.quiet, self.force, loggers)
        return 0 if stopped_by is None else 128 + stopped_by

    def _checked(self) -> "tuple[SweepPlan, Path]":
        from purejaxrl_reinforce.execution.processes import is_primary
        from purejaxrl_reinforce.sweeps.plan import make_plan

        if self.num_seeds < 1:
            raise ValueError(f"num_seeds must be at least 1, not {self.num_seeds}")
        first = checked_seed(self.seed)
        checked_seed(first + self.num_seeds - 1)
        path = self.sweep_dir or new_dated_path(Path("sweeps"), self.config.env)
        axes = parse_axes(self.axis)
        given = {re.sub("^--(no-)?", "", name) for name in given_options(self.arguments)}
        for name in axes:
            option, _, param = name.replace("_", "-").partition(".")
            if option in given and (
                not param or name in map(ENV_PARAM.__add__, self.config.env_params)
            ):
                raise ValueError(f"--{option} is also swept: drop it or its --axis")
        if "env" not in axes and is_primary():
            warn_if_untuned(self)
        seeds = range(first, first + self.num_seeds)
        return make_plan(self.config, seeds, axes, self.zip, self.episodes), path


def with_swept_steps(config: Config, arguments: Sequence[str]) -> Config:
    """Return `config` with a num_steps where it is swept: `--rollout stream` needs one."""
    for text in given_options(arguments).get("--axis", []):
        try:
            name, values = parse_axis(text)
        except ValueError:
            continue  # said once, when all axes are checked
        if name == "num_steps" and values and isinstance(values[0], int):
            return config.replace(num_steps=values[0])
    return config


@dataclass(frozen=True)
class Extract:
    """Make a run directory of one agent of a sweep, to evaluate, resume or render."""

    sweep_dir: Annotated[
        tyro.conf.Positional[Path],
        tyro.conf.arg(name="sweep", metavar="SWEEP", help="Sweep directory."),
    ]
    setting: Annotated[int, tyro.conf.arg(help="Number of the setting, as in the table.")] = 0
    seed: Annotated[int, tyro.conf.arg(help="The agent's seed.")] = 0
    run_dir: Annotated[
        Path | None,
        tyro.conf.arg(help="New or empty directory for the run. None: a new one in SWEEP."),
    ] = None
    force: ForceOption = False

    def run(self) -> int:
        from purejaxrl_reinforce.sweeps.agents import extract_agent

        seed = checked_seed(self.seed)
        name = f"setting{self.setting}-seed{seed}"
        run_dir = self.run_dir or first_free(self.sweep_dir, name)
        extract_agent(self.sweep_dir, self.setting, seed, run_dir, self.force)
        print(run_dir)
        return 0
