"""Episodes of a gymnax environment, drawn as plain observations."""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jax import Array
from PIL import Image, ImageColor, ImageDraw

from purejaxrl_reinforce.algorithm.batching import ONE_DEVICE
from purejaxrl_reinforce.algorithm.environments import environment
from purejaxrl_reinforce.algorithm.evaluate import whole_episodes
from purejaxrl_reinforce.algorithm.keys import evaluation_key
from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.algorithm.rollout import Use, fresh_lanes, keys_for, record
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.evaluation.video_frames import Film, Panel, View
from purejaxrl_reinforce.figures.style import COLORS

Drawing = Callable[[np.ndarray], Image.Image]

_SIDE = 400
_PAPER, _AXIS, _EMPTY = (255, 255, 255), (90, 90, 90), (225, 225, 225)
_INKS = [ImageColor.getrgb(color) for color in COLORS]


def drawing_of(observations: np.ndarray, num_obs: int | None) -> Drawing:
    """Return what draws an observation on a scale that suits all of them.

    Args:
        observations: [n, ...], all that will be drawn.
        num_obs: number of values of a discrete observation, None for real-valued ones.

    A discrete observation is the filled one of `num_obs` cells. A vector, or an array with a side
    of 1, is a bar per element, each on its own scale. An array [height, width, ...] is a map of
    cells that shows the largest of all channels, each in a color of its own.
    """
    if num_obs is not None:
        return functools.partial(_draw_cell, num_obs=num_obs)
    if observations.ndim < 3 or 1 in observations.shape[1:3]:
        vectors = observations.reshape(len(observations), -1)
        return functools.partial(_draw_bars, scale=_positive(np.abs(vectors).max(axis=0)))
    maps = observations.reshape(*observations.shape[:3], -1).max(axis=-1).astype(np.float64)
    low, high = maps.min(), maps.max()
    return functools.partial(_draw_map, low=low, scale=float(_positive(high - low)))


def _positive(scale: np.ndarray) -> np.ndarray:
    return np.where(scale > 0, scale, 1.0)


def _draw_bars(obs: np.ndarray, scale: np.ndarray) -> Image.Image:
    """Draw a bar per element, up from the middle where it is positive, down where negative."""
    picture, pen = _blank(_SIDE, _SIDE)
    values = obs.ravel() / scale
    pitch, middle = _SIDE / len(values), _SIDE / 2
    for i, value in enumerate(values):
        x, top = pitch * i, middle - 0.92 * middle * value
        pen.rectangle(
            (x + 0.15 * pitch, min(top, middle), x + 0.85 * pitch, max(top, middle)), _INKS[0]
        )
    pen.line((0, middle, _SIDE, middle), _AXIS, width=2)
    return picture


def _draw_map(obs: np.ndarray, low: float, scale: float) -> Image.Image:
    channels = obs.reshape(*obs.shape[:2], -1)
    return _cells((channels.max(axis=-1) - low) / scale, channels.argmax(axis=-1))


def _draw_cell(obs: np.ndarray, num_obs: int) -> Image.Image:
    columns = int(np.ceil(np.sqrt(num_obs)))
    shades = np.full(columns * -(-num_obs // columns), -1.0)
    shades[:num_obs] = np.arange(num_obs) == obs
    return _cells(shades.reshape(-1, columns), np.zeros((len(shades) // columns, columns), int))


def _cells(shades: np.ndarray, channels: np.ndarray) -> Image.Image:
    """Draw cells [height, width] from empty (0) to full (1); below 0 there is no cell."""
    side = max(_SIDE // max(shades.shape), 1)
    picture, pen = _blank(shades.shape[1] * side, shades.shape[0] * side)
    gap = 1 if side > 4 else 0
    for (row, column), shade in np.ndenumerate(shades):
        if shade < 0:
            continue
        ink = np.array(_INKS[channels[row, column] % len(_INKS)])
        mixed = np.array(_EMPTY) + shade * (ink - np.array(_EMPTY))
        x, y = column * side, row * side
        pen.rectangle(
            (x + gap, y + gap, x + side - 1 - gap, y + side - 1 - gap),
            tuple(int(part) for part in mixed),
        )
    return picture


def _blank(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    picture = Image.new("RGB", (width, height), _PAPER)
    return picture, ImageDraw.Draw(picture)


# These environments do not say how fast they are meant to be seen.
_STEPS_PER_SECOND = 10


class _Episode(NamedTuple):
    """Observations [L + 1, ...] and rewards [L] of L steps."""

    obs: np.ndarray
    reward: np.ndarray


def observation_film(config: Config, panels: Sequence[Panel], greedy: bool) -> Film:
    """Return an episode for each panel, played in gymnax."""
    played = [_play(config, panel, greedy) for panel in panels]
    num_obs = environment.make(config.env, config.env_params).num_obs
    drawing = drawing_of(np.concatenate([episode.obs for episode in played]), num_obs)
    episodes = [_views(episode, drawing) for episode in played]
    return Film(episodes, _STEPS_PER_SECOND, "plain drawings of the observation")


def _views(episode: _Episode, drawing: Drawing) -> Iterator[View]:
    length = len(episode.reward)
    for step, obs in enumerate(episode.obs):
        total = float(episode.reward[:step].sum())
        yield View(functools.partial(drawing, obs), step, total, step == length)


def _play(config: Config, panel: Panel, greedy: bool) -> _Episode:
    obs, last, reward, valid = (
        np.asarray(x) for x in _record(config, panel.params, jax.random.key(panel.seed), greedy)
    )
    length = int(valid.sum())
    seen = np.concatenate([obs[:length], last])
    if config.env == "Catch-bsuite":
        seen = split_catch(seen)
    return _Episode(seen, reward[:length].astype(np.float64))


def split_catch(boards: np.ndarray) -> np.ndarray:
    """Return Catch's boards [n, height, width] with two channels: the ball, and the paddle."""
    column = boards[0, :-1].sum(axis=0).argmax()  # in which the ball falls
    ball, paddle = boards.copy(), np.zeros_like(boards)
    ball[:, -1], paddle[:, -1] = 0, boards[:, -1]
    if not ball[-1].any():  # it has reached the row of the paddle
        ball[-1, -1, column] = 1
        paddle[-1, -1, column] = boards[-1, -1].sum() == 1
    return np.stack([ball, paddle], axis=-1)


@functools.partial(jax.jit, static_argnames="greedy")
def _record(
    config: Config, params: Params, key: Array, greedy: bool
) -> tuple[Array, Array, Array, Array]:
    """Return observations [T, ...], the last one [1, ...], rewards and validity [T]."""
    rollout = whole_episodes(config, params, greedy)
    keys = ONE_DEVICE.keys(evaluation_key(key), 1)
    start = fresh_lanes(rollout.env, keys_for(keys, Use.START))
    lanes, _, trajectory = record(rollout, start, keys)
    return trajectory.obs[:, 0], lanes.obs, trajectory.reward[:, 0], trajectory.valid[:, 0]
