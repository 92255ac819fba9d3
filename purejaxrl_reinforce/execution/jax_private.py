"""Names of jax that may move or go: no other file of this room uses any.

compilation_cache: what keeps compiled programs, of which damaged ones are dropped.
multihost_utils: what processes exchange, so runs of several processes.
serialize_executable: what keeps programs whole, so that a run traces nothing again.
"""

from jax._src import compilation_cache as compilation_cache
from jax._src.clusters import ClusterEnv
from jax.experimental import multihost_utils as multihost_utils
from jax.experimental import serialize_executable as serialize_executable

# The kinds of cluster that jax knows. Without them, processes need --coordinator.
CLUSTERS = [kind for kind in ClusterEnv._cluster_types if not kind.opt_in_only_method]
