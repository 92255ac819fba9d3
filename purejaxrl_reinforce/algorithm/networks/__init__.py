"""The policy and the baseline network, built-in or your own, and action distributions."""

from purejaxrl_reinforce.deferred import deferred_imports

# For tables of networks, which nobody prints, and kernels, which flax has none of.
_NOT_USED = ("rich", "rich.console", "rich.table", "rich.text", "yaml", "jax.extend.pallas")
with deferred_imports(*_NOT_USED):
    import flax.linen  # noqa: F401
