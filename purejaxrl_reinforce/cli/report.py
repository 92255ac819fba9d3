"""The verbs that look: what would be trained, and what became of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.config_file import checked_seed
from purejaxrl_reinforce.options import (
    DEFAULT_PRESET,
    ConfigFileOption,
    ConfigOptions,
    PresetOption,
    RunArgument,
    SampleOption,
    SeedOption,
)


@dataclass(frozen=True)
class Describe:
    """Say what would be trained: spaces, networks, batch, memory, operations per step."""

    preset: PresetOption = DEFAULT_PRESET
    config_file: ConfigFileOption = None
    config: ConfigOptions = field(default_factory=Config)

    def run(self) -> int:
        from purejaxrl_reinforce.launch import prepare

        prepare()
        from purejaxrl_reinforce.describe import describe

        return describe(self.config)


@dataclass(frozen=True)
class Video:
    """Show episodes of the policy of a run directory, as a GIF or MP4.

    They are played in Gymnasium's environment and drawn by its renderer, where it has one; else
    in gymnax, and the observations are drawn.
    """

    run_dir: RunArgument
    out: Annotated[
        Path | None,
        tyro.conf.arg(help="New file that ends in .gif or .mp4. None: video.gif in RUN."),
    ] = None
    episodes: Annotated[int, tyro.conf.arg(help="Episodes to show at once, in a grid.")] = 1
    sample: SampleOption = False
    progress: Annotated[
        bool, tyro.conf.arg(help="Show the policy at several of its checkpoints, side by side.")
    ] = False
    width: Annotated[int, tyro.conf.arg(help="Width of each episode's picture, pixels.")] = 300
    seed: SeedOption = 0

    def run(self) -> int:
        from purejaxrl_reinforce.launch import prepare

        prepare()
        from purejaxrl_reinforce.video_command import video

        return video(
            self.run_dir,
            self.out,
            self.episodes,
            not self.sample,
            self.progress,
            self.width,
            checked_seed(self.seed),
        )


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
        from purejaxrl_reinforce.plot_command import plot

        return plot(self.sources, self.out, self.x, self.smooth)


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
        from purejaxrl_reinforce.launch import prepare

        prepare()
        from purejaxrl_reinforce.report_command import report

        return report(self.source, self.out, checked_seed(self.seed))
