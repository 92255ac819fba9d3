"""The built-in networks: a multilayer perceptron, and one behind a convolution."""

import functools
import math
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from purejaxrl_reinforce.algorithm.networks.relu_mlp import (
    ReluMLPParams,
    relu_mlp,
    takes_one_product,
)

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": nn.relu,
    "tanh": jnp.tanh,
    "gelu": nn.gelu,
    "silu": nn.silu,
    "elu": nn.elu,
}

# The convolution of a CNN: filters, and the height and width of each.
NUM_FILTERS = 16
FILTER_SIZE = 3

# Added to the variance in layer normalization.
NORM_EPSILON = 1e-6

_HIDDEN_GAIN = math.sqrt(2)


class DenseParams(nn.Module):
    """Kernel [num_inputs, width] and bias [width], zero: as Keras has them.

    The kernel is Glorot-uniform or, with a `gain`, orthogonal times the gain.
    """

    width: int
    gain: float | None = None

    @nn.compact
    def __call__(self, num_inputs: int) -> tuple[Array, Array]:
        initial = nn.initializers
        kernel_init = (
            initial.glorot_uniform() if self.gain is None else initial.orthogonal(self.gain)
        )
        return (
            self.param("kernel", kernel_init, (num_inputs, self.width)),
            self.param("bias", initial.zeros, (self.width,)),
        )


class MLP(nn.Module):
    """Dense layers with an activation between them.

    Maps observations [N, ...] to [N, num_outputs]. Real-valued observations are flattened; with
    `num_obs`, observations are integers below it and become one-hot vectors. With `relative`, the
    outputs are those but the last, less the last: [N, num_outputs - 1]. `precision` is that of the
    products; with `sums`, a small network writes them as sums. With `layer_norm`, each hidden layer
    is normalized before its activation. With `out_gain`, kernels are orthogonal: with this gain
    at the output, with sqrt(2) elsewhere.
    """

    hidden_sizes: tuple[int, ...]
    activation: str
    num_outputs: int
    precision: str = "float32"
    sums: bool = False
    num_obs: int | None = None
    relative: bool = False
    layer_norm: bool = False
    out_gain: float | None = None

    @nn.compact
    def __call__(self, obs: Array) -> Array:
        x = self.inputs(obs)
        hidden = []
        for i, width in enumerate(self.hidden_sizes):
            num_inputs = self.hidden_sizes[i - 1] if i else x.shape[1]
            hidden.append(DenseParams(width, self.hidden_gain, name=f"hidden_{i}")(num_inputs))
        num_inputs = self.hidden_sizes[-1] if hidden else x.shape[1]
        out = DenseParams(self.num_outputs, self.out_gain, name="out")(num_inputs)
        out_kernel, out_bias = map(relative_to_last, out) if self.relative else out
        sizes = (x.shape[1], *self.hidden_sizes, out_bias.shape[0])
        if takes_one_product(sizes, self.activation) and not self.layer_norm:
            layers = ReluMLPParams(*hidden[0], out_kernel, out_bias)
            return relu_mlp(self.precision, self.sums, layers, x)
        for i, (kernel, bias) in enumerate(hidden):
            x = self.product(x, kernel) + bias[None]
            if self.layer_norm:
                x = nn.LayerNorm(NORM_EPSILON, name=f"norm_{i}")(x)
            x = ACTIVATIONS[self.activation](x)
        return self.product(x, out_kernel) + out_bias[None]

    def inputs(self, obs: Array) -> Array:
        """Return what the first layer gets, [N, K], for observations [N, ...]."""
        if self.num_obs is not None:
            return jax.nn.one_hot(obs, self.num_obs)
        return obs.reshape(obs.shape[0], -1).astype(jnp.float32)

    @property
    def hidden_gain(self) -> float | None:
        """Gain of orthogonal hidden layers, None where they are Glorot-uniform."""
        return None if self.out_gain is None else _HIDDEN_GAIN

    @property
    def product(self) -> Callable[[Array, Array], Array]:
        """The matrix product in the network's precision."""
        return functools.partial(jnp.matmul, precision=self.precision)


class CNN(MLP):
    """Filters of 3 x 3 with the activation, and an MLP behind them.

    Observations are [N, H, W, C] or [N, H, W]; borders are not padded. (The network of Young and
    Tian, 2019, "MinAtar".)
    """

    def inputs(self, obs: Array) -> Array:
        """Return the outputs of the filters, [N, (H - 2) (W - 2) NUM_FILTERS]."""
        pictures = obs.astype(jnp.float32).reshape(*obs.shape[:3], -1)
        x = _patches(pictures)
        kernel, bias = DenseParams(NUM_FILTERS, self.hidden_gain, name="conv")(x.shape[-1])
        x = ACTIVATIONS[self.activation](self.product(x, kernel) + bias[None, None, None])
        return x.reshape(x.shape[0], -1)


def _patches(pictures: Array) -> Array:
    """Return the patch of 3 x 3 around each inner point: [N, H, W, C] to [N, H - 2, W - 2, 9 C].

    A product with these is a convolution, and stays a product where agents are mapped; XLA's own
    would become a grouped one, which is slow.
    """
    height, width = (size - FILTER_SIZE + 1 for size in pictures.shape[1:3])
    shifts = [(i, j) for i in range(FILTER_SIZE) for j in range(FILTER_SIZE)]
    return jnp.concatenate([pictures[:, i : i + height, j : j + width] for i, j in shifts], axis=-1)


def relative_to_last(x: Array) -> Array:
    """Return the differences to the last element of the last axis: one element fewer."""
    return x[..., :-1] - x[..., -1:]
