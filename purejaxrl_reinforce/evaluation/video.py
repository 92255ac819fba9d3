"""Videos of a trained policy's episodes, as a GIF or MP4."""

import functools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import matplotlib as mpl
import numpy as np
from jax import Array

from purejaxrl_reinforce.algorithm.evaluate import whole_episodes
from purejaxrl_reinforce.algorithm.lanes import ONE_DEVICE, evaluation_key
from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.algorithm.rollout import KeyUse, fresh_lanes, keys_for, record
from purejaxrl_reinforce.algorithm.setup import make_setup
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.environments import environment
from purejaxrl_reinforce.evaluation.gymnasium import RenderedEnv, act, make_rendered
from purejaxrl_reinforce.evaluation.movie import SUFFIXES, Shot, frames, write_movie
from purejaxrl_reinforce.execution import machine, memory
from purejaxrl_reinforce.output.files import StrPath, new_file
from purejaxrl_reinforce.runs.saved_run import load_run

_MOST_EPISODES = 16
_NARROWEST, _WIDEST = 60, 1200
# More are hardly seen and make the file larger.
_FRAMES_PER_SECOND = 25
# Gymnasium's environments say how fast they are meant to be seen.
_GYMNAX_STEPS_PER_SECOND = 10


class Video(NamedTuple):
    """A video that was written.

    Attributes:
        path: of the file.
        num_frames: pictures in it.
        drawn_by: the renderer.

    Example:
        >>> from purejaxrl_reinforce import video
        >>> video("runs/tiny", "second.gif", width=100).num_frames > 1
        True
    """

    path: Path
    num_frames: int
    drawn_by: str

    def __str__(self) -> str:
        size = self.path.stat().st_size
        return f"{self.path}: {self.num_frames:,} frames, {size / 1e3:,.0f} kB, {self.drawn_by}"


class Episode(NamedTuple):
    """An episode to play: its title, whose actions, and the seed of its randomness."""

    title: str
    params: Params
    seed: int


def video(
    run_dir: StrPath,
    out: StrPath | None = None,
    *,
    num_episodes: int = 1,
    greedy: bool = True,
    checkpoints: bool = False,
    width: int = 300,
    seed: int = 0,
    force: bool = False,
) -> Video:
    """Play episodes with the policy of a run into a GIF or MP4.

    Gymnasium draws the episodes where it can, which needs the extra `video`, as MP4 does.

    Args:
        run_dir: of the run.
        out: new file that ends in .gif or .mp4. None: video.gif in the run's directory.
        num_episodes: how many are shown at once.
        greedy: whether to take the most probable action, or to sample.
        checkpoints: show an episode of the policy at each checkpoint instead, from one start.
        width: of each episode's picture, pixels.
        seed: of all randomness.
        force: whether to overwrite an existing file.

    Raises:
        ValueError: the input is bad, or a package is missing; nothing was written.

    Example:
        >>> from purejaxrl_reinforce import video
        >>> video("runs/tiny", "video.gif", width=100).path.name
        'video.gif'
    """
    if not 1 <= num_episodes <= _MOST_EPISODES:
        raise ValueError(
            f"num_episodes must lie between 1 and {_MOST_EPISODES}, not {num_episodes}"
        )
    if checkpoints and num_episodes > 1:
        raise ValueError("checkpoints shows one episode of each: leave num_episodes out")
    if not _NARROWEST <= width <= _WIDEST:
        raise ValueError(f"width must lie between {_NARROWEST} and {_WIDEST}, not {width}")
    run = load_run(run_dir)
    path = new_file(out, run.path / "video.gif", SUFFIXES, force)
    if path.suffix.lower() == ".mp4":
        machine.require_extra("video", "imageio_ffmpeg")
    if checkpoints:
        states = run.checkpoints()
        every = math.ceil(len(states) / _MOST_EPISODES)
        shown = states[::-every][::-1]  # the last one in any case
        episodes = [Episode(f"update {int(s.update):,}", s.params, seed) for s in shown]
    else:
        seeds = [(seed + i) % 2**32 for i in range(num_episodes)]
        episodes = [Episode(f"episode {i}", run.params, s) for i, s in enumerate(seeds, 1)]
    return make_video(path, run.config, episodes, greedy, width)


