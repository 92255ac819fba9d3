"""The policy of a run as it was at several points of its training."""

from pathlib import Path
from typing import NamedTuple

import jax

from purejaxrl_reinforce.checkpoint import load_all
from purejaxrl_reinforce.config_file import load_run_config
from purejaxrl_reinforce.losses import Params
from purejaxrl_reinforce.reinforce import init
from purejaxrl_reinforce.results import CHECKPOINTS
from purejaxrl_reinforce.state import exact_steps


class Snapshot(NamedTuple):
    """Parameters after so many updates and environment steps."""

    update: int
    env_steps: int
    params: Params


def load_snapshots(run_dir: Path) -> list[Snapshot]:
    """Return the parameters at each whole checkpoint of a run, the first update first.

    Raises:
        ValueError: it is no run directory or holds no whole checkpoint, or one is of another run.
    """
    config, seed = load_run_config(run_dir)
    target = init(config, jax.random.key(seed))
    states = load_all(run_dir / CHECKPOINTS, config, seed, target)
    if not states:
        raise ValueError(
            f"{run_dir} holds no checkpoints, whose policies --progress would show; train with"
            " --checkpoint-every and --keep"
        )
    return [Snapshot(int(s.update), exact_steps(s.env_steps), s.params) for s in states]
