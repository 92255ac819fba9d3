"""Checkpoints: the whole training state in one file, verified when it is read.

A checkpoint is named after its update, and carries the identity of its run. It is written under
another name: one rename makes it a checkpoint.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from purejaxrl_reinforce.algorithm.lanes import key_shape
from purejaxrl_reinforce.algorithm.state import TrainState
from purejaxrl_reinforce.config import LARGEST_SIZE, Config
from purejaxrl_reinforce.execution.machine import require_result_settings, result_settings
from purejaxrl_reinforce.execution.processes import to_host
from purejaxrl_reinforce.output.files import StrPath, new_file
from purejaxrl_reinforce.output.sealed import load_arrays, owner_of, parsing, save_arrays

# Counts up whenever a checkpoint's content or its meaning changes.
FORMAT = 5

# The member of a checkpoint with its format, run and update.
_FACTS = "facts"
# Owner of a state that is saved alone.
_NO_RUN = ""


def save_checkpoint(
    directory: Path, state: TrainState, owner: str, returns: np.ndarray, keep: int
) -> None:
    """Write a state (see `to_host`), then remove the run's other checkpoints.

    The `keep` latest stay, and the one with the best of the training `returns` [num_updates].

    Raises:
        OSError: it could not be written.
    """
    update = int(state.update)
    try:
        directory.mkdir(exist_ok=True)
        _write(checkpoint_path(directory, update), state, owner)
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f"no checkpoint after update {update}: {reason}") from None
    own = own_checkpoints(directory, owner)
    known = [u for u in own if 0 < u <= len(returns) and not np.isnan(returns[u - 1])]
    best = max(known, key=lambda u: (returns[u - 1], u), default=None)
    for older in list(own)[:-keep]:
        if older != best:
            own[older].unlink()


def save(state: TrainState, out: StrPath, force: bool = False) -> Path:
    """Write a training state, as `train` returns it, to a new file; return its path.

    Args:
        state: of one agent, in one process.
        out: ends in .npz. The configuration is not in the file: `load` is given it.
        force: whether to overwrite an existing file.

    Raises:
        ValueError: the file cannot be written or exists already, or this is no state.

    Example:
        >>> import jax
        >>> from purejaxrl_reinforce import Config, load, save, train
        >>> config = Config(num_envs=4, num_steps=50, num_updates=3)
        >>> path = save(train(config, jax.random.key(0))[0], "state.npz")
        >>> int(load(config, path).update)
        3
    """
    if getattr(getattr(state, "update", None), "ndim", 1):
        raise ValueError(
            "save takes one TrainState, as `train` returns it, and then a path; of several agents"
            " take one: jax.tree.map(lambda x: x[0], states)"
        )
    new = new_file(out, Path("state.npz"), (".npz",), force)
    _write(new, to_host(jax.tree.map(jnp.asarray, state)), _NO_RUN)
    return new


def load(config: Config, path: StrPath) -> TrainState:
    """Return the state that `save` wrote, of a training of this configuration.

    Raises:
        ValueError: the file cannot be read, is damaged or of another configuration.

    Example:
        >>> from purejaxrl_reinforce import Config, load
        >>> config = Config(num_envs=4, num_steps=50, num_updates=3)
        >>> state = load(config, "state.npz")  # of the example of save
    """
    state, _ = load_checkpoint(Path(path), config, _NO_RUN)
    return state._replace(key=jax.random.wrap_key_data(state.key))


def _write(path: Path, state: TrainState, owner: str) -> None:
    facts = {"format": FORMAT, "settings": result_settings()}
    save_arrays(path, named_arrays(state) | {_FACTS: np.array(json.dumps(facts))}, owner)


def checkpoint_path(directory: Path, update: int) -> Path:
    """Return the path of the checkpoint after so many updates."""
    return directory / f"{update:09}.npz"


def own_checkpoints(directory: Path, owner: str) -> dict[int, Path]:
    """Return the checkpoints of a run by update, the first update first."""
    return {int(path.stem): path for path in _candidates(directory) if owner_of(path) == owner}


def load_latest(
    directory: Path, config: Config, owner: str, num_updates: int = LARGEST_SIZE
) -> tuple[TrainState | None, list[str]]:
    """Return the state of the latest intact checkpoint, None where none was ever finished.

    Checkpoints after `num_updates`, which the run's metrics have, do not count. A line for each
    that was skipped says which and why.

    Raises:
        ValueError: a checkpoint was made with other settings of jax; or there are some and none is
            intact.
    """
    skipped: list[str] = []
    for path in reversed(_candidates(directory)):
        if int(path.stem) > num_updates:
            skipped.append(f"{path} needs more than the {num_updates} updates that metrics.csv has")
            continue
        try:
            state, settings = load_checkpoint(path, config, owner)
        except ValueError as error:
            skipped.append(str(error))
            continue
        require_result_settings(path, settings)
        return state, skipped
    if skipped:
        raise ValueError(f"no intact checkpoint in {directory}: {'; '.join(skipped)}")
    return None, skipped


def named_arrays(tree: Any) -> dict[str, Any]:
    """Return the arrays of a tree, or their shapes, by names such as `lanes/obs`."""
    leaves, _ = jax.tree.flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def restore_tree(arrays: dict[str, np.ndarray], shapes: Any) -> Any:
    """Return the tree of `shapes` of which `named_arrays` made these arrays.

    Raises:
        ValueError: they are not all there, or have other shapes or dtypes.
    """
    expected = named_arrays(shapes)
    for name in sorted({*expected, *arrays}):
        if name not in expected or name not in arrays:
            raise ValueError(f"{name} is missing or unknown")
        if (arrays[name].shape, arrays[name].dtype) != (expected[name].shape, expected[name].dtype):
            raise ValueError(f"{name} has another shape or dtype")
    return jax.tree.unflatten(jax.tree.structure(shapes), [arrays[name] for name in expected])


def load_checkpoint(path: Path, config: Config, owner: str) -> tuple[TrainState, dict[str, Any]]:
    """Return the state of a checkpoint, and the settings of jax that it was made with.

    Raises:
        ValueError: it cannot be read, or this release did not write it for this run.
    """
    arrays = load_arrays(path, owner)
    with parsing(path):
        facts = json.loads(str(arrays.pop(_FACTS)))
        found, settings = facts["format"], dict(facts["settings"])
    if found != FORMAT:
        raise ValueError(f"{path} has format {found}, of another release; this one has {FORMAT}")
    from purejaxrl_reinforce.algorithm.reinforce import state_shapes

    key_data: Any = jax.eval_shape(jax.random.key_data, key_shape())
    shapes = state_shapes(config)._replace(key=key_data)
    try:
        state: TrainState = restore_tree(arrays, shapes)
    except ValueError as error:
        raise ValueError(f"{path} does not fit the configuration: {error}") from None
    if owner != _NO_RUN and int(state.update) != int(path.stem):
        raise ValueError(f"{path} was renamed: it holds update {int(state.update)}")
    return state, settings


def _candidates(directory: Path) -> Sequence[Path]:
    """Return all files in `directory` that are named like checkpoints, the first update first."""
    found = [path for path in directory.glob("*.npz") if re.fullmatch("[0-9]{9,}", path.stem)]
    return sorted(found, key=lambda path: int(path.stem))
