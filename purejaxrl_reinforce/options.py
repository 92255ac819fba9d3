"""Options that several verbs of the command line share."""

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
