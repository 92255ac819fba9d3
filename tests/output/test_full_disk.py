"""Files on a full disk: the whole one or none, and one line."""

import contextlib
import resource

import pytest
from PIL import Image

from purejaxrl_reinforce.bench.result_file import write_result
from purejaxrl_reinforce.evaluation.movie import write_movie


@contextlib.contextmanager
def full_disk(size):
    """Let no file grow beyond so many bytes, in this process and those that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_result_is_not_cut(tmp_path):
    with full_disk(100), pytest.raises(OSError, match="File too large"):
        write_result(tmp_path / "bench.json", {"samples": list(range(1000))})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_a_video_is_not_cut_and_ffmpeg_is_silent(suffix, tmp_path, capfd):
    frames = (Image.effect_noise((64, 64), 99).convert("RGB") for _ in range(200))
    with full_disk(1000), pytest.raises(ValueError, match="cannot write"):
        write_movie(tmp_path / f"movie{suffix}", frames, 25)
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")
