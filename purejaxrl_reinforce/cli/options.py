"""Options that several verbs of the command line share."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.presets import PRESETS

_PURPOSES = "; ".join(f"{name}: {preset.purpose}" for name, preset in PRESETS.items())
DEFAULT_PRESET = next(iter(PRESETS))

PresetOption = Annotated[
    str, tyro.conf.arg(help=f"Named configuration that the other options change. {_PURPOSES}.")
]
ConfigFileOption = Annotated[
    Path | None,
    tyro.conf.arg(name="config", help="TOML file that the other options change."),
]
SeedOption = Annotated[int, tyro.conf.arg(help="Seed of all randomness.")]
ConfigOptions = Annotated[Config, tyro.conf.arg(name="")]
RunArgument = Annotated[
    tyro.conf.Positional[Path],
    tyro.conf.arg(name="run", metavar="RUN", help="Run directory."),
]
SampleOption = Annotated[
    bool, tyro.conf.arg(help="Sample actions instead of taking the most probable one.")
]
ForceOption = Annotated[
    tyro.conf.FlagCreatePairsOff[bool],
    tyro.conf.arg(help="Replace what is there, but no directory with files of others."),
]


@dataclass(frozen=True)
class ProcessOptions:
    """Multi-process settings; by default detected from the cluster."""

    coordinator: Annotated[
        str | None,
        tyro.conf.arg(
            metavar="HOST:PORT",
            help="Address of process 0, for one run or sweep in several processes on one or many"
            " hosts, all started with the same options. SLURM, Open MPI, Kubernetes and TPU pods"
            " are detected and need none of these three options.",
        ),
    ] = None
    num_processes: Annotated[int | None, tyro.conf.arg(help="Number of processes.")] = None
    process_id: Annotated[
        int | None,
        tyro.conf.arg(help="Number of this process, from 0. Process 0 writes and prints."),
    ] = None


ProcessesOption = Annotated[ProcessOptions, tyro.conf.arg(name="")]


@dataclass(frozen=True)
class LoggerOptions:
    """Where metrics go beside the files."""

    tensorboard: Annotated[
        bool, tyro.conf.arg(help="Log to TensorBoard, in the directory of the results.")
    ] = False
    wandb: Annotated[
        bool, tyro.conf.arg(help="Log to Weights & Biases; WANDB_MODE=offline needs no network.")
    ] = False
    wandb_project: Annotated[
        str | None, tyro.conf.arg(help="Project of --wandb. None: WANDB_PROJECT or the package's.")
    ] = None
    wandb_group: Annotated[str | None, tyro.conf.arg(help="Group of --wandb.")] = None
    wandb_tags: Annotated[tuple[str, ...], tyro.conf.arg(help="Tags of --wandb.")] = ()

    def chosen(self) -> tuple[tuple[str, ...], dict[str, Any]]:
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


LoggersOption = Annotated[LoggerOptions, tyro.conf.arg(name="")]

# Options of other libraries (CleanRL, PureJaxRL, rejax, Stable-Baselines3), and what they are here.
_FOREIGN = {
    "lr": "--policy-lr and --baseline-lr",
    "learning-rate": "--policy-lr and --baseline-lr",
    "total-timesteps": "--num-updates, each of --num-envs episodes",
    "timesteps": "--num-updates, each of --num-envs episodes",
    "n-envs": "--num-envs",
    "batch-size": "--num-envs",
    "n-steps": "--num-steps",
    "epochs": "--num-updates",
    "num-epochs": "--num-updates",
    "gae-lambda": "--trace-lambda",
    "ent-coef": "--entropy-coef",
    "vf-coef": "--baseline-lr",
    "anneal-lr": "--anneal",
    "env-id": "--env",
    "env-name": "--env",
    "net-arch": "--hidden-sizes",
    "device": "--platform, or the environment variable JAX_PLATFORMS",
    "seeds": "--num-seeds of the verb sweep",
    "log-dir": "--run-dir",
    "output-dir": "--run-dir",
    "track": "--wandb",
}


def foreign_option(args: Sequence[str]) -> str | None:
    """Return what to say of the first option that has another name here, if there is one."""
    for arg in args:
        name = arg.partition("=")[0].removeprefix("--").replace("_", "-").lower()
        if arg.startswith("--") and name in _FOREIGN:
            return f"unknown option {arg.partition('=')[0]}; here it is {_FOREIGN[name]}"
    return None


def warn_if_untuned(verb: Any) -> None:
    """Warn, in one line, of an environment that the verb's preset was not tuned for.

    Raises:
        ValueError: the environment cannot be used at all.
    """
    tuned = PRESETS[verb.preset].config.env
    names = {env.rpartition("-v")[0] or env for env in (tuned, verb.config.env)}
    if verb.config_file is None and len(names) > 1 and not verb.quiet:
        from purejaxrl_reinforce.algorithm.environments import environment

        environment.make(verb.config.env, verb.config.env_params)  # what is wrong is said alone
        print(
            f"warning: preset {verb.preset} was tuned for {tuned}, and may not learn"
            f" {verb.config.env}: try other learning rates and more updates, or a sweep of them",
            file=sys.stderr,
        )


# As they were typed, of a verb that needs to know; no option of its own.
Arguments = Annotated[tuple[str, ...], tyro.conf.Suppress]

# What may differ between processes: where they write and print, and what is compared otherwise.
_OF_ONE_PROCESS = {
    "arguments", "config", "config_file", "force", "loggers", "preset", "processes", "quiet",
    "resume", "run_dir", "sweep_dir",
}  # fmt: skip

_OPTIONS_OF_ONE_PROCESS = {"--coordinator", "--force", "--process-id", "--quiet", "--resume"}


def facts_of(verb: Any) -> dict[str, Any]:
    """Return by name all that shapes the results of a verb, and must be equal on all processes."""
    from purejaxrl_reinforce.execution.machine import describe_versions

    options = {name: value for name, value in vars(verb).items() if name not in _OF_ONE_PROCESS}
    options |= vars(verb.loggers)
    resumed = getattr(verb, "resume", None) is not None
    return {
        "the verb": type(verb).__name__.lower() + (" --resume" if resumed else ""),
        "num_processes": verb.processes.num_processes,
        # Only the first process knows the configuration of a run that is resumed.
        **(given_options(verb.arguments) if resumed else options | vars(verb.config)),
        **{f"the version of {name}": version for name, version in describe_versions().items()},
    }


def given_options(arguments: Sequence[str]) -> dict[str, list[str]]:
    """Return the words after each option."""
    given: dict[str, list[str]] = {}
    words: list[str] = []
    for word in arguments:
        if word.startswith("--"):
            name, _, value = word.partition("=")
            words = given.setdefault(name.replace("_", "-"), [])
            words += [value] if value else []
        else:
            words.append(word)
    return {name: words for name, words in given.items() if name not in _OPTIONS_OF_ONE_PROCESS}
