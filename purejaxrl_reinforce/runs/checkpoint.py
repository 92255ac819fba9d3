"""Checkpoints: the whole training state on disk, written in the background, verified when read.

A checkpoint is a directory named after its update. It holds the arrays and a manifest with their
checksum. Both are written under another name and read back first: one rename makes them a
checkpoint.
"""

import contextlib
import math
import re
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import jax

from purejaxrl_reinforce.algorithm.lanes import key_data_shape
from purejaxrl_reinforce.algorithm.reinforce import state_shapes
from purejaxrl_reinforce.algorithm.state import TrainState, exact_steps
from purejaxrl_reinforce.config import LARGEST_SIZE, Config
from purejaxrl_reinforce.execution.machine import describe_versions
from purejaxrl_reinforce.output.checksums import (
    file_digest,
    load_arrays,
    read_sealed,
    save_arrays,
    write_sealed,
)
from purejaxrl_reinforce.output.files import sync, unfinished_path
from purejaxrl_reinforce.output.json_text import dump_json, parse_json

# Counts up whenever a checkpoint's content or its meaning changes.
FORMAT = 4

_MANIFEST, _STATE = "manifest.json", "state.npz"


class CheckpointError(OSError):
    """A checkpoint could not be written."""


class Checkpoint(NamedTuple):
    """A training state, as `to_host` returns it, and the seconds of training that led to it."""

    state: TrainState
    seconds: float


class CheckpointWriter:
    """Writes the checkpoints of one run, one at a time, in the background.

    Args:
        directory: where; made when the first is written, but not its parent.
        config: what is trained.
        seed: of the run.
        keep: how many of the latest to keep; the one with the best training return too.
    """

    def __init__(self, directory: Path, config: Config, seed: int, keep: int) -> None:
        self._directory = directory.absolute()
        self._config = config
        self._facts = {"config": asdict(config), "seed": seed}
        self._keep = keep
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._saving: Future[None] | None = None

    def save(self, state: TrainState, seconds: float, mean_return: float) -> Path:
        """Begin to write `state`, unless it is there already; return its directory.

        With several processes, only one of them does that.

        Args:
            state: as `to_host` returns it.
            seconds: of training that led to it.
            mean_return: of its update, which decides what checkpoint is the best.

        Raises:
            CheckpointError: the checkpoint before it could not be written.
        """
        self.wait()
        update = int(state.update)
        path = self._directory / f"{update:09}"
        if _content_of(path) is not None:
            return path
        content = self._facts | {
            "format": FORMAT,
            "update": update,
            "env_steps": exact_steps(state.env_steps),
            "seconds": seconds,
            "mean_return": None if math.isnan(mean_return) else mean_return,
            "versions": describe_versions(),
        }
        self._saving = self._pool.submit(self._commit, state, path, content)
        return path

    def wait(self) -> None:
        """Wait until the checkpoint that was begun is written.

        Raises:
            CheckpointError: it could not be written.
        """
        saving, self._saving = self._saving, None
        if saving is not None:
            saving.result()

    def close(self) -> None:
        """Wait until the checkpoint that was begun is written or has failed."""
        self._pool.shutdown()

    def _commit(self, state: TrainState, path: Path, content: dict[str, Any]) -> None:
        unfinished = unfinished_path(path)
        try:
            path.parent.mkdir(exist_ok=True)
            unfinished.mkdir()
            self._write(unfinished, state, content)
            unfinished.rename(path)
            sync(self._directory)
            sync(self._directory.parent)  # where this may be the first
        except (OSError, ValueError) as error:
            shutil.rmtree(unfinished, ignore_errors=True)
            for made in (self._directory, self._directory.parent):
                with contextlib.suppress(OSError):  # not empty, or removed meanwhile
                    made.rmdir()
            update = content["update"]
            raise CheckpointError(
                f"no checkpoint after update {update}: {_first_line(error)}"
            ) from None
        self._prune()

    def _write(self, path: Path, state: TrainState, content: dict[str, Any]) -> None:
        """Write a state and its manifest; return once they were read back and are on disk."""
        save_arrays(path / _STATE, _named_arrays(state))
        _require_same_bits(_read_state(path, self._config), state)
        write_sealed(path / _MANIFEST, content | {"state": file_digest(path / _STATE)})

    def _prune(self) -> None:
        finished = {path: x for path in _checkpoints(self._directory) if (x := _content_of(path))}
        returns = {path: content["mean_return"] for path, content in finished.items()}
        known = [path for path in reversed(returns) if returns[path] is not None]
        # Of equals the latest.
        best = {max(known, key=returns.__getitem__)} if known else set()
        for path in finished.keys() - best - set(list(finished)[-self._keep :]):
            _remove(path)


