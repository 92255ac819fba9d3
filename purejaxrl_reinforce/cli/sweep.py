"""The verbs of sweeps: `sweep`, `extract`."""

import json
import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

import purejaxrl_reinforce as library
from purejaxrl_reinforce.cli import options
from purejaxrl_reinforce.config import ENV_PARAM, FIELD_KINDS
from purejaxrl_reinforce.output.files import first_free, new_dated_path

if TYPE_CHECKING:
    from purejaxrl_reinforce.sweeps.plan import SweepPlan

_NUM_SEEDS, _MAX_SEEDS, _NUM_EPISODES = 16, 64, 100


def _default(value: Any) -> Any:
    """Return what the help says of an option whose default depends on others."""
    return tyro.conf.arg(help_behavior_hint=f"(default: {value})")


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
    num_seeds: Annotated[
        int | None,
        tyro.conf.arg(
            aliases=("--max-seeds",),
            help_behavior_hint=f"(default: {_NUM_SEEDS}; with --until decided {_MAX_SEEDS})",
        ),
    ] = None
    """Number of seeds of each setting; with --until decided, the maximum."""
    until: Literal["decided"] | None = None
    """Add groups of seeds to the settings that may still be the best, until one is left."""
    equal_within: float | None = None
    """End --until decided also if all remaining settings differ by less. None: never."""
    plan: bool = False
    """After the sweep, a pilot, print how many seeds and minutes find the best setting."""
    difference: float | None = None
    """Assumed difference of the best to all others, for --plan. None: as in the pilot."""
    confirm: bool = True
    """After --until decided or --halving, train the best two settings again on unseen seeds."""
    sweep_dir: Path | None = None
    """New or empty directory, or the same sweep's, which continues. None: a new one in sweeps/."""
    slice_size: int | None = None
    """Agents per slice. None: some seconds of training."""
    num_episodes: Annotated[int | None, _default(_NUM_EPISODES)] = None
    """Greedy episodes to evaluate each agent with after training."""
    extend: tyro.conf.FlagCreatePairsOff[bool] = False
    """Add these seeds and settings to the sweep in --sweep-dir, which gives all other options."""
    merge: Annotated[tuple[Path, ...], _default("none")] = ()
    """Sweeps whose agents are copied into --sweep-dir, with their seeds and settings."""
    halving: int | None = None
    """N: train all settings for 1/N of their updates, the best 1/N of them for more, ..."""
    dask: Annotated[
        str | None,
        tyro.conf.arg(
            metavar="ADDRESS",
            help="Scheduler of a Dask cluster, such as tcp://10.0.0.1:8786, whose workers train.",
        ),
    ] = None
    start: options.ConfigOption = field(default_factory=options.ConfigOptions)

    def run(self) -> int:
        from purejaxrl_reinforce.sweeps import workers
        from purejaxrl_reinforce.sweeps.command import run_sweep
        from purejaxrl_reinforce.sweeps.store import saved_sweep
        from purejaxrl_reinforce.sweeps.studies import explain_plan, study

        extends = self.extend or bool(self.merge)
        plan = study(self._extension() if extends else self._plan(), self.until, self.equal_within)
        path = self.sweep_dir or new_dated_path(Path("sweeps"), plan.configs[0].env)
        self._require_plannable(plan)
        loggers, merged = self.loggers(), list(map(saved_sweep, self.merge))
        with workers.dask_executor(self.dask) if self.dask else nullcontext() as executor:
            stopped_by = run_sweep(
                plan, path, self.quiet, loggers,
                slice_size=self.slice_size, force=self.force, extend=extends, merged=merged,
                executor=executor, halving=self.halving, confirm=self.confirm,
            )  # fmt: skip
        if self.plan and stopped_by is None:
            print(*explain_plan(library.load_sweep(path), self.difference), sep="\n")
        return 0 if stopped_by is None else 128 + stopped_by

    def _plan(self) -> "SweepPlan":
        """Return the plan of a new sweep, or of one that continues."""
        from purejaxrl_reinforce.sweeps.plan import make_plan

        axes = self._axes()
        first_values = {name: values[0] for name, values in axes.items() if values}
        config, seed = self.start.load(self.seed, first_values)
        episodes = _NUM_EPISODES if self.num_episodes is None else self.num_episodes
        self.require_one_budget({*self.start.fields, *axes})
        keys = self._seeds(seed, self.until is not None)
        plan = make_plan(config, keys, axes, self.zip, episodes, self.total_steps)
        if "env" not in axes and not self.quiet:
            self.start.warn_if_untuned(config)
        return plan

    def _extension(self) -> "SweepPlan":
        """Return the plan of the seeds and settings that --extend and --merge add."""
        from purejaxrl_reinforce.sweeps.plan import make_extension
        from purejaxrl_reinforce.sweeps.store import saved_sweep

        if self.sweep_dir is None:
            raise ValueError("--extend and --merge need --sweep-dir, the sweep that gets more")
        if self.force or self.start.preset or self.start.config_file or self.total_steps:
            raise ValueError(
                "--extend and --merge do not go with --force, --preset, --config or --total-steps"
            )
        plan, keys = saved_sweep(self.sweep_dir).plan, None
        if self.num_episodes not in (None, plan.num_episodes):
            raise ValueError(f"{self.sweep_dir} has --num-episodes {plan.num_episodes}")
        if (self.seed, self.num_seeds) != (None, None):
            first = plan.seeds[0] if self.seed is None else self.seed
            keys = self._seeds(first, self.until is not None or plan.equal_within is not None)
        more = make_extension(plan, self.start.fields, self._axes(), keys, self.zip)
        for path in self.merge:
            try:
                more = plan.extended(more).extended(saved_sweep(path).plan)
            except ValueError as error:
                raise ValueError(f"{path} cannot be merged: {error}") from None
        return replace(more, equal_within=plan.equal_within)

    def _require_plannable(self, plan: "SweepPlan") -> None:
        """Raise ValueError unless --plan and --difference make sense."""
        from purejaxrl_reinforce.sweeps.studies import study

        if self.plan and (plan.equal_within is not None or self.halving is not None):
            raise ValueError("--plan and --until decided or --halving do not go together")
        if not self.plan and self.difference is not None:
            raise ValueError("--difference needs --plan")
        if self.difference is not None and not 0 < self.difference < math.inf:
            raise ValueError(f"--difference must be above 0, not {self.difference}")
        if self.plan:
            study(plan, "decided")  # as many seeds and settings are needed

    def _seeds(self, first: int, decides: bool) -> range:
        """Return the seeds of each setting; of a study that decides, at most."""
        default = _MAX_SEEDS if decides else _NUM_SEEDS
        return range(first, first + (default if self.num_seeds is None else self.num_seeds))

    def _axes(self) -> dict[str, list[Any]]:
        """Return the values of each axis, whose fields have no option of their own."""
        axes, fields = parse_axes(self.axis), self.start.fields
        for name in axes:
            if name in fields or name.removeprefix(ENV_PARAM) in fields.get("env_params", {}):
                option = name.partition(".")[0].replace("_", "-")
                raise ValueError(f"--{option} is also swept: drop it or its --axis")
        return axes


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
        try:
            low, high, num = text.removeprefix("log:").split(":")
            ends = float(low), float(high), int(num)
        except ValueError:
            raise ValueError(
                f"{name}: log:LOW:HIGH:NUMBER, such as log:0.001:0.1:5, not {text!r}"
            ) from None
        return log_range(*ends)
    try:
        values = list(json.loads(f"[{text}]"))
    except ValueError:  # of words: true, none or relu
        values = [options.parse_value(part.strip()) for part in text.split(",")]
    if kind in (int | None, float | None):
        return [None if str(value).lower() == "none" else value for value in values]
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

    def run(self) -> None:
        from purejaxrl_reinforce.sweeps.command import extract_agent

        name = f"setting{self.setting}-seed{self.seed}"
        run_dir = self.run_dir or first_free(self.sweep_dir, name)
        extract_agent(self.sweep_dir, self.setting, self.seed, run_dir, self.force)
        print(run_dir)
