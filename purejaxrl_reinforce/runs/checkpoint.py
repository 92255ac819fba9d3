"""Checkpoints: the whole training state on disk, written in the background, verified when read.

A checkpoint is a directory that orbax writes, named after its update, and a manifest beside it. The
manifest is written last: without one, a checkpoint is unfinished and does not count.
"""

import contextlib
import logging
import math
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import chex
import jax

from purejaxrl_reinforce.algorithm.reinforce import state_shapes
from purejaxrl_reinforce.algorithm.state import TrainState, exact_steps
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.execution.machine import describe_versions
from purejaxrl_reinforce.output.checksums import file_digest, read_sealed, write_sealed
from purejaxrl_reinforce.output.json_text import dump_json, parse_json

# Counts up whenever a checkpoint's content or its meaning changes.
FORMAT = 2


class CheckpointError(OSError):
    """A checkpoint could not be written."""


class Checkpoint(NamedTuple):
    """A training state, as `to_host` returns it, and the seconds of training that led to it."""

    state: TrainState
    seconds: float


class CheckpointWriter:
    """Writes the checkpoints of one run, one at a time, in the background.

    Args:
        directory: where; made when the first is written.
        config: what is trained.
        seed: of the run.
        keep: how many of the latest to keep; the one with the best mean return stays as well.
    """

    def __init__(self, directory: Path, config: Config, seed: int, keep: int) -> None:
        self._directory = directory.absolute()
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
        if _manifest_of(path).exists():
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
        try:
            _write(path, state)
            files = {
                str(file.relative_to(path)): file_digest(file)
                for file in sorted(path.rglob("*"))
                if file.is_file()
            }
            write_sealed(_manifest_of(path), content | {"files": files})
        except Exception as error:  # orbax and tensorstore raise all sorts of them
            for left in path.parent.glob(f"{path.name}*"):  # on a full disk they are in the way
                _remove(left)
            update = content["update"]
            raise CheckpointError(
                f"no checkpoint after update {update}: {_first_line(error)}"
            ) from None
        self._prune()

    def _prune(self) -> None:
        manifests = [(path, _content_of(path)) for path in _manifests(self._directory)]
        finished = [(path, content) for path, content in manifests if content is not None]
        returns = {
            path: content["mean_return"]
            for path, content in finished
            if content["mean_return"] is not None
        }
        kept = {path for path, _ in finished[-self._keep :]}
        # Of equals the latest.
        kept |= {max(reversed(returns), key=returns.__getitem__)} if returns else set()
        for path, _ in finished:
            if path not in kept:
                _remove(path.with_suffix(""))


def load_latest(directory: Path, config: Config, seed: int) -> tuple[Checkpoint | None, list[str]]:
    """Return the latest intact checkpoint, None where none was ever finished.

    Args:
        directory: that a CheckpointWriter wrote to.
        config: what is to be trained; `num_updates` may differ from that of the checkpoint.
        seed: of the run.

    Returns:
        The checkpoint, and a line for each later one that was skipped, saying which and why.

    Raises:
        ValueError: a checkpoint is of another configuration, seed or format; or there are
            checkpoints and none is intact.
    """
    skipped: list[str] = []
    manifests = _manifests(directory)
    for manifest in reversed(manifests):
        loaded = _load(manifest, config, seed)
        if isinstance(loaded, Checkpoint):
            return loaded, skipped
        skipped.append(loaded)
    if manifests:
        raise ValueError(f"no intact checkpoint in {directory}: {'; '.join(skipped)}")
    return None, skipped


def load_all(directory: Path, config: Config, seed: int) -> list[TrainState]:
    """Return the states of all intact checkpoints, the first update first.

    Raises:
        ValueError: one is of another configuration, seed or format.
    """
    loaded = (_load(manifest, config, seed) for manifest in _manifests(directory))
    return [checkpoint.state for checkpoint in loaded if isinstance(checkpoint, Checkpoint)]


