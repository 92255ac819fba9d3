"""Options that several verbs of the command line share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from purejaxrl_reinforce.config import PRESETS, Config

_PURPOSES = "; ".join(f"{name}: {preset.purpose}" for name, preset in PRESETS.items())

DEFAULT_PRESET = next(iter(PRESETS))

PresetOption = Annotated[
    str, tyro.conf.arg(help=f"Named configuration that the other options change. {_PURPOSES}.")
]

ConfigFileOption = Annotated[
    Path | None,
    tyro.conf.arg(name="config", help="TOML or YAML file that the other options change."),
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
