"""Frames of a video: pictures in a grid, each below its title and its return."""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from purejaxrl_reinforce.algorithm.networks.build import Params


class Panel(NamedTuple):
    """One episode of a video: its title, who plays it, and the seed of its randomness."""

    title: str
    params: Params
    seed: int


class View(NamedTuple):
    """An episode at one step.

    Attributes:
        picture: draws it, RGB. To be called before the episode's next view is asked for.
        episode_length: steps so far.
        episode_return: sum of rewards so far.
        done: whether it has ended.
    """

    picture: Callable[[], Image.Image]
    episode_length: int
    episode_return: float
    done: bool


class Film(NamedTuple):
    """Episodes, each from its first state to its last.

    Attributes:
        episodes: the views of each panel, step after step.
        steps_per_second: at which the environment is meant to be seen.
        drawn_by: what draws it, in words.
    """

    episodes: Sequence[Iterator[View]]
    steps_per_second: float
    drawn_by: str


_INK, _PAPER = (0, 0, 0), (255, 255, 255)
_LARGEST, _SMALLEST = 16, 7
_LINE, _GAP = 20, 8


def frames(
    episodes: Sequence[Iterator[View]],
    heading: str,
    titles: Sequence[str],
    columns: int,
    width: int,
    every: int,
) -> Iterator[Image.Image]:
    """Draw every few steps, and the last one; an episode that has ended keeps its last view.

    Args:
        episodes: views of the panels, in the order of `titles`.
        heading: above everything.
        titles: of the panels.
        columns: of the grid.
        width: of a panel's picture, pixels.
        every: how many steps make a frame.

    Returns:
        Pictures of one size, both sides even numbers, as most video players need.
    """
    views = [next(episode) for episode in episodes]
    for step in itertools.count():
        ended = all(view.done for view in views)
        if step % every == 0 or ended:
            panels = [_panel(view, title, width) for view, title in zip(views, titles, strict=True)]
            yield _grid(heading, panels, columns)
        if ended:
            return
        views = [next(episode, view) for episode, view in zip(episodes, views, strict=True)]


def _panel(view: View, title: str, width: int) -> Image.Image:
    picture = view.picture()
    height = round(picture.height * width / picture.width)
    panel = Image.new("RGB", (width, height + 2 * _LINE), _PAPER)
    _write(panel, 0, title)
    _write(panel, _LINE, _caption(view))
    panel.paste(picture.resize((width, height), Image.Resampling.LANCZOS), (0, 2 * _LINE))
    ImageDraw.Draw(panel).rectangle((0, 2 * _LINE, width - 1, panel.height - 1), outline=_INK)
    return panel


def _caption(view: View) -> str:
    # Adding 0 makes -0.0 a 0.0.
    total = f"{round(view.episode_return, 2) + 0.0:,.2f}".rstrip("0").rstrip(".")
    return f"return {total}, {'end at' if view.done else 'step'} {view.episode_length:,}"


def _grid(heading: str, panels: Sequence[Image.Image], columns: int) -> Image.Image:
    rows = -(-len(panels) // columns)
    pitch_x, pitch_y = panels[0].width + _GAP, panels[0].height + _GAP
    width, height = columns * pitch_x + _GAP, rows * pitch_y + _LINE + 2 * _GAP
    frame = Image.new("RGB", (width + width % 2, height + height % 2), _PAPER)
    _write(frame, _GAP // 2, heading)
    for i, panel in enumerate(panels):
        row, column = divmod(i, columns)
        frame.paste(panel, (_GAP + column * pitch_x, _LINE + _GAP + row * pitch_y))
    return frame


def _write(picture: Image.Image, top: int, text: str) -> None:
    """Write a line in the middle of the width, as large as fits."""
    pen = ImageDraw.Draw(picture)
    size = next(
        (
            s
            for s in range(_LARGEST, _SMALLEST, -1)
            if pen.textlength(text, _font(s)) < picture.width
        ),
        _SMALLEST,
    )
    pen.text((picture.width / 2, top + _LINE / 2), text, _INK, _font(size), anchor="mm")


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