def make_video(
    path: Path, config: Config, episodes: Sequence[Episode], greedy: bool = True, width: int = 300
) -> Video:
    """Play episodes side by side into a GIF or MP4; for the arguments see `video`.

    They are played in Gymnasium where it has a renderer for the environment; else in gymnax, with
    pictures of their observations.

    Raises:
        ValueError: a package is missing, or the file cannot be written.
    """
    env = environment.make(config.env, config.env_params)
    rendered = [made for _ in episodes if (made := make_rendered(env)) is not None]
    rate = rendered[0].metadata["render_fps"] if rendered else _GYMNAX_STEPS_PER_SECOND
    every = max(1, round(rate / _FRAMES_PER_SECOND))
    if path.suffix.lower() == ".gif":  # which is written once all frames are there
        num_bytes = env.time_limit // every * len(episodes) * 2 * width * width
        memory.require_memory(num_bytes, "take a smaller `width`")
    if rendered:
        pairs = zip(rendered, episodes, strict=True)
        played = [_rendered(made, config, episode, greedy, every) for made, episode in pairs]
    else:
        played = [_observed(config, episode, greedy, every) for episode in episodes]
    heading = f"{config.env}, {'greedy' if greedy else 'sampled'} actions"
    pictures = frames(played, [episode.title for episode in episodes], heading, width)
    num_frames = write_movie(path, pictures, rate / every)
    drawn_by = "Gymnasium's renderer" if rendered else "plain drawings of the observation"
    return Video(path, num_frames, drawn_by)


def _rendered(
    env: RenderedEnv, config: Config, episode: Episode, greedy: bool, every: int
) -> Iterator[Shot]:
    """Play an episode in Gymnasium; its renderer draws every few steps, and the last one."""
    obs, _ = env.reset(seed=episode.seed)
    key, total, done = evaluation_key(jax.random.key(episode.seed)), 0.0, False
    time_limit = environment.make(config.env, config.env_params).time_limit
    yield Shot(np.asarray(env.render(), np.uint8), 0, total, done)
    for step, own_key in enumerate(jax.random.split(key, time_limit), 1):
        (action,) = np.asarray(act(config, episode.params, obs[None], own_key, greedy))
        obs, reward, terminated, truncated, _ = env.step(action)
        total, done = total + float(reward), terminated or truncated
        if step % every == 0 or done:
            yield Shot(np.asarray(env.render(), np.uint8), step, total, done)
        if done:
            return


def _observed(config: Config, episode: Episode, greedy: bool, every: int) -> Iterator[Shot]:
    """Play an episode in gymnax; every few observations are drawn, and the last one."""
    env, key = environment.make(config.env, config.env_params), jax.random.key(episode.seed)
    obs, last, reward, valid = map(np.asarray, _record(config, episode.params, key, greedy))
    length = int(valid.sum())
    total = np.concatenate([[0.0], reward[:length].cumsum(dtype=np.float64)])
    pictures = draw_observations(np.concatenate([obs[:length], last]), env.num_obs)
    for step, picture in enumerate(pictures):
        if step % every == 0 or step == length:
            yield Shot(picture, step, float(total[step]), step == length)


@functools.partial(jax.jit, static_argnames="greedy")
def _record(
    config: Config, params: Params, key: Array, greedy: bool
) -> tuple[Array, Array, Array, Array]:
    """Return observations [T, ...], the last one [1, ...], rewards and validity [T]."""
    setup = make_setup(config)
    rollout = whole_episodes(setup, params, greedy)
    keys = ONE_DEVICE.keys(evaluation_key(key), 1)
    start = fresh_lanes(setup.env, keys_for(keys, KeyUse.START))
    lanes, _, trajectory = record(rollout, start, keys)
    return trajectory.obs[:, 0], lanes.obs, trajectory.reward[:, 0], trajectory.valid[:, 0]


def draw_observations(observations: np.ndarray, num_obs: int | None) -> np.ndarray:
    """Return observations as cells of one colormap, [n, height, width, 3].

    A discrete observation is the bright one of `num_obs` cells. A vector is a row of cells, each on
    a scale of its own. An array [height, width, ...] is a map on one scale: a cell shows the last
    of the channels that are not zero there.

    Args:
        observations: [n, ...], of an episode.
        num_obs: number of values of a discrete observation, None for real-valued ones.
    """
    n, own_scale = len(observations), None
    cells: np.ndarray
    if num_obs is not None:
        columns = math.ceil(math.sqrt(num_obs))
        rows = math.ceil(num_obs / columns)
        cells = np.eye(num_obs, rows * columns)[observations.ravel()].reshape(n, rows, columns)
    elif observations.ndim < 3:
        cells, own_scale = observations.reshape(n, 1, -1).astype(np.float64), 0
    else:
        channels = observations.reshape(*observations.shape[:3], -1).astype(np.float64)
        cells = (channels * np.arange(1, channels.shape[3] + 1)).max(axis=3)
    low, high = cells.min(axis=own_scale), cells.max(axis=own_scale)
    shades = (cells - low) / np.where(high > low, high - low, 1)
    return (255 * mpl.colormaps["cividis"](shades)[..., :3]).astype(np.uint8)
