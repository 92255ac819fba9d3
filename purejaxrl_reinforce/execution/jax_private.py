"""Names of jax that may move or go, each with what would break: no other file here uses any.

multihost_utils: what processes exchange, so runs of several processes.
"""

import importlib
from typing import Any

from jax.experimental import multihost_utils as multihost_utils


def compilation_cache() -> Any:
    """Return jax's module of it. Without it, a damaged entry is warned of at each start."""
    return importlib.import_module("jax._src.compilation_cache")


def serialize_executable() -> Any:
    """Return jax's module of it. Without it, a run traces and compiles again."""
    return importlib.import_module("jax.experimental.serialize_executable")


def cluster_environments() -> list[Any]:
    """Return the kinds of cluster that jax knows. Without it, processes need --coordinator."""
    from jax._src.clusters import ClusterEnv

    return [kind for kind in ClusterEnv._cluster_types if not kind.opt_in_only_method]
