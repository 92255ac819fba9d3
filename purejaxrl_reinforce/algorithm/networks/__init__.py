"""The policy and the baseline network, built-in or your own, and action distributions."""

from purejaxrl_reinforce.deferred import deferred_imports

with deferred_imports():
    import flax.linen  # noqa: F401
