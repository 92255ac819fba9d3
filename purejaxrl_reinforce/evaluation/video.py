"""Videos of a trained policy's episodes, as a GIF or MP4."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from purejaxrl_reinforce.algorithm.environments import environment
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.evaluation.render_observations import observation_film
from purejaxrl_reinforce.evaluation.video_frames import Panel, frames
from purejaxrl_reinforce.execution.memory import require_memory
from purejaxrl_reinforce.output.extras import require_extra
from purejaxrl_reinforce.output.files import StrPath, new_file
from purejaxrl_reinforce.output.video_file import SUFFIXES, write_movie
from purejaxrl_reinforce.runs.load import Snapshot, load_policy, load_snapshots

MOST_EPISODES = 16
_MOST_SNAPSHOTS = 4
_NARROWEST, _WIDEST = 60, 1200
# More are hardly seen and make the file larger.
_FRAMES_PER_SECOND = 25


class Film(NamedTuple):
    """A video that was written.

    Attributes:
        path: of the file.
        num_frames: pictures in it.
        drawn_by: what drew them.
    """

    path: Path
    num_frames: int
    drawn_by: str

    def __str__(self) -> str:
        size = self.path.stat().st_size
        return f"{self.path}: {self.num_frames:,} frames, {size / 1e3:,.0f} kB, {self.drawn_by}"


def video(
    run_dir: StrPath,
    out: StrPath | None = None,
    *,
    num_episodes: int = 1,
    greedy: bool = True,
    progress: bool = False,
    width: int = 300,
    seed: int = 0,
    force: bool = False,
) -> Film:
    """Play episodes with the policy of a run into a GIF or MP4.

    Needs Gymnasium, which draws the episodes where it can, and for MP4 imageio-ffmpeg.

    Args:
        run_dir: of the run.
        out: new file that ends in .gif or .mp4. None: video.gif in the run's directory.
        num_episodes: how many are shown at once.
        greedy: whether to take the most probable action, or to sample.
        progress: show one episode of the policy at each of several checkpoints instead.
        width: of each episode's picture, pixels.
        seed: of all randomness.
        force: whether to replace the file if it is there.

    Raises:
        ValueError: the input is bad, or a package is missing; nothing was written.
    """
    _check(num_episodes, progress, width)
    run_dir = Path(run_dir)
    config, params = load_policy(run_dir)
    path = new_file(out, run_dir / "video.gif", SUFFIXES, force)
    require_extra("video", "gymnasium", *(["imageio_ffmpeg"] if path.suffix == ".mp4" else []))
    if progress:
        panels = progress_panels(load_snapshots(run_dir), seed)
    else:
        panels = [
            Panel(f"episode {i + 1}", params, (seed + i) % 2**32) for i in range(num_episodes)
        ]
    columns = len(panels) if progress else math.ceil(math.sqrt(num_episodes))
    return make_video(path, config, panels, greedy, columns, width)


def _check(num_episodes: int, progress: bool, width: int) -> None:
    if not 1 <= num_episodes <= MOST_EPISODES:
        raise ValueError(f"episodes must lie between 1 and {MOST_EPISODES}, not {num_episodes}")
    if progress and num_episodes > 1:
        raise ValueError("--progress shows one episode per checkpoint; leave --episodes out")
    if not _NARROWEST <= width <= _WIDEST:
        raise ValueError(f"width must lie between {_NARROWEST} and {_WIDEST}, not {width}")


def progress_panels(snapshots: Sequence[Snapshot], seed: int) -> list[Panel]:
    """Return a panel for each of a few snapshots, evenly spread, all starting from one state."""
    count = min(len(snapshots), _MOST_SNAPSHOTS)
    chosen = np.linspace(0, len(snapshots) - 1, count).round().astype(int)
    return [
        Panel(f"update {s.update:,}, {s.env_steps:,} steps", s.params, seed)
        for s in (snapshots[i] for i in chosen)
    ]


def make_video(
    path: Path, config: Config, panels: Sequence[Panel], greedy: bool, columns: int, width: int
) -> Film:
    """Play the panels' episodes side by side into a GIF or MP4.

    Gymnasium draws them where it has a renderer for the environment; else they are played in
    gymnax, and their observations are drawn.

    Raises:
        ValueError: a package is missing, or the file cannot be written.
    """
    from purejaxrl_reinforce.evaluation.render_gymnasium import gymnasium_film

    with gymnasium_film(config, panels, greedy) as rendered:
        film = rendered or observation_film(config, panels, greedy)
        every = max(1, round(film.steps_per_second / _FRAMES_PER_SECOND))
        if path.suffix.lower() == ".gif":
            num_frames = environment.make(config.env, config.env_params).time_limit // every
            require_memory(num_frames * len(panels) * _frame_bytes(width), "take a smaller --width")
        heading = f"{config.env}, {'greedy' if greedy else 'sampled'} actions"
        titles = [panel.title for panel in panels]
        shown = frames(film.episodes, heading, titles, columns, width, every)
        count = write_movie(path, shown, film.steps_per_second / every)
    return Film(path, count, film.drawn_by)


def _frame_bytes(width: int) -> int:
    """Return what one episode takes in one frame of a GIF, which is written once all are there.

    Pictures are hardly higher than wide; Pillow keeps each twice, a byte per pixel.
    """
    return 2 * width * width
