"""Options that several verbs of the command line share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from purejaxrl_reinforce.config import PRESETS, Config

_PURPOSES = "; ".join(f"{name}: {preset.purpose}" for name, preset in PRESETS.items())

DEFAULT_PRESET = next(iter(PRESETS))

PresetOption = Annotated[
    str, tyro.conf.arg(help=f"Where the other options start from. {_PURPOSES}.")
]

ConfigFileOption = Annotated[
    Path | None,
    tyro.conf.arg(name="config", help="TOML or YAML file where the other options start from."),
]

SeedOption = Annotated[int, tyro.conf.arg(help="Seed of all randomness.")]

ConfigOptions = Annotated[Config, tyro.conf.arg(name="")]

RunArgument = Annotated[
    tyro.conf.Positional[Path],
    tyro.conf.arg(name="run", metavar="RUN"),
]

SampleOption = Annotated[
    bool, tyro.conf.arg(help="Sample actions instead of taking the most probable one.")
]


@dataclass(frozen=True)
class ProcessOptions:
    """Which processes do one thing together; without any, those that a cluster started."""

    coordinator: Annotated[
        str | None,
        tyro.conf.arg(
            metavar="HOST:PORT",
            help="Where process 0 listens: one run in several processes, on one host or many, all"
            " started with the same options. SLURM, Open MPI, Kubernetes and TPU pods need neither"
            " this nor the next two.",
        ),
    ] = None
    num_processes: Annotated[int | None, tyro.conf.arg(help="How many processes there are.")] = None
    process_id: Annotated[
        int | None,
        tyro.conf.arg(help="Number of this process, from 0. Process 0 writes and prints."),
    ] = None


ProcessesOption = Annotated[ProcessOptions, tyro.conf.arg(name="")]
