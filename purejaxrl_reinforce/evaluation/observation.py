"""Plain drawings of observations, for environments without a renderer."""

import functools
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

Drawing = Callable[[np.ndarray], Image.Image]

_SIDE = 400
_INK, _PAPER, _AXIS, _EMPTY = (0, 114, 178), (255, 255, 255), (90, 90, 90), (225, 225, 225)


def drawing_of(observations: np.ndarray, num_obs: int | None) -> Drawing:
    """Return what draws an observation on a scale that suits all of them.

    Args:
        observations: [n, ...], all that will be drawn.
        num_obs: number of values of a discrete observation, None for real-valued ones.

    A discrete observation is the filled one of `num_obs` cells. A vector, or an array with a side
    of 1, is a bar per element, each on its own scale. An array [height, width, ...] is a map of
    cells that shows the largest of all channels.
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
            (x + 0.15 * pitch, min(top, middle), x + 0.85 * pitch, max(top, middle)), _INK
        )
    pen.line((0, middle, _SIDE, middle), _AXIS, width=2)
    return picture


def _draw_map(obs: np.ndarray, low: float, scale: float) -> Image.Image:
    shades = (obs.reshape(*obs.shape[:2], -1).max(axis=-1) - low) / scale
    return _cells(shades)


def _draw_cell(obs: np.ndarray, num_obs: int) -> Image.Image:
    columns = int(np.ceil(np.sqrt(num_obs)))
    shades = np.full(columns * -(-num_obs // columns), -1.0)
    shades[:num_obs] = np.arange(num_obs) == obs
    return _cells(shades.reshape(-1, columns))


def _cells(shades: np.ndarray) -> Image.Image:
    """Draw cells [height, width] from empty (0) to full (1); below 0 there is no cell."""
    side = max(_SIDE // max(shades.shape), 1)
    picture, pen = _blank(shades.shape[1] * side, shades.shape[0] * side)
    gap = 1 if side > 4 else 0
    for (row, column), shade in np.ndenumerate(shades):
        if shade < 0:
            continue
        mixed = np.array(_EMPTY) + shade * (np.array(_INK) - np.array(_EMPTY))
        x, y = column * side, row * side
        pen.rectangle(
            (x + gap, y + gap, x + side - 1 - gap, y + side - 1 - gap),
            tuple(int(part) for part in mixed),
        )
    return picture


def _blank(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    picture = Image.new("RGB", (width, height), _PAPER)
    return picture, ImageDraw.Draw(picture)
