"""Sections that the pages of runs and of sweeps share."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.evaluation.video import Episode, make_video
from purejaxrl_reinforce.execution.machine import describe_machine, describe_versions, now
from purejaxrl_reinforce.output.html import facts, paragraph, picture, table

_VIDEO_WIDTH = 300


def video(config: Config, episode: Episode) -> str:
    """Return a video of an episode with greedy actions.

    Raises:
        ValueError: a package is missing.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "video.gif"
        make_video(path, config, [episode], greedy=True, columns=1, width=_VIDEO_WIDTH)
        data = path.read_bytes()
    return picture(data, "gif", f"Video: an episode of {config.env} with the trained policy.")


def versions(trained: Mapping[str, str]) -> str:
    """Return a table of package versions: those of training, and those of the report."""
    rows = [
        [name, trained.get(name, "unknown"), version]
        for name, version in describe_versions().items()
    ]
    return table(("package", "trained with", "reported with"), rows)


def this_report(sentence: str) -> str:
    """Return a sentence on what was made on this machine, and a table of this machine."""
    return paragraph(sentence) + facts({**describe_machine(), "made": now()})
