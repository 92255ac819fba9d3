"""The verbs that describe and report: `describe`, `plot`, `report`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from purejaxrl_reinforce.cli.options import ConfigOption, ConfigOptions, ForceOption
from purejaxrl_reinforce.config import checked_seed


@dataclass(frozen=True)
class Describe:
    """Describe a configuration: spaces, networks, batch, memory, operations per step."""

    start: ConfigOption = field(default_factory=ConfigOptions)

    def run(self) -> int:
        from purejaxrl_reinforce.execution.jax_settings import prepare

        prepare()
        from purejaxrl_reinforce.reports.description import describe

        config, _ = self.start.load()
        lines = describe(config)
        width = max(map(len, lines))
        for name, text in lines.items():
            print(f"{name:<{width}}  {text}")
        return 0


@dataclass(frozen=True)
class Plot:
    """Draw learning curves of run and sweep directories.

    Runs that differ only by seed are one curve: their interquartile mean, with its 95% interval as
    a band. So is each setting of a sweep, the best first. Each environment has axes of its own,
    with at most 28 curves; the figures in the directory of a larger sweep show its best settings.
    """

    sources: Annotated[
        tyro.conf.Positional[tuple[Path, ...]],
        tyro.conf.arg(name="sources", metavar="RUN|SWEEP [RUN|SWEEP ...]"),
    ]
    out: Annotated[
        Path | None,
        tyro.conf.arg(
            help="New file that ends in .png, .svg or .pdf. None: curves.png, or FIGURE.png."
        ),
    ] = None
    force: ForceOption = False
    x: Annotated[
        Literal["env_steps", "seconds", "update"],
        tyro.conf.arg(
            help="Horizontal axis; seconds are those of training, which the agents of a sweep do"
            " not have."
        ),
    ] = "env_steps"
    smooth: Annotated[
        int, tyro.conf.arg(help="Moving average over this many updates; noted in the figure.")
    ] = 1
    style: Annotated[
        Literal["screen", "phone", "paper"],
        tyro.conf.arg(help="paper: as wide as a column, 3.3 inches, with letters of 7 points."),
    ] = "screen"

    figure: Annotated[
        Literal[
            "learning_curves",
            "evaluation_curves",
            "final_returns",
            "performance_profiles",
            "heatmap",
        ],
        tyro.conf.arg(help="What to draw; all but learning curves are of one sweep."),
    ] = "learning_curves"

    def run(self) -> int:
        from purejaxrl_reinforce.reports.plot import plot_curves

        options = self.x, self.smooth, self.style, self.figure, self.force
        print(plot_curves(self.sources, self.out, *options))
        return 0


@dataclass(frozen=True)
class Report:
    """Write a run, a sweep or the JSON of a benchmark as one self-contained HTML file.

    Figures and video are embedded.
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
    force: ForceOption = False
    seed: Annotated[int, tyro.conf.arg(help="Seed of the evaluation and the video of a run.")] = 0

    def run(self) -> int:
        from purejaxrl_reinforce.execution.jax_settings import prepare

        prepare()
        from purejaxrl_reinforce.reports.report import report

        path = report(self.source, self.out, checked_seed(self.seed), self.force)
        print(f"{path}: {path.stat().st_size / 1e3:,.0f} kB")
        return 0