def checkpoint_versions(directory: Path) -> dict[str, str]:
    """Return the versions of the packages that wrote the latest checkpoint; {} without one."""
    for manifest in reversed(_manifests(directory)):
        content = _content_of(manifest)
        if content is not None:
            versions: dict[str, str] = content["versions"]
            return versions
    return {}


def truncate_checkpoints(directory: Path, update: int) -> None:
    """Remove the checkpoints after `update`, and what a killed process left unfinished."""
    kept = {path for path in _manifests(directory) if int(path.stem) <= update}
    kept |= {path.with_suffix("") for path in kept}
    for path in directory.iterdir() if directory.is_dir() else ():
        if path not in kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _load(manifest: Path, config: Config, seed: int) -> Checkpoint | str:
    """Return a checkpoint, or what is wrong with it."""
    path = manifest.with_suffix("")
    content = _content_of(manifest)
    if content is None:
        return f"{path} is damaged: checksum mismatch in {manifest.name}"
    _require_same_run(path, content, config, seed)
    if damage := _find_damage(path, content["files"]):
        return f"{path} is damaged: {damage}"
    try:
        return Checkpoint(_read(path, config), content["seconds"])
    except Exception as error:  # orbax and tensorstore raise all sorts of them
        return f"{path} cannot be read: {_first_line(error)}"


def _write(path: Path, state: TrainState) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with _orbax() as orbax:
        orbax.save(path.absolute(), _named_arrays(state))


def _read(path: Path, config: Config) -> TrainState:
    with _orbax() as orbax:
        arrays = orbax.restore(path.absolute())
    shapes = jax.eval_shape(
        lambda state: state._replace(key=jax.random.key_data(state.key)), state_shapes(config)
    )
    named_shapes = _named_arrays(shapes)
    chex.assert_trees_all_equal_shapes_and_dtypes(arrays, named_shapes)
    return jax.tree.unflatten(jax.tree.structure(shapes), [arrays[name] for name in named_shapes])


def _named_arrays(state: TrainState) -> dict[str, Any]:
    """Return the arrays of a state, or their shapes, by names such as `lanes/obs`."""
    paths, _ = jax.tree.flatten_with_path(state)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): x for path, x in paths}


@contextlib.contextmanager
def _orbax() -> Iterator[Any]:
    """Give a checkpointer for NumPy arrays, which no other process takes part in."""
    import orbax.checkpoint as ocp

    here = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=here, active_processes={here}, barrier_sync_key_prefix=f"process{here}"
    )
    # One file per array. OCDBT's few would be merged with a glob of the whole path, which finds
    # nothing where that has brackets or backslashes in it.
    handler = ocp.PyTreeCheckpointHandler(use_ocdbt=False, multiprocessing_options=alone)
    # What orbax raises it also logs, with a traceback.
    logger, is_other = logging.getLogger("absl"), lambda record: "orbax" not in record.pathname
    logger.addFilter(is_other)
    try:
        with ocp.Checkpointer(handler, multiprocessing_options=alone) as checkpointer:
            yield checkpointer
    finally:
        logger.removeFilter(is_other)


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


def _find_damage(path: Path, files: dict[str, str]) -> str | None:
    for name, digest in files.items():
        try:
            if file_digest(path / name) != digest:
                return f"checksum mismatch in {name}"
        except OSError:
            return f"{name} is missing"
    return None


def _manifests(directory: Path) -> list[Path]:
    """Return the manifests in `directory`, oldest update first."""
    return sorted(path for path in directory.glob("*.json") if path.stem.isdigit())


def _content_of(manifest: Path) -> dict[str, Any] | None:
    """Return what a manifest says, None where it is damaged."""
    try:
        content: dict[str, Any] = read_sealed(manifest)
        return content
    except (OSError, ValueError):
        return None


def _manifest_of(path: Path) -> Path:
    return path.with_suffix(".json")


def _remove(path: Path) -> None:
    """Remove a checkpoint, its manifest first, so that it never counts while incomplete."""
    _manifest_of(path).unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
