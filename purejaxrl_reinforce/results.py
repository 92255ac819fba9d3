"""The run directory: what training leaves behind, and reading it back."""

import contextlib
import csv
import io
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.config_file import dump_config, load_config
from purejaxrl_reinforce.losses import Params
from purejaxrl_reinforce.plots import plot_returns
from purejaxrl_reinforce.reinforce import state_shapes
from purejaxrl_reinforce.state import Metrics

CONFIG_FILE = "config.toml"
METRICS_FILE = "metrics.csv"
PARAMS_FILE = "params.npz"
REWARDS_FILE = "rewards.npy"
PLOT_FILE = "rewards.png"

# `finite` is left out: an update where it is false ends the run and has no row.
_METRIC_COLUMNS = tuple(name for name in Metrics._fields if name not in ("env_steps", "finite"))
COLUMNS = ("update", "env_steps", "seconds", *_METRIC_COLUMNS)


class RunWriter:
    """Writes one run's directory: the configuration at once, metrics as they come, then the rest.

    Columns of `metrics.csv`: `update` counts from 1; `env_steps` is the exact number of valid
    environment steps so far; `seconds` is training time so far, compilation apart; the others are
    the fields of `Metrics`.

    Raises:
        ValueError: `path` exists and is not an empty directory, or cannot be written.
    """

    def __init__(self, path: Path, config: Config, seed: int) -> None:
        require_new(path)
        self.path = path
        self.env_steps = 0
        self.seconds = 0.0
        unit = (
            "episodes" if config.rollout == "episodes" else f"lanes of {config.num_steps:,} steps"
        )
        self._title = f"{config.env}: REINFORCE, {config.num_envs:,} {unit} per update, seed {seed}"
        self._returns: list[tuple[float, float, float]] = []
        self._made = [p for p in (path, *path.parents) if not p.exists()]
        try:
            path.mkdir(parents=True, exist_ok=True)
            (path / CONFIG_FILE).write_text(dump_config(config, seed))
            with (path / METRICS_FILE).open("w", newline="") as file:
                csv.writer(file).writerow(COLUMNS)
        except OSError as error:
            self.discard()
            raise ValueError(f"cannot write to {path}: {error.strerror}") from None

    def discard(self) -> None:
        """Remove the directory again, with the parents that were made for it."""
        with contextlib.suppress(OSError):
            for name in (CONFIG_FILE, METRICS_FILE):
                (self.path / name).unlink(missing_ok=True)
        for path in self._made:
            with contextlib.suppress(OSError):
                path.rmdir()

    @property
    def mean_returns(self) -> list[float]:
        """Mean episode return of each update so far."""
        return [mean for mean, _, _ in self._returns]

    def add(self, metrics: Metrics, seconds: float) -> None:
        """Append one row per update.

        Args:
            metrics: NumPy arrays [n].
            seconds: that the n updates took together.
        """
        with (self.path / METRICS_FILE).open("a", newline="") as file:
            rows = csv.writer(file)
            for i, num_steps in enumerate(metrics.num_steps.tolist()):
                self.env_steps += num_steps
                self.seconds += seconds / len(metrics.num_steps)
                update: Any = Metrics(*(column[i].item() for column in metrics))
                self._returns.append((update.mean_return, update.min_return, update.max_return))
                rows.writerow(
                    [len(self._returns), self.env_steps, round(self.seconds, 6)]
                    + [getattr(update, name) for name in _METRIC_COLUMNS]
                )

    def finish(self, params: Params) -> None:
        """Write the parameters, `rewards.npy` (mean return per update) and its plot."""
        save_params(self.path / PARAMS_FILE, params)
        np.save(self.path / REWARDS_FILE, np.asarray(self.mean_returns))
        plot_returns(self.path / PLOT_FILE, self._title, np.asarray(self._returns))


def require_new(path: Path) -> None:
    """Raise ValueError unless a run can be written to `path` without touching anything."""
    existing = next(p for p in (path, *path.absolute().parents) if os.path.lexists(p))
    if not existing.is_dir():
        raise ValueError(f"{existing} exists and is not a directory; choose another --run-dir")
    if existing == path and any(path.iterdir()):
        raise ValueError(f"{path} exists and is not empty; choose another --run-dir")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ValueError(f"{existing} cannot be written to; choose another --run-dir")


def save_params(path: Path, params: Params) -> None:
    """Write parameters as `.npz`, named like `policy/params/mlp/hidden_0/kernel`."""
    tree = {name: network for name, network in params._asdict().items() if network is not None}
    flat = flatten_dict(tree, sep="/")
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in flat.items()}
    # Under another name first: whatever interrupts, there is the whole file or none.
    unfinished = path.with_name(f"unfinished-{path.name}")
    np.savez(unfinished, **arrays)
    unfinished.replace(path)


def load_run(path: Path) -> tuple[Config, Params]:
    """Return the configuration and the trained parameters of a run directory.

    Raises:
        ValueError: it is no run directory, or a file in it is missing, damaged or does not fit
            the others.
    """
    if not (path / CONFIG_FILE).is_file():
        raise ValueError(f"{path} is not a run directory: it has no {CONFIG_FILE}")
    config, _ = load_config(path / CONFIG_FILE)
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
        with np.load(io.BytesIO(path.read_bytes())) as file:
            tree = unflatten_dict({name: file[name] for name in file.files}, sep="/")
        return Params(tree.pop("policy"), tree.pop("baseline", None))
    except FileNotFoundError:
        raise ValueError(f"{path.parent} holds no trained parameters ({path.name})") from None
    except Exception as error:  # NumPy raises all sorts of them on damaged files
        raise ValueError(f"{path} is damaged: {error!r}") from None
