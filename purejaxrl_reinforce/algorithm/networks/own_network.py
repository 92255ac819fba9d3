"""Networks of one's own: flax modules named `package.module:Class` in the configuration."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from purejaxrl_reinforce.algorithm.environments.own_code import imported, in_a_line
from purejaxrl_reinforce.algorithm.networks.mlp import relative_to_last


class OwnNetwork(nn.Module):
    """A module of the user's as the policies want it: float32 and, with `relative`, relative."""

    module: nn.Module
    relative: bool = False

    @nn.compact
    def __call__(self, obs: Array) -> Array:
        outputs = self.module(obs).astype(jnp.float32)
        return relative_to_last(outputs) if self.relative else outputs


def own_network(path: str, num_outputs: int, shape: tuple[int, ...], dtype: str) -> nn.Module:
    """Return the flax module `path`, made with `num_outputs`, for observations [N, ...].

    Args:
        path: package.module:Class.
        num_outputs: that it is asked for.
        shape: of observations, N first, for some N.
        dtype: of observations.

    Raises:
        ValueError: it cannot be imported or made, fails on the observations, holds more than
            parameters, or its outputs are not real numbers [N, num_outputs].
    """
    return _checked(path, imported("network", path), num_outputs, shape, dtype)


@functools.cache  # each call would trace it anew
def _checked(
    path: str, module_class: Any, num_outputs: int, shape: tuple[int, ...], dtype: str
) -> nn.Module:
    if not (isinstance(module_class, type) and issubclass(module_class, nn.Module)):
        raise ValueError(f"network {path!r} is not a class of flax modules (flax.linen.Module)")
    key, obs = jax.eval_shape(lambda: jax.random.key(0)), jax.ShapeDtypeStruct(shape, dtype)
    try:
        module: nn.Module = module_class(num_outputs=num_outputs)
    except Exception as error:
        raise ValueError(
            f"network {path!r} cannot be made with num_outputs={num_outputs}: {in_a_line(error)}"
        ) from None
    try:
        outputs, variables = jax.eval_shape(module.init_with_output, key, obs)
    except Exception as error:
        raise ValueError(
            f"network {path!r} fails on observations of shape {shape}: {in_a_line(error)}"
        ) from None
    expected = (shape[0], num_outputs)
    is_array = isinstance(outputs, jax.ShapeDtypeStruct)
    if not is_array or outputs.shape != expected or not jnp.issubdtype(outputs.dtype, jnp.floating):
        found = f"{outputs.dtype} of shape {outputs.shape}" if is_array else type(outputs).__name__
        raise ValueError(
            f"network {path!r} must map observations of shape {shape} to real numbers of shape"
            f" {expected}, not {found}"
        )
    if others := set(variables) - {"params"}:
        raise ValueError(f"network {path!r} may hold parameters only, not {sorted(others)}")
    return module
