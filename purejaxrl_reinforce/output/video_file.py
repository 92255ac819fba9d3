"""Video files from frames: GIF with Pillow, MP4 with imageio-ffmpeg."""

import contextlib
import itertools
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from purejaxrl_reinforce.output.files import write_output

SUFFIXES = (".gif", ".mp4")

# The colors of a GIF come from so many of its first frames, and are so many; they leave room
# among 256 for 125 others.
_SAMPLE, _COLORS = 8, 128

# A GIF starts again at once: its last frame stays for this many milliseconds.
_PAUSE = 1_500


def write_movie(path: Path, frames: Iterator[Image.Image], frames_per_second: float) -> int:
    """Write frames of one size as GIF or MP4, by the suffix of `path`; return how many.

    Raises:
        ValueError: it cannot be written.
    """
    with write_output(path) as unfinished:
        write = _write_mp4 if path.suffix.lower() == ".mp4" else _write_gif
        return write(unfinished, frames, frames_per_second)


def _write_gif(path: Path, frames: Iterator[Image.Image], frames_per_second: float) -> int:
    sample = list(itertools.islice(frames, _SAMPLE))
    palette = _palette(sample)
    # One palette for all: what does not change from frame to frame then takes no room.
    first, *others = (
        frame.quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in itertools.chain(sample, frames)
    )
    # Durations are hundredths of a second: rounding the times of the frames keeps the pace.
    times = np.round(np.arange(len(others) + 1) * 100 / frames_per_second) * 10
    durations = [*np.diff(times).astype(int).tolist(), _PAUSE]
    first.save(path, "GIF", save_all=True, append_images=others, duration=durations, loop=0)
    return len(durations)


def _palette(sample: list[Image.Image]) -> Image.Image:
    """Return a picture with the colors of a sample, and a few of every kind for what follows."""
    width, height = sample[0].size
    together = Image.new("RGB", (width, height * len(sample)))
    for i, frame in enumerate(sample):
        together.paste(frame, (0, i * height))
    theirs = together.quantize(_COLORS, dither=Image.Dither.NONE).getpalette() or []
    levels = np.linspace(0, 255, 5).astype(int).tolist()
    of_every_kind = itertools.chain.from_iterable(itertools.product(levels, repeat=3))
    palette = Image.new("P", (1, 1))
    palette.putpalette([*theirs[: 3 * _COLORS], *of_every_kind])
    return palette


def _write_mp4(path: Path, frames: Iterator[Image.Image], frames_per_second: float) -> int:
    import imageio_ffmpeg

    first = next(frames)
    # With a macro block of 1 the size stays as it is.
    writer: Any = imageio_ffmpeg.write_frames(
        str(path), first.size, fps=frames_per_second, macro_block_size=1, ffmpeg_log_level="quiet"
    )
    with warnings.catch_warnings():
        # jax warns of forks, but this one becomes ffmpeg at once.
        warnings.filterwarnings("ignore", message=r"os\.fork\(\) was called")
        writer.send(None)
    count = 0
    try:
        for frame in itertools.chain([first], frames):
            writer.send(frame.tobytes())
            count += 1
    finally:
        writer.close()
    # ffmpeg does not tell how it ended, such as on a full disk.
    with contextlib.suppress(RuntimeError):  # there is no video at all
        if imageio_ffmpeg.count_frames_and_secs(str(path))[0] == count:
            return count
    raise OSError("ffmpeg did not write all frames")
