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

    def check(self) -> None:
        """Raise ValueError unless the options are complete and go together.

        All three, none, or `--num-processes 1` alone, for a process that stays alone in a cluster.
        """
        given = [self.coordinator, self.num_processes, self.process_id]
        if given in ([None] * 3, [None, 1, None]):
            return
        names = ["--coordinator", "--num-processes", "--process-id"]
        missing = [name for name, value in zip(names, given, strict=True) if value is None]
        if self.num_processes is not None and self.num_processes < 1:
            raise ValueError(f"--num-processes must be at least 1, not {self.num_processes}")
        if missing:
            raise ValueError(f"{', '.join(names)} belong together; {missing[0]} is missing")
        assert self.num_processes is not None
        if self.process_id not in range(self.num_processes):
            raise ValueError(
                f"--process-id must be from 0 to {self.num_processes - 1}, below"
                f" --num-processes, not {self.process_id}"
            )
        host, _, port = str(self.coordinator).rpartition(":")
        if not host or not port.isdecimal() or int(port) not in range(1, 65536):
            raise ValueError(f"--coordinator must be HOST:PORT, not {self.coordinator!r}")


ProcessesOption = Annotated[ProcessOptions, tyro.conf.arg(name="")]
