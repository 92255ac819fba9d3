"""The built-in networks: a multilayer perceptron, and one behind a convolution."""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

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

# With more products per hidden unit than this, `relu_mlp` is slower than the plain gradient.
MOST_PRODUCTS = 32

_HIDDEN_GAIN = math.sqrt(2)


class DenseParams(nn.Module):
    """Kernel [num_inputs, width], Glorot-uniform or with this gain orthogonal; bias [width], 0."""

    width: int
    gain: float | None = None

    @nn.compact
    def __call__(self, num_inputs: int) -> tuple[Array, Array]:
        make, gain = nn.initializers, self.gain
        kernel_init = make.glorot_uniform() if gain is None else make.orthogonal(gain)
        kernel = self.param("kernel", kernel_init, (num_inputs, self.width))
        return kernel, self.param("bias", make.zeros, (self.width,))


class MLP(nn.Module):
    """Dense layers with an activation between them: [N, ...] to [N, num_outputs].

    Real-valued observations are flattened; with `num_obs`, they are integers below it and become
    one-hot vectors. With `relative`, the outputs are those but the last, less the last. `precision`
    is that of the products. With `layer_norm`, each hidden layer is normalized before its
    activation. With `out_gain`, kernels are orthogonal: with this gain at the output, with sqrt(2)
    elsewhere.
    """

    hidden_sizes: tuple[int, ...]
    activation: str
    num_outputs: int
    precision: str = "float32"
    num_obs: int | None = None
    relative: bool = False
    layer_norm: bool = False
    out_gain: float | None = None

    @nn.compact
    def __call__(self, obs: Array) -> Array:
        x = self.inputs(obs)
        sizes = (x.shape[1], *self.hidden_sizes)
        hidden = [
            self.dense(width, sizes[i], name=f"hidden_{i}")
            for i, width in enumerate(self.hidden_sizes)
        ]
        out = DenseParams(self.num_outputs, self.out_gain, name="out")(sizes[-1])
        out_kernel, out_bias = map(relative_to_last, out) if self.relative else out
        is_small = takes_one_product((*sizes, out_bias.shape[0]), self.activation)
        if is_small and not self.layer_norm:
            return relu_mlp(self.precision, ReluMLPParams(*hidden[0], out_kernel, out_bias), x)
        for i, (kernel, bias) in enumerate(hidden):
            x = self.product(x, kernel) + bias[None]
            if self.layer_norm:
                x = nn.LayerNorm(NORM_EPSILON, name=f"norm_{i}")(x)
            x = ACTIVATIONS[self.activation](x)
        return self.product(x, out_kernel) + out_bias[None]

    def inputs(self, obs: Array) -> Array:
        """Return the inputs of the first layer, [N, K], for observations [N, ...]."""
        if self.num_obs is not None:
            return jax.nn.one_hot(obs, self.num_obs)
        return obs.reshape(obs.shape[0], -1).astype(jnp.float32)

    def dense(self, width: int, num_inputs: int, name: str) -> tuple[Array, Array]:
        """Return the kernel and the bias of a layer that is not the output."""
        return DenseParams(width, self.out_gain and _HIDDEN_GAIN, name=name)(num_inputs)

    def product(self, x: Array, kernel: Array) -> Array:
        """Return the product of matrices in the network's precision."""
        return jnp.matmul(x, kernel, precision=self.precision)


class CNN(MLP):
    """Filters of 3 x 3 with the activation, and an MLP behind them.

    Observations are [N, H, W, C] or [N, H, W]; borders are not padded. (The network of Young and
    Tian, 2019, "MinAtar".)
    """

    def inputs(self, obs: Array) -> Array:
        """Return the outputs of the filters, [N, (H - 2) (W - 2) NUM_FILTERS]."""
        pictures = obs.astype(jnp.float32).reshape(*obs.shape[:3], -1)
        x = _patches(pictures)
        kernel, bias = self.dense(NUM_FILTERS, x.shape[-1], name="conv")
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


class ReluMLPParams(NamedTuple):
    """Kernel [K, H] and bias [H] of the hidden layer, kernel [H, O] and bias [O] of the output."""

    hidden_kernel: Array
    hidden_bias: Array
    out_kernel: Array
    out_bias: Array


def takes_one_product(sizes: tuple[int, ...], activation: str) -> bool:
    """Return whether a network with these layer sizes, inputs to outputs, is a `relu_mlp`."""
    num_products = (sizes[0] + 1) * sizes[-1]
    return len(sizes) == 3 and activation == "relu" and num_products <= MOST_PRODUCTS


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def relu_mlp(precision: str, layers: ReluMLPParams, x: Array) -> Array:
    """Return relu(x W + b) V + c, [R, O], for x [R, K].

    With m the hidden units that are on (0 or 1, [R, H]), d the cotangent of the result [R, O] and
    x' = [x, 1], W' = [W; b], both kernels' gradients follow from one product over the rows,

        M[o, k, h] = sum_r d[r, o] x'[r, k] m[r, h]
        dW'[k, h] = sum_o M[o, k, h] V[h, o]        dV[h, o] = sum_k M[o, k, h] W'[k, h]

    so that activations are read once on the way back. That pays where O (K + 1) is small.
    `precision` is that of the products.
    """
    return _forward(precision, layers, x)[0]


def _forward(
    precision: str, layers: ReluMLPParams, x: Array
) -> tuple[Array, tuple[ReluMLPParams, Array, Array]]:
    # A sum of few products fuses with the bias and the ReLU, where a dot would write its result.
    z = layers.hidden_bias[None]
    for k in range(x.shape[1]):
        z = z + x[:, k : k + 1] * layers.hidden_kernel[k : k + 1]
    hidden = jax.nn.relu(z)
    out = jnp.matmul(hidden, layers.out_kernel, precision=precision)
    return out + layers.out_bias[None], (layers, x, hidden)


def _backward(
    precision: str, residuals: tuple[ReluMLPParams, Array, Array], d: Array
) -> tuple[ReluMLPParams, Array]:
    layers, x, hidden = residuals
    product = functools.partial(jnp.matmul, precision=precision)
    sum_of_products = functools.partial(jnp.einsum, precision=precision)
    is_on = jnp.where(hidden > 0, 1.0, 0.0)
    x1 = jnp.concatenate([x.T, jnp.ones((1, x.shape[0]))])
    d_x1 = d.T[:, None] * x1[None]
    M = product(d_x1.reshape(-1, x.shape[0]), is_on).reshape(*d_x1.shape[:2], -1)
    kernel1 = jnp.concatenate([layers.hidden_kernel, layers.hidden_bias[None]])
    d_kernel1 = sum_of_products("okh,ho->kh", M, layers.out_kernel)
    d_out_kernel = sum_of_products("okh,kh->ho", M, kernel1)
    d_layers = ReluMLPParams(d_kernel1[:-1], d_kernel1[-1], d_out_kernel, jnp.sum(d, axis=0))
    return d_layers, product(is_on * product(d, layers.out_kernel.T), layers.hidden_kernel.T)


relu_mlp.defvjp(_forward, _backward)
