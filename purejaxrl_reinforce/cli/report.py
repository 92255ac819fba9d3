"""The verbs that show what would be trained and what came of it: `describe`, `plot`, `report`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from purejaxrl_reinforce.cli.options import (
    DEFAULT_PRESET,
    ConfigFileOption,
    ConfigOptions,
    PresetOption,
)
from purejaxrl_reinforce.config import Config, checked_seed


@dataclass(frozen=True)
class Describe:
    """Say what would be trained: spaces, networks, batch, memory, operations per step."""

    preset: PresetOption = DEFAULT_PRESET
    config_file: ConfigFileOption = None
    config: ConfigOptions = field(default_factory=Config)

    def run(self) -> int:
        from purejaxrl_reinforce.execution.jax_settings import prepare

        prepare()
        from purejaxrl_reinforce.reports.description import description

        lines = description(self.config)
        width = max(map(len, lines))
        for name, text in lines.items():
            print(f"{name:<{width}}  {text}")
        return 0


@dataclass(frozen=True)
class Plot:
    """Draw learning curves of one or several directories of runs and sweeps.

    Runs that differ by their seed only make one curve: their mean, with its 95% t interval as a
    band. Each agent of a sweep counts as a run, so that each setting makes a curve. At most 28
    curves can be told apart; the pictures in the directory of a larger sweep have the best of it.
    """

    sources: Annotated[
        tyro.conf.Positional[tuple[Path, ...]],
        tyro.conf.arg(name="sources", metavar="RUN|SWEEP [RUN|SWEEP ...]"),
    ]
    out: Annotated[
        Path | None,
        tyro.conf.arg(help="New file that ends in .png or .svg. None: curves.png."),
    ] = None
    x: Annotated[
        Literal["env_steps", "seconds", "update"],
        tyro.conf.arg(
            help="What to draw over; seconds are those of training, which no agent of a sweep has"
            " of its own."
        ),
    ] = "env_steps"
    smooth: Annotated[
        int, tyro.conf.arg(help="Draw the mean of so many updates; the picture says so.")
    ] = 1

    def run(self) -> int:
        from purejaxrl_reinforce.reports.plot import plot_curves

        print(plot_curves(self.sources, self.out, self.x, self.smooth))
        return 0


@dataclass(frozen=True)
class Report:
    """Write the directory of a run or a sweep, or a benchmark's JSON, as one HTML file.

    All pictures are inside, and nothing is fetched.
    """

    source: Annotated[
        tyro.conf.Positional[Path],
        tyro.conf.arg(metavar="RUN|SWEEP|BENCH"),
    ]
    out: Annotated[
        Path | None,
        tyro.conf.arg(
            help="New file that ends in .html. None: report.html in RUN or SWEEP, or beside BENCH."
        ),
    ] = None
    seed: Annotated[int, tyro.conf.arg(help="Seed of a run's evaluation, and of the video.")] = 0

    def run(self) -> int:
        from purejaxrl_reinforce.execution.jax_settings import prepare

        prepare()
        from purejaxrl_reinforce.reports.report import write_report

        path = write_report(self.source, self.out, checked_seed(self.seed))
        print(f"{path}: {path.stat().st_size / 1e3:,.0f} kB")
        return 0
