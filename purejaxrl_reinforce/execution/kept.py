"""Executables of a run's programs, kept beside jax's compilation cache.

A later run of equal shapes loads them: it traces nothing, and needs no networks, environments or
optimizers. A file holds a fingerprint of all that the programs depend on, and the executables.
A file that is damaged, of another version or machine, or may be somebody else's is not read any
further, for pickles can run code; the run then compiles as if there were none.
"""

import contextlib
import functools
import hashlib
import os
import pickle
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh

from purejaxrl_reinforce.algorithm.state import Metrics, TrainState
from purejaxrl_reinforce.config import OBJECT_FIELDS, STATIC_FIELDS, Config
from purejaxrl_reinforce.environments import environment
from purejaxrl_reinforce.execution.jax_private import compilation_cache, serialize_executable
from purejaxrl_reinforce.execution.machine import cpu_features, describe_versions
from purejaxrl_reinforce.execution.processes import is_single_process
from purejaxrl_reinforce.output.files import atomic_write, open_regular


class Kept(NamedTuple):
    """Two executables, and the path of each leaf of the state in its tree."""

    init: bytes
    run: bytes
    paths: Sequence[tuple[str, ...]]


def find(config: Config) -> Kept | None:
    """Return the programs that are kept for the shapes of a configuration, None if there are none.

    Such a configuration needs no further checks: it had these before its program was compiled.
    """
    path = _path(config)
    with contextlib.suppress(Exception):  # whatever is wrong with a file, there is another way
        if path is not None and _is_private(path.parent.lstat()):
            with open_regular(path) as file:
                fingerprint = _fingerprint(config)
                is_private = _is_private(os.fstat(file.fileno()))
                if is_private and file.read(len(fingerprint)) == fingerprint:
                    return Kept(*pickle.loads(zlib.decompress(file.read())))
    return None


def load(kept: Kept, config: Config, mesh: Mesh) -> tuple[Any, Any] | None:
    """Return `init` and `run_updates` on the devices of a mesh; None if they cannot be loaded.

    Their states are trees of dictionaries, whose leaves have the paths that they always have.
    """
    state, metrics = _tree_of(kept.paths), Metrics(*Metrics._fields[:-1])  # type: ignore[arg-type]

    def loaded(program: bytes, args: Any, results: Any, devices: Sequence[jax.Device]) -> Any:
        trees = jax.tree.structure((args, {})), jax.tree.structure(results)
        load = serialize_executable.deserialize_and_load
        return load(program, *trees, execution_devices=devices)

    with contextlib.suppress(Exception):  # of pickle, jax or XLA
        init = loaded(kept.init, (config, 0), state, jax.devices()[:1])
        run_args = config, state, 0, 0
        return init, loaded(kept.run, run_args, (state, metrics), list(mesh.devices.flat))
    return None


@contextlib.contextmanager
def compiled_anew(config: Config) -> Iterator[None]:
    """Within the block, programs that can be kept are not taken from jax's cache.

    An executable from that cache can be serialized again, but then lacks some of its functions.
    """
    cache: Any = compilation_cache
    read = cache.get_executable_and_time
    if _path(config) is not None:
        cache.get_executable_and_time = lambda *_: (None, None)
    try:
        yield
    finally:
        cache.get_executable_and_time = read


# Programs that this process has from jax's cache all the same: later ones may be among them.
from_cache: list[str] = []
jax.monitoring.register_event_listener(
    lambda event, **_: from_cache.append(event) if event.endswith("/cache_hits") else None
)


def save(compiled: tuple[Any, Any], config: Config, state: TrainState) -> None:
    """Keep the programs of a configuration, whose states are like `state`, where that can be."""
    path = _path(config)
    if path is None or from_cache or not environment.make(config.env).is_of_gymnax:
        return
    with contextlib.suppress(Exception):  # a full disk, or an executable that cannot be kept
        programs = (serialize_executable.serialize(program)[0] for program in compiled)
        paths = [
            tuple(jax.tree_util.keystr((key,), simple=True) for key in keys)
            for keys, _ in jax.tree.leaves_with_path(state)
        ]
        content = zlib.compress(pickle.dumps((*programs, paths)), level=1)  # with a checksum
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with atomic_write(path) as unfinished:
            unfinished.chmod(0o600)
            unfinished.write_bytes(_fingerprint(config) + content)


def _tree_of(paths: Sequence[tuple[str, ...]]) -> TrainState:
    """Return a state whose leaves have these paths, in their order."""
    tree: Any = OrderedDict()
    for path in paths:
        branch = tree
        for name in path[:-1]:
            branch = branch.setdefault(name, OrderedDict())
        branch[path[-1]] = 0
    return TrainState(**dict.fromkeys(TrainState._fields) | tree)


def _path(config: Config) -> Path | None:
    """Return the file of a configuration's programs, None where these cannot be kept.

    Nobody knows all files that an environment or a network of the user's depends on.
    """
    cache = jax.config.values.get("jax_compilation_cache_dir")
    is_own = any(":" in getattr(config, name) for name in OBJECT_FIELDS)
    is_usual = not is_own and not config.env_params and config.engine in ("auto", "xla")
    is_on = cache and jax.config.values["jax_enable_compilation_cache"]
    if not is_usual or not is_on or not is_single_process():
        return None
    return Path(cache) / "programs" / f"{_digest(_shapes(config)).hex()}.kept"


def _shapes(config: Config) -> str:
    """Return the parts of a configuration that shape its programs; the updates do not."""
    static = (getattr(config, name) for name in STATIC_FIELDS if name != "num_updates")
    return repr([*static, config.stop_at is None])


def _is_private(status: os.stat_result) -> bool:
    """Return whether a file or directory is this user's, and only this user can write it."""
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _fingerprint(config: Config) -> bytes:
    """Return a digest of all that programs depend on.

    That is the configuration, our source, versions, devices and processor, and the settings of jax
    and XLA.
    """
    caches = ("jax_compilation_cache", "jax_persistent_cache")
    settings = {
        name: getattr(jax.config, name, value)
        for name, value in sorted(jax.config.values.items())
        if not name.startswith(caches)
    }
    flags = {name: os.environ.get(name) for name in ("XLA_FLAGS", "LIBTPU_INIT_ARGS")}
    devices = [(device.id, device.device_kind) for device in jax.devices()]
    platform = jax.devices()[0].client.platform_version
    machine = devices, platform, cpu_features()
    facts = _shapes(config), _sources(), describe_versions(), machine, settings, flags
    return _digest(repr(facts))


@functools.cache  # a file that is edited later has not shaped this process's programs
def _sources() -> bytes:
    """Return a digest of our source."""
    sources = sorted(Path(__file__).parents[1].rglob("*.py"))
    return _digest("".join(path.read_text() for path in sources))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
