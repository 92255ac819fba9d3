"""The verbs of sweeps: `sweep`, `extract`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from purejaxrl_reinforce.cli import options
from purejaxrl_reinforce.config import ENV_PARAM, FIELD_KINDS, Config, checked_seed
from purejaxrl_reinforce.output.files import first_free, new_dated_path


@dataclass(frozen=True, kw_only=True)
class Sweep(options.TrainingOptions):
    """Train many seeds of one or many settings and report the results.

    Agents are trained in slices, each saved when it finishes: after an interruption, rerun the
    same command with the same directory. It will hold results, statistics, a table and figures.
    """

    axis: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]],
        tyro.conf.arg(
            metavar="FIELD=VALUES",
            help="Field to sweep, with its values: policy_lr=0.01,0.03 or policy_lr=log:0.001:0.1:5"
            " or hidden_sizes=[64],[64,64]. Repeat it for more fields: all combinations are"
            " trained.",
        ),
    ] = ()
    zip: bool = False
    """Combine the fields' first values, then their second, ..."""
    num_seeds: int = 16
    """Number of seeds; the same for each setting."""
    sweep_dir: Path | None = None
    """New or empty directory, or one of the same sweep, which is finished. None: below sweeps/."""
    width: int | None = None
    """Agents per slice. None: some seconds of training."""
    episodes: int = 100
    """Greedy episodes to evaluate each agent with after training."""
    start: options.ConfigOption = field(default_factory=options.ConfigOptions)

    def run(self) -> int:
        from purejaxrl_reinforce.execution import processes
        from purejaxrl_reinforce.sweeps.command import run_sweep
        from purejaxrl_reinforce.sweeps.plan import make_plan

        self.connect()
        config, seed, path = processes.broadcast_from_primary(self._checked)
        seeds, axes = range(seed, seed + self.num_seeds), parse_axes(self.axis)
        with processes.together():
            plan = make_plan(Config(**config), seeds, axes, self.zip, self.episodes)
            loggers = self.loggers()
        stopped_by = run_sweep(plan, Path(path), self.width, self.quiet, self.force, loggers)
        return 0 if stopped_by is None else 128 + stopped_by

    def _checked(self) -> tuple[dict[str, Any], int, str]:
        """Return the configuration with the first value of each axis, first seed and directory."""
        axes = parse_axes(self.axis)
        fields = self.start.fields
        for name in axes:
            if name in fields or name.removeprefix(ENV_PARAM) in fields.get("env_params", {}):
                option = name.partition(".")[0].replace("_", "-")
                raise ValueError(f"--{option} is also swept: drop it or its --axis")
        first_values = {name: values[0] for name, values in axes.items() if values}
        config, seed = self.start.load(self.seed, first_values)
        if "env" not in axes and not self.quiet:
            self.start.warn_if_untuned(config)
        path = self.sweep_dir or new_dated_path(Path("sweeps"), config.env)
        return vars(config), seed, str(path)


def parse_axes(texts: Sequence[str]) -> dict[str, list[Any]]:
    """Return values by field from options such as `policy_lr=0.01,0.03` or `gamma=log:0.9:1:3`.

    Values are separated by commas; those of hidden_sizes are lists: `[64],[64,64]`. `none` is None,
    for fields that may be None.

    Raises:
        ValueError: an option is wrong, there is no such field, or two options name the same.
    """
    from purejaxrl_reinforce.sweeps.plan import require_field

    axes: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip().removeprefix("--").replace("-", "_")
        if not equals:
            raise ValueError(f"--axis takes FIELD=VALUE,VALUE,..., not {text!r}")
        require_field(name)
        if name in axes:
            raise ValueError(f"{name} is swept twice; give all its values in one --axis")
        axes[name] = _parse_values(name, FIELD_KINDS.get(name), values.strip())
    return axes


def _parse_values(name: str, kind: Any, text: str) -> list[Any]:
    from purejaxrl_reinforce.sweeps.plan import log_range

    if text.startswith("log:"):
        if kind not in (float, None):
            raise ValueError(f"a log range needs a float field; {name} is not one")
        try:
            low, high, num = text.removeprefix("log:").split(":")
            return log_range(float(low), float(high), int(num))
        except ValueError as error:
            raise ValueError(f"{name}: log:LOW:HIGH:NUMBER, not {text!r}: {error}") from None
    if name == "hidden_sizes":
        try:
            return list(json.loads(f"[{text}]"))
        except ValueError:
            raise ValueError(f"{name} takes lists such as [64],[64,64], not {text!r}") from None
    parts = [part.strip() for part in text.split(",")] if text else []
    if "" in parts:
        raise ValueError(f"{name} has an empty value in {text!r}")
    if kind == int | None:
        return [None if part.lower() == "none" else options.parse_value(part) for part in parts]
    values = list(map(options.parse_value, parts))
    # An environment's parameters are of one type, so that one program trains them all.
    mixed = kind is None and {type(value) for value in values} == {int, float}
    return list(map(float, values)) if mixed else values


@dataclass(frozen=True)
class Extract:
    """Make a run directory of one agent of a sweep, to evaluate, resume or render."""

    sweep_dir: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(name="sweep", metavar="SWEEP")]
    """Sweep directory."""
    setting: int = 0
    """Number of the setting, as in the table."""
    seed: int = 0
    """The agent's seed."""
    run_dir: Path | None = None
    """New or empty directory for the run. None: a new one in SWEEP."""
    force: options.ForceOption = False

    def run(self) -> int:
        from purejaxrl_reinforce.sweeps.command import extract_agent

        seed = checked_seed(self.seed)
        name = f"setting{self.setting}-seed{seed}"
        run_dir = self.run_dir or first_free(self.sweep_dir, name)
        extract_agent(self.sweep_dir, self.setting, seed, run_dir, self.force)
        print(run_dir)
        return 0
