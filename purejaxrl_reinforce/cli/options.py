"""Options that several verbs of the command line share."""

import ast
import contextlib
import inspect
import itertools
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, TypedDict

import tyro

from purejaxrl_reinforce.config import FIELD_KINDS, Config, checked_seed, with_fields
from purejaxrl_reinforce.config_file import load_config
from purejaxrl_reinforce.presets import PRESETS, preset, preset_for

DEFAULT_PRESET = next(iter(PRESETS))

SeedOption = Annotated[int, tyro.conf.arg(help="Random seed.")]
TrainingSeedOption = Annotated[
    int | None,
    tyro.conf.arg(
        help="Random seed; of a sweep, the first.",
        help_behavior_hint="(default: from --config, else 0)",
    ),
]
RunArgument = Annotated[
    tyro.conf.Positional[Path],
    tyro.conf.arg(name="run", metavar="RUN", help="Run directory."),
]
SampleOption = Annotated[
    bool, tyro.conf.arg(help="Sample actions instead of taking the most probable one.")
]
ForceOption = Annotated[
    tyro.conf.FlagCreatePairsOff[bool],
    tyro.conf.arg(help="Overwrite existing output (never a directory with other files)."),
]


def _field_options() -> Any:
    """Return the type of a dict that has the fields of `Config` that are given, and no others."""
    (config,) = ast.parse(inspect.getsource(Config)).body
    assert isinstance(config, ast.ClassDef)
    helps = {
        ast.unparse(above.target): inspect.cleandoc(ast.literal_eval(below.value))
        for above, below in itertools.pairwise(config.body)
        if isinstance(above, ast.AnnAssign) and isinstance(below, ast.Expr)
    }
    options: dict[str, Any] = {}
    for f in fields(Config):
        if f.name == "platform":  # to compile for a device that is elsewhere, by programs alone
            continue
        default = " ".join(map(str, f.default)) if isinstance(f.default, tuple) else f.default
        is_table = f.name == "env_params"
        option = tyro.conf.arg(
            help=helps[f.name],
            help_behavior_hint=f"(default: {default})",
            metavar="NAME=VALUE" if is_table else None,
        )
        options[f.name] = Annotated[tuple[str, ...] if is_table else FIELD_KINDS[f.name], option]
    return TypedDict("FieldOptions", options, total=False)  # type: ignore[operator]


def _table_of(texts: Sequence[str]) -> dict[str, Any]:
    """Return parameters by name from `gravity=12`, `length=0.7`, ..."""
    params: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"--env-params takes NAME=VALUE, such as gravity=12, not {text!r}")
        if name in params:
            raise ValueError(f"{name} is given twice")
        params[name] = parse_value(value)
    return params


def parse_value(text: str) -> bool | int | float | str:
    """Return the flag or number that a text says, else the text, which the field refuses."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


_PURPOSES = "; ".join(f"{name}: {preset.purpose}" for name, preset in PRESETS.items())


@dataclass(frozen=True)
class ConfigOptions:
    """A configuration: a preset or a file, changed by the given fields."""

    preset: Annotated[
        str | None,
        tyro.conf.arg(
            help=f"Named configuration that the other options change. {_PURPOSES}.",
            help_behavior_hint=f"(default: the one for --env, else {DEFAULT_PRESET})",
        ),
    ] = None
    config_file: Annotated[Path | None, tyro.conf.arg(name="config")] = None
    """TOML file that the other options change."""
    options: Annotated[dict[str, Any], tyro.conf.arg(name="", constructor=_field_options())] = (
        field(default_factory=dict)
    )

    @property
    def fields(self) -> dict[str, Any]:
        """The given fields."""
        texts = self.options.get("env_params")
        return self.options | ({} if texts is None else {"env_params": _table_of(texts)})

    @property
    def preset_name(self) -> str:
        """The given preset, else the environment's."""
        return self.preset or preset_for(self.options.get("env", "")) or DEFAULT_PRESET

    def load(self, seed: int | None = None, swept: Mapping[str, Any] = {}) -> tuple[Config, int]:
        """Return the configuration, with values of swept fields, and the seed.

        Raises:
            ValueError: the preset or file cannot be used, or the fields do not go together.
        """
        if self.preset is not None and self.config_file is not None:
            raise ValueError("give --preset or --config, not both")
        if self.config_file is None:
            config, file_seed = preset(self.preset_name), None
        else:
            config, file_seed = load_config(self.config_file)
        config = with_fields(config, {**self.fields, **swept})
        return config, checked_seed(seed if seed is not None else file_seed or 0)

    def warn_if_untuned(self, config: Config) -> None:
        """Warn, in one line, if the preset was not tuned for the environment.

        Raises:
            ValueError: the environment cannot be used at all.
        """
        tuned = PRESETS[self.preset_name].config.env
        names = {env.rpartition("-v")[0] or env for env in (tuned, config.env)}
        if self.config_file is None and len(names) > 1:
            from purejaxrl_reinforce.environments import environment

            environment.make(
                config.env, config.env_params
            )  # an error is printed without the warning
            print(
                f"warning: preset {self.preset_name} was tuned for {tuned}, and may not learn"
                f" {config.env}: try other learning rates and more updates, or a sweep of them",
                file=sys.stderr,
            )


ConfigOption = Annotated[ConfigOptions, tyro.conf.arg(name="")]


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """The options that `train` and `sweep` share."""

    seed: TrainingSeedOption = None
    total_steps: int | None = None
    """Most environment steps of a training, instead of --num-updates. Whole episodes that end
    before their time limit use less."""
    force: ForceOption = False
    quiet: bool = False
    """Print errors only."""
    tensorboard: bool = False
    """Log to TensorBoard, in the directory of the results."""
    wandb: bool = False
    """Log to Weights & Biases; WANDB_MODE=offline needs no network."""
    wandb_project: str | None = None
    """Project of --wandb. None: WANDB_PROJECT or the package's."""
    wandb_group: str | None = None
    """Group of --wandb."""
    wandb_tags: Annotated[tuple[str, ...], tyro.conf.arg(help_behavior_hint="(default: none)")] = ()
    """Tags of --wandb."""

    def require_one_budget(self, given: Collection[str]) -> None:
        """Raise ValueError if a number of updates is given, and one of steps, too."""
        if self.total_steps is not None and "num_updates" in given:
            raise ValueError("give --num-updates or --total-steps, not both")

    def loggers(self) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Return the names of the loggers of this process, and the arguments of `wandb.init`.

        Raises:
            ValueError: an option lacks --wandb, or an extra is not installed.
        """
        from purejaxrl_reinforce.execution.processes import is_primary
        from purejaxrl_reinforce.runs.loggers import MODULES, require_loggers

        given = {name: getattr(self, f"wandb_{name}") for name in ("project", "group", "tags")}
        arguments = {name: value for name, value in given.items() if value}
        if arguments and not self.wandb:
            raise ValueError(f"--wandb-{next(iter(arguments))} needs --wandb")
        names = tuple(name for name in MODULES if getattr(self, name)) if is_primary() else ()
        require_loggers(names)
        return names, arguments
