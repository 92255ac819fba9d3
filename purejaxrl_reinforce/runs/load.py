"""Run directories read back: parameters, metrics, and the policies at the checkpoints."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from flax.traverse_util import unflatten_dict

from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.algorithm.normalization import RunningMoments
from purejaxrl_reinforce.algorithm.reinforce import state_shapes
from purejaxrl_reinforce.algorithm.state import exact_steps
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.config_file import CONFIG_FILE, load_run_config
from purejaxrl_reinforce.output.checksums import load_arrays
from purejaxrl_reinforce.runs.checkpoint import latest_update, load_all
from purejaxrl_reinforce.runs.metrics_csv import read_metrics
from purejaxrl_reinforce.runs.run_dir import CHECKPOINTS, METRICS_FILE, PARAMS_FILE


class History(NamedTuple):
    """A run's configuration and seed, and its metrics by column of `metrics.csv`, each [n].

    Attributes:
        path: of the run directory.
        config: what was trained.
        seed: of all randomness.
        metrics: n updates.
    """

    path: Path
    config: Config
    seed: int
    metrics: dict[str, np.ndarray]


def load_history(path: Path) -> History:
    """Read configuration and metrics of a run directory.

    Raises:
        ValueError: it is no run directory, or its metrics are missing, damaged or empty.
    """
    config, seed, _ = load_run_config(path)
    saved = latest_update(path / CHECKPOINTS)  # first: a run may be going on
    metrics = read_metrics(path / METRICS_FILE)
    if len(metrics["update"]) < saved:
        raise ValueError(f"{path / METRICS_FILE} is damaged: it ends before update {saved}")
    if not len(metrics["update"]):
        raise ValueError(f"{path / METRICS_FILE} has no update yet")
    return History(path, config, seed, metrics)


def load_policy(path: Path) -> tuple[Config, Params]:
    """Return the configuration and the trained parameters of a run directory.

    Raises:
        ValueError: it is no run directory, or a file in it is missing, damaged or does not fit
            the others.
    """
    config, *_ = load_run_config(path)
    params = _load_params(path / PARAMS_FILE)
    expected = state_shapes(config).params
    if jax.tree.map(_shape_and_dtype, expected) != jax.tree.map(_shape_and_dtype, params):
        raise ValueError(f"{path / PARAMS_FILE} does not fit the networks of {CONFIG_FILE}")
    if not all(np.isfinite(array).all() for array in jax.tree.leaves(params)):
        raise ValueError(f"{path / PARAMS_FILE} is damaged: it holds numbers that are not finite")
    return config, params


def _shape_and_dtype(x: Any) -> str:
    return f"{x.dtype}{x.shape}"


def _load_params(path: Path) -> Params:
    try:
        tree = unflatten_dict(load_arrays(path), sep="/")
        moments = tree.pop("obs_moments", None)
        return Params(
            tree.pop("policy"),
            tree.pop("baseline", None),
            None if moments is None else RunningMoments(**moments),
        )
    except FileNotFoundError:
        remedy = "; train --resume finishes it" if (path.parent / CHECKPOINTS).is_dir() else ""
        raise ValueError(
            f"{path.parent} holds no trained parameters ({path.name}){remedy}"
        ) from None
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except (KeyError, TypeError):
        raise ValueError(f"{path} does not fit the networks of {CONFIG_FILE}") from None


class Snapshot(NamedTuple):
    """Parameters after so many updates and environment steps."""

    update: int
    env_steps: int
    params: Params


def load_snapshots(run_dir: Path) -> list[Snapshot]:
    """Return the parameters at each intact checkpoint of a run, the first update first.

    Raises:
        ValueError: it is no run directory, has no intact checkpoint, or one is of another run.
    """
    config, seed, _ = load_run_config(run_dir)
    states = load_all(run_dir / CHECKPOINTS, config, seed)
    if not states:
        raise ValueError(
            f"{run_dir} holds no checkpoints, whose policies --progress would show; train with"
            " --checkpoint-every and --keep"
        )
    return [Snapshot(int(s.update), exact_steps(s.env_steps), s.params) for s in states]