def load_latest(
    directory: Path, config: Config, seed: int, num_updates: int = LARGEST_SIZE
) -> tuple[Checkpoint | None, list[str]]:
    """Return the latest intact checkpoint, None where none was ever finished.

    Args:
        directory: that a CheckpointWriter wrote to.
        config: what is to be trained; `num_updates` may differ from that of the checkpoint.
        seed: of the run.
        num_updates: that the run's metrics have: later checkpoints do not count.

    Returns:
        The checkpoint, and a line for each later one that was skipped, saying which and why.

    Raises:
        ValueError: a checkpoint is of another configuration, seed or format; or there are
            checkpoints and none is intact.
    """
    skipped: list[str] = []
    for path in reversed(_checkpoints(directory)):
        if int(path.name) > num_updates:
            skipped.append(f"{path} needs more than the {num_updates} updates that metrics.csv has")
            continue
        loaded = _load(path, config, seed)
        if isinstance(loaded, Checkpoint):
            return loaded, skipped
        skipped.append(loaded)
    if skipped:
        raise ValueError(f"no intact checkpoint in {directory}: {'; '.join(skipped)}")
    return None, skipped


def load_all(directory: Path, config: Config, seed: int) -> list[TrainState]:
    """Return the states of all intact checkpoints, the first update first.

    Raises:
        ValueError: one is of another configuration, seed or format.
    """
    loaded = (_load(path, config, seed) for path in _checkpoints(directory))
    return [checkpoint.state for checkpoint in loaded if isinstance(checkpoint, Checkpoint)]


def latest_update(directory: Path) -> int:
    """Return the update of the latest checkpoint, intact or not; 0 without one."""
    return max((int(path.name) for path in _checkpoints(directory)), default=0)


def checkpoint_versions(directory: Path) -> dict[str, str]:
    """Return the versions of the packages that wrote the latest checkpoint; {} without one."""
    contents = map(_content_of, reversed(_checkpoints(directory)))
    return next((dict(content["versions"]) for content in contents if content), {})


def truncate_checkpoints(directory: Path, update: int) -> None:
    """Remove the checkpoints after `update`; files of others stay."""
    for path in _checkpoints(directory):
        if int(path.name) > update:
            _remove(path)


def _load(path: Path, config: Config, seed: int) -> Checkpoint | str:
    """Return a checkpoint, or what is wrong with it."""
    content = _content_of(path)
    if content is None:
        return f"{path} is damaged: checksum mismatch in {_MANIFEST}"
    _require_same_run(path, content, config, seed)
    try:
        if file_digest(path / _STATE) != content["state"]:
            return f"{path} is damaged: checksum mismatch in {_STATE}"
        return Checkpoint(_read_state(path, config), content["seconds"])
    except FileNotFoundError:
        return f"{path} is damaged: {_STATE} is missing"
    except (OSError, ValueError) as error:
        return f"{path} cannot be read: {_first_line(error)}"


def _read_state(path: Path, config: Config) -> TrainState:
    arrays = load_arrays(path / _STATE)
    key_data: Any = key_data_shape()
    shapes = state_shapes(config)._replace(key=key_data)
    expected = _named_arrays(shapes)
    for name in sorted({*expected, *arrays}):
        if name not in expected or name not in arrays:
            raise ValueError(f"{name} is missing or too much")
        if (arrays[name].shape, arrays[name].dtype) != (expected[name].shape, expected[name].dtype):
            raise ValueError(f"{name} has another shape or dtype")
    return jax.tree.unflatten(jax.tree.structure(shapes), [arrays[name] for name in expected])


def _require_same_bits(found: TrainState, written: TrainState) -> None:
    arrays = _named_arrays(written)
    for name, array in _named_arrays(found).items():
        if array.tobytes() != arrays[name].tobytes():
            raise ValueError(f"{name} is not what was written")


def _named_arrays(state: TrainState) -> dict[str, Any]:
    """Return the arrays of a state, or their shapes, by names such as `lanes/obs`."""
    paths, _ = jax.tree.flatten_with_path(state)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): x for path, x in paths}


def _require_same_run(path: Path, content: dict[str, Any], config: Config, seed: int) -> None:
    if content["format"] != FORMAT:
        raise ValueError(
            f"{path} has checkpoint format {content['format']}, of another release;"
            f" this one reads format {FORMAT}"
        )
    here = parse_json(dump_json(asdict(config))) | {"seed": seed}
    there = content["config"] | {"seed": content["seed"]}
    for name in sorted({*here, *there} - {"num_updates"}):
        if name not in here or name not in there or here[name] != there[name]:
            raise ValueError(
                f"{path} is of another run: its {name} is {there.get(name)!r}, here it is"
                f" {here.get(name)!r}"
            )


def _checkpoints(directory: Path) -> list[Path]:
    """Return the checkpoints in `directory`, intact or not, oldest update first."""
    found = (path for path in directory.glob("*") if re.fullmatch("[0-9]{9,}", path.name))
    return sorted(filter(Path.is_dir, found), key=lambda path: int(path.name))


def _content_of(path: Path) -> dict[str, Any] | None:
    """Return what the manifest of a checkpoint says, None where it is missing or damaged."""
    try:
        content: dict[str, Any] = read_sealed(path / _MANIFEST)
        return content
    except (OSError, ValueError):
        return None


def _remove(path: Path) -> None:
    """Remove a checkpoint; it never counts while incomplete."""
    unfinished = unfinished_path(path)
    path.rename(unfinished)
    shutil.rmtree(unfinished, ignore_errors=True)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
