"""The policy of a run as it was at several points of its training."""

from pathlib import Path
from typing import NamedTuple

from purejaxrl_reinforce.losses import Params


class Snapshot(NamedTuple):
    """Parameters after so many updates and environment steps."""

    update: int
    env_steps: int
    params: Params


def load_snapshots(run_dir: Path) -> list[Snapshot]:
    """Return the parameters at each checkpoint of a run, the first update first.

    Raises:
        ValueError: the run holds no checkpoints.
    """
    raise ValueError(f"{run_dir} holds no checkpoints, whose policies --progress would show")
