"""The verbs that use a trained policy: `evaluate`, `video`, `export`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from purejaxrl_reinforce.cli.options import ForceOption, RunArgument, SampleOption, SeedOption
from purejaxrl_reinforce.config import checked_seed


@dataclass(frozen=True)
class Evaluate:
    """Play whole episodes with the policy of a run directory and print return statistics."""

    run_dir: RunArgument
    episodes: Annotated[int, tyro.conf.arg(help="Episodes to play.")] = 100
    sample: SampleOption = False
    seed: SeedOption = 0
    backend: Annotated[
        Literal["jax", "gymnasium"],
        tyro.conf.arg(
            help="gymnasium: play as many episodes in Gymnasium's environment too, and compare"
            " the mean returns."
        ),
    ] = "jax"

    def run(self) -> int:
        from purejaxrl_reinforce.execution.jax_settings import prepare

        prepare()
        from purejaxrl_reinforce.evaluation.scores import evaluate_run

        seed = checked_seed(self.seed)
        print(evaluate_run(self.run_dir, self.episodes, not self.sample, seed, self.backend))
        return 0


@dataclass(frozen=True)
class Export:
    """Write the policy of a run directory as plain arrays, with a JSON that names its layers."""

    run_dir: RunArgument
    out: Annotated[
        Path | None,
        tyro.conf.arg(
            help="New file that ends in .npz or .safetensors; the JSON lies beside it."
            " None: policy.npz in RUN."
        ),
    ] = None
    force: ForceOption = False

    def run(self) -> int:
        from purejaxrl_reinforce.runs.export import export

        path = export(self.run_dir, self.out, self.force)
        print(f"{path}, {path.with_suffix('.json').name}")
        return 0


@dataclass(frozen=True)
class Video:
    """Render episodes of the policy of a run directory as a GIF or MP4.

    Episodes are played in Gymnasium and drawn by its renderer. For an environment without a
    renderer they are played in gymnax, and the observations are drawn.
    """

    run_dir: RunArgument
    out: Annotated[
        Path | None,
        tyro.conf.arg(help="New file that ends in .gif or .mp4. None: video.gif in RUN."),
    ] = None
    force: ForceOption = False
    episodes: Annotated[int, tyro.conf.arg(help="Episodes to show at once, in a grid.")] = 1
    sample: SampleOption = False
    progress: Annotated[
        bool, tyro.conf.arg(help="Show the policy at several checkpoints, side by side.")
    ] = False
    width: Annotated[int, tyro.conf.arg(help="Width of each episode's picture, pixels.")] = 300
    seed: SeedOption = 0

    def run(self) -> int:
        from purejaxrl_reinforce.execution.jax_settings import prepare

        prepare()
        from purejaxrl_reinforce.evaluation.video import video

        film = video(
            self.run_dir,
            self.out,
            num_episodes=self.episodes,
            greedy=not self.sample,
            progress=self.progress,
            width=self.width,
            seed=checked_seed(self.seed),
            force=self.force,
        )
        print(film)
        return 0
