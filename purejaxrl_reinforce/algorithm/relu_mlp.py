"""One hidden layer of ReLU units whose gradient takes one large matrix product, not three."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array


class Layers(NamedTuple):
    """Kernel [K, H] and bias [H] of the hidden layer, kernel [H, O] and bias [O] of the output."""

    hidden_kernel: Array
    hidden_bias: Array
    out_kernel: Array
    out_bias: Array


@jax.custom_vjp
def relu_mlp(layers: Layers, x: Array) -> Array:
    """Return relu(x W + b) V + c, [R, O], for x [R, K].

    With m the hidden units that are on (0 or 1, [R, H]), d the cotangent of the result [R, O] and
    x' = [x, 1], W' = [W; b], both kernels' gradients follow from one product over the rows,

        M[o, k, h] = sum_r d[r, o] x'[r, k] m[r, h]
        dW'[k, h] = sum_o M[o, k, h] V[h, o]        dV[h, o] = sum_k M[o, k, h] W'[k, h]

    so that activations are read once on the way back. That pays where O (K + 1) is small.
    """
    return _forward(layers, x)[0]


def _hidden(layers: Layers, x: Array) -> Array:
    # A sum of few products fuses with the bias and the ReLU, where a dot would write its result.
    z = layers.hidden_bias[None]
    for k in range(x.shape[1]):
        z = z + x[:, k : k + 1] * layers.hidden_kernel[k : k + 1]
    return jax.nn.relu(z)


def _forward(layers: Layers, x: Array) -> tuple[Array, tuple[Layers, Array, Array]]:
    hidden = _hidden(layers, x)
    return hidden @ layers.out_kernel + layers.out_bias[None], (layers, x, hidden)


def _backward(residuals: tuple[Layers, Array, Array], d: Array) -> tuple[Layers, Array]:
    layers, x, hidden = residuals
    is_on = jnp.where(hidden > 0, 1.0, 0.0)
    x1 = jnp.concatenate([x.T, jnp.ones((1, x.shape[0]))])
    d_x1 = d.T[:, None] * x1[None]
    M = (d_x1.reshape(-1, x.shape[0]) @ is_on).reshape(*d_x1.shape[:2], -1)
    kernel1 = jnp.concatenate([layers.hidden_kernel, layers.hidden_bias[None]])
    d_kernel1 = jnp.einsum("okh,ho->kh", M, layers.out_kernel)
    d_out_kernel = jnp.einsum("okh,kh->ho", M, kernel1)
    d_layers = Layers(d_kernel1[:-1], d_kernel1[-1], d_out_kernel, jnp.sum(d, axis=0))
    return d_layers, (is_on * (d @ layers.out_kernel.T)) @ layers.hidden_kernel.T


relu_mlp.defvjp(_forward, _backward)
