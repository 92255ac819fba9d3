"""Operation counts of the networks, per row.

A dense layer from `a` to `b` units takes, per row,

    forward:   2ab (product) + b (bias), and b for its activation if it is hidden
    backward:  2ab (kernel's gradient) + b (bias's gradient), and, above a hidden layer,
               2ab (gradient of its input) + 2a (activation's derivative, times)

and the backward pass of a `relu_mlp` with K inputs, H hidden units and O outputs

    2 O (K + 1) H (product) + O (K + 1) (its factor) + H (which units are on) + O (bias)

Other networks (with a convolution, layer normalization, or of one's own) are counted by XLA.
"""

import functools
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import flax.linen as nn
import jax

from purejaxrl_reinforce.algorithm.networks.build import Params, make_networks
from purejaxrl_reinforce.algorithm.networks.mlp import MLP
from purejaxrl_reinforce.algorithm.networks.relu_mlp import takes_one_product
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.execution.memory import few_lanes

# XLA counts per array, so what does not depend on the rows is divided by this many.
ROWS = 1024


class NetworkFlops(NamedTuple):
    """Operations of the whole forward pass, of its output layer if known, and of the gradient."""

    forward: float
    output: float
    backward: float


@functools.cache
def network_flops(config: Config) -> Params:
    """Return the `NetworkFlops` of the policy and of the baseline network, None where none is."""
    networks = make_networks(config)
    _, state = few_lanes(config)
    obs = jax.ShapeDtypeStruct((ROWS, *state.lanes.obs.shape[1:]), state.lanes.obs.dtype)
    policy, baseline = networks.policy.network, networks.baseline.network
    return Params(
        _flops(policy, state.params.policy, obs),
        None if state.params.baseline is None else _flops(baseline, state.params.baseline, obs),
    )


def _flops(network: nn.Module, params: Any, obs: Any) -> NetworkFlops:
    if type(network) is MLP and not network.layer_norm:
        inputs = network.num_obs or math.prod(obs.shape[1:])
        num_outputs = network.num_outputs - network.relative  # the last of the logits is 0
        sizes = (inputs, *network.hidden_sizes, num_outputs)
        a, b = sizes[-2:]
        return NetworkFlops(
            forward_flops(sizes), 2 * a * b + b, backward_flops(sizes, network.activation)
        )
    own = {"params": params["params"][network.name]}
    forward = counted(network.apply, own, obs)
    gradient = counted(
        lambda p, x, d: _pull(network, p, x, d), own, obs, _outputs(network, own, obs)
    )
    return NetworkFlops(forward, 0, gradient - forward)


def _pull(network: nn.Module, params: Any, obs: Any, cotangent: Any) -> Any:
    return jax.vjp(lambda p: network.apply(p, obs), params)[1](cotangent)


def _outputs(network: nn.Module, params: Any, obs: Any) -> Any:
    return jax.eval_shape(network.apply, params, obs)


def forward_flops(sizes: tuple[int, ...]) -> int:
    """Return the operations per row of a network with these layer sizes, inputs to outputs."""
    return sum(2 * a * b + b for a, b in pairwise(sizes)) + sum(sizes[1:-1])


def backward_flops(sizes: tuple[int, ...], activation: str) -> int:
    """Return the operations per row of a network's gradient, given that of its outputs."""
    if takes_one_product(sizes, activation):
        num_inputs, width, num_outputs = sizes
        products = num_outputs * (num_inputs + 1)
        return 2 * products * width + products + width + num_outputs
    kernels = sum(2 * a * b + b for a, b in pairwise(sizes))
    return kernels + sum(2 * a * b + 2 * a for a, b in pairwise(sizes[1:]))


def counted(function: Callable[..., Any], *args: Any) -> float:
    """Return XLA's count of operations per row of a function of ROWS rows without loops."""
    analysis: Any = jax.jit(function).lower(*args).cost_analysis()
    return (analysis.get("flops", 0.0) + analysis.get("transcendentals", 0.0)) / ROWS
