"""Movies: episodes side by side, frame by frame, in a GIF or MP4."""

import contextlib
import itertools
import math
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from purejaxrl_reinforce.output.files import MARK, write_output
from purejaxrl_reinforce.output.text import number

SUFFIXES = (".gif", ".mp4")

# A GIF starts again at once: its last frame stays for this many milliseconds.
_PAUSE = 1_500
# Sizes are in pixels. A smaller picture is an observation, whose cells keep their edges.
_RENDERED = 100
_INK, _PAPER = (0, 0, 0), (255, 255, 255)
_LARGEST, _SMALLEST, _LINE, _GAP = 16, 7, 20, 8


class Shot(NamedTuple):
    """An episode at one step.

    Attributes:
        picture: [height, width, 3], uint8.
        step: number of steps so far.
        total: sum of rewards so far.
        done: whether the episode has ended.
    """

    picture: np.ndarray
    step: int
    total: float
    done: bool


def frames(
    episodes: Sequence[Iterator[Shot]], titles: Sequence[str], heading: str, width: int
) -> Iterator[Image.Image]:
    """Draw episodes side by side, each `width` pixels wide; one that has ended keeps its last shot.

    Returns:
        Pictures of one size, both sides even numbers, as most video players need.
    """
    shots = [next(episode) for episode in episodes]
    while True:
        cells = [_cell(*of_one, width) for of_one in zip(shots, titles, strict=True)]
        yield _grid(heading, cells)
        if all(shot.done for shot in shots):
            return
        shots = [next(episode, shot) for episode, shot in zip(episodes, shots, strict=True)]


def _cell(shot: Shot, title: str, width: int) -> Image.Image:
    """Draw a shot below its title and its return."""
    picture = Image.fromarray(shot.picture)
    how = Image.Resampling.NEAREST if picture.width < _RENDERED else Image.Resampling.LANCZOS
    height = round(picture.height * width / picture.width)
    cell = Image.new("RGB", (width, height + 2 * _LINE), _PAPER)
    _write(cell, 0, title)
    when = f"{'end at' if shot.done else 'step'} {shot.step:,}"
    _write(cell, _LINE, f"return {number(shot.total)}, {when}")
    cell.paste(picture.resize((width, height), how), (0, 2 * _LINE))
    ImageDraw.Draw(cell).rectangle((0, 2 * _LINE, width - 1, cell.height - 1), outline=_INK)
    return cell


def _grid(heading: str, cells: Sequence[Image.Image]) -> Image.Image:
    columns = math.ceil(math.sqrt(len(cells)))
    rows = math.ceil(len(cells) / columns)
    pitch_x, pitch_y = cells[0].width + _GAP, cells[0].height + _GAP
    width, height = columns * pitch_x + _GAP, rows * pitch_y + _LINE + 2 * _GAP
    frame = Image.new("RGB", (width + width % 2, height + height % 2), _PAPER)
    _write(frame, _GAP // 2, heading)
    for i, cell in enumerate(cells):
        row, column = divmod(i, columns)
        frame.paste(cell, (_GAP + column * pitch_x, _LINE + _GAP + row * pitch_y))
    return frame


def _write(picture: Image.Image, top: int, text: str) -> None:
    """Write a line in the middle of the width, as large as fits."""
    letter = 0.55  # of the size of the font, at most, on average over a line
    size = max(_SMALLEST, min(_LARGEST, int(picture.width / (letter * max(1, len(text))))))
    middle, font = (picture.width / 2, top + _LINE / 2), ImageFont.load_default(size)
    ImageDraw.Draw(picture).text(middle, text, _INK, font, anchor="mm")


def write_movie(path: Path, pictures: Iterator[Image.Image], frames_per_second: float) -> int:
    """Write pictures of one size as GIF or MP4, by the suffix of `path`; return how many.

    Raises:
        ValueError: it cannot be written.
    """
    with write_output(path) as unfinished:
        write = _write_mp4 if path.suffix.lower() == ".mp4" else _write_gif
        return write(unfinished, pictures, frames_per_second)


def _write_gif(path: Path, pictures: Iterator[Image.Image], frames_per_second: float) -> int:
    # One palette for all frames: pixels that do not change take no room.
    web: Any = {"mode": "P", "dither": Image.Dither.NONE, "palette": Image.Palette.WEB}
    first, *others = (picture.convert(**web) for picture in pictures)
    # Durations are hundredths of a second: rounding the times of the frames keeps the pace.
    times = np.round(np.arange(len(others) + 1) * 100 / frames_per_second) * 10
    durations = [*np.diff(times).astype(int).tolist(), _PAUSE]
    options: Any = {"save_all": True, "append_images": others, "duration": durations, "loop": 0}
    first.save(path, "GIF", comment=MARK.encode(), **options)
    return len(durations)


def _write_mp4(path: Path, pictures: Iterator[Image.Image], frames_per_second: float) -> int:
    import imageio_ffmpeg

    first = next(pictures)
    # With a macro block of 1 the size stays as it is.
    writer: Any = imageio_ffmpeg.write_frames(
        str(path),
        first.size,
        fps=frames_per_second,
        macro_block_size=1,
        ffmpeg_log_level="quiet",
        output_params=["-metadata", f"comment={MARK}"],
    )
    with warnings.catch_warnings():
        # jax warns of forks, but this one becomes ffmpeg at once.
        warnings.filterwarnings("ignore", message=r"os\.fork\(\) was called")
        writer.send(None)
    count = 0
    with contextlib.closing(writer):
        for picture in itertools.chain([first], pictures):
            writer.send(picture.tobytes())
            count += 1
    # ffmpeg does not tell how it ended, such as on a full disk.
    with contextlib.suppress(RuntimeError):  # there is no video at all
        if imageio_ffmpeg.count_frames_and_secs(str(path))[0] == count:
            return count
    raise OSError("ffmpeg did not write all frames")
