"""Videos: files that open, with the stated frames and size, of episodes that were played."""

import importlib.util
import math
import re
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image, ImageSequence

from purejaxrl_reinforce import Config
from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.evaluation.movie import Shot, frames
from purejaxrl_reinforce.evaluation.video import draw_observations
from purejaxrl_reinforce.runs.saved_run import load_run
from tests.support.runs import error_of, random_run

STATED = re.compile(r"(\S+): (\d+) frames, [\d,]+ kB, (.*)")


@pytest.fixture(scope="module")
def cartpole(tmp_path_factory):
    return random_run(tmp_path_factory.mktemp("runs") / "cartpole", Config(hidden_sizes=(8,)))


def video(capsys, *arguments) -> tuple[Path, int, str]:
    """Make a video; return its path, how many frames it says there are, and what drew it."""
    capsys.readouterr()
    assert main(["video", *map(str, arguments)]) == 0
    path, count, drawn_by = STATED.match(capsys.readouterr().out).groups()
    return Path(path), int(count), drawn_by


def gif_frames(path: Path) -> list[np.ndarray]:
    with Image.open(path) as picture:
        assert picture.info["loop"] == 0
        return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(picture)]


def test_a_gif(cartpole, capsys):
    path, count, drawn_by = video(capsys, cartpole)
    assert (path, drawn_by) == (cartpole / "video.gif", "Gymnasium's renderer")
    pictures = gif_frames(path)
    assert len(pictures) == count > 3
    for picture in pictures:
        assert picture.shape[1] == 300 + 2 * 8
        assert picture[-100:].std() > 10  # the cart, not only the title
    assert (pictures[0] != pictures[-1]).any()
    with Image.open(path) as picture:
        durations = [frame.info["duration"] for frame in ImageSequence.Iterator(picture)]
    assert durations[:-1] == [40] * (count - 1)  # every second step of 50 a second
    # Nothing is overwritten: the next one has another name.
    assert video(capsys, cartpole)[0] == cartpole / "video-2.gif"


def test_an_mp4_of_a_grid(cartpole, tmp_path, capsys):
    out = tmp_path / "new" / "grid.mp4"
    path, count, _ = video(
        capsys, cartpole, "--out", out, "--num-episodes", 3, "--width", 151, "--sample"
    )
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), "-f", "rawvideo"]
    done = subprocess.run([*ffmpeg, "-pix_fmt", "rgb24", "-"], capture_output=True, check=True)
    pictures = np.frombuffer(done.stdout, np.uint8).reshape(-1, 334, 2 * (151 + 8) + 8, 3)
    assert len(pictures) == count
    last = pictures[-1].astype(float)
    assert min(last[-90:, :150].std(), last[60:150, -150:].std()) > 10
    assert last[-90:, -150:].std() < 5  # the fourth place of the grid is empty
    assert [file.name for file in out.parent.iterdir()] == ["grid.mp4"]


@pytest.mark.parametrize(
    ("env", "num_frames", "drawn_by"),
    [
        ("Pendulum-v1", 201, "Gymnasium's renderer"),
        ("Catch-bsuite", 10, "plain drawings of the observation"),
        ("UmbrellaChain-bsuite", 11, "plain drawings of the observation"),
    ],
)
def test_other_environments(env, num_frames, drawn_by, tmp_path, capsys):
    """Observations are drawn where there is no renderer."""
    run = random_run(tmp_path / "run", Config(env=env, hidden_sizes=(8,)))
    assert video(capsys, run, "--width", 60, "--seed", 2**32 - 1)[1:] == (num_frames, drawn_by)
    pictures = gif_frames(run / "video.gif")
    assert len(pictures) == num_frames
    assert all(picture[60:].std() > 10 for picture in pictures)


def test_progress_plays_each_checkpoint_from_one_start(finished_run, tmp_path, capsys):
    out = tmp_path / "progress.gif"
    for force in ([], ["--force"]):  # which replaces our own
        video(capsys, finished_run, "--checkpoints", "--width", 60, "--out", out, *force)
    run = load_run(finished_run)
    updates = [int(state.update) for state in run.checkpoints()]
    assert updates[-1] == 6
    assert len(updates) > 1
    (first, *_), size = gif_frames(out), math.ceil(math.sqrt(len(updates)))
    assert first.shape[1] == size * (60 + 8) + 8
    cells = [first[28 + 42 :, 9 + 68 * i :][:30, :58] for i in range(size)]
    assert (cells[0] == cells[1]).mean() > 0.99  # one start


def test_an_episode_that_has_ended_keeps_its_last_shot():
    def episode(length, shade):
        for step in range(length + 1):
            picture = np.full((60, 60, 3), shade + step, np.uint8)
            yield Shot(picture, step, step, step == length)

    shown = list(frames([episode(1, 50), episode(3, 150)], ["", ""], "", 60))
    middles = [[frame.getpixel((x, 98))[0] for x in (8 + 30, 76 + 30)] for frame in shown]
    assert middles == [[50, 150], [51, 151], [51, 152], [51, 153]]


def brightness(observations, num_obs=None):
    return draw_observations(np.array(observations), num_obs).sum(axis=3, dtype=int)


def test_a_vector_is_a_row_of_cells_each_on_its_own_scale():
    first, second = brightness([[1.0, -2.0, 3.0], [0.5, 4.0, 3.0]])
    assert first.shape == (1, 3)
    assert first[0, 0] > second[0, 0]
    assert first[0, 1] < second[0, 1]
    assert first[0, 2] == second[0, 2]


def test_a_discrete_observation_is_one_cell():
    shown = brightness(np.arange(5), 5)
    assert shown.shape == (5, 2, 3)
    for i, cells in enumerate(shown):
        assert cells.argmax() == i
        assert (cells == cells.min()).sum() == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "a.avi"], "--out must end in .gif or .mp4, not 'a.avi'"),
        (["--out", "there.gif"], "exists; choose another --out"),
        (["--out", "there.gif", "--force"], "there.gif was not written by this command"),
        (["--checkpoints", "--num-episodes", "2"], "checkpoints shows one episode of each"),
        (["--checkpoints"], "holds no intact checkpoint"),
        (["--num-episodes", "17"], "episodes must lie between 1 and 16, not 17"),
        (["--width", "20"], "width must lie between 60 and 1200, not 20"),
    ],
)
def test_options_that_are_refused(cartpole, tmp_path, monkeypatch, arguments, message, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.gif").write_text("kept")
    assert message in error_of(["video", str(cartpole), "--out", "b.gif", *arguments], capsys)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("there.gif", "kept")]


def test_a_missing_package_is_named(cartpole, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    error = error_of(["video", str(cartpole), "--out", str(tmp_path / "a.mp4")], capsys)
    assert not list(tmp_path.iterdir())
    assert error.startswith("this needs imageio_ffmpeg: pip install '.[video]'")
