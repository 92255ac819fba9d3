"""A small network with one hidden layer of ReLUs, whose gradient is one product over the rows."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

# With more products per hidden unit than this, `relu_mlp` is slower than the plain gradient.
MOST_PRODUCTS = 32


class ReluMLPParams(NamedTuple):
    """Kernel [K, H] and bias [H] of the hidden layer, kernel [H, O] and bias [O] of the output."""

    hidden_kernel: Array
    hidden_bias: Array
    out_kernel: Array
    out_bias: Array


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def relu_mlp(precision: str, sums: bool, layers: ReluMLPParams, x: Array) -> Array:
    """Return relu(x W + b) V + c, [R, O], for x [R, K].

    With m the hidden units that are on (0 or 1, [R, H]), d the cotangent of the result [R, O] and
    x' = [x, 1], W' = [W; b], both kernels' gradients follow from one product over the rows,

        M[o, k, h] = sum_r d[r, o] x'[r, k] m[r, h]
        dW'[k, h] = sum_o M[o, k, h] V[h, o]        dV[h, o] = sum_k M[o, k, h] W'[k, h]

    so that activations are read once on the way back. That pays where O (K + 1) is small.

    Args:
        precision: of the products.
        sums: write products with the rows as sums of float32 products, which fuse with what makes
            their factors, so that nothing of [R, H] reaches memory.
        layers: parameters.
        x: [R, K].
    """
    return _forward(precision, sums, layers, x)[0]


def _hidden(layers: ReluMLPParams, x: Array) -> Array:
    # A sum of few products fuses with the bias and the ReLU, where a dot would write its result.
    z = layers.hidden_bias[None]
    for k in range(x.shape[1]):
        z = z + x[:, k : k + 1] * layers.hidden_kernel[k : k + 1]
    return jax.nn.relu(z)


def _forward(
    precision: str, sums: bool, layers: ReluMLPParams, x: Array
) -> tuple[Array, tuple[ReluMLPParams, Array, Array]]:
    hidden = _hidden(layers, x)
    if sums:
        kernels = (layers.out_kernel[:, o] for o in range(layers.out_kernel.shape[1]))
        columns = [jnp.sum(hidden * kernel[None], axis=1) for kernel in kernels]
        out = jnp.stack(columns, axis=1)
    else:
        out = jnp.matmul(hidden, layers.out_kernel, precision=precision)
    return out + layers.out_bias[None], (layers, x, hidden)


def _backward(
    precision: str, sums: bool, residuals: tuple[ReluMLPParams, Array, Array], d: Array
) -> tuple[ReluMLPParams, Array]:
    layers, x, hidden = residuals
    product = functools.partial(jnp.matmul, precision=precision)
    sum_of_products = functools.partial(jnp.einsum, precision=precision)
    is_on = jnp.where(hidden > 0, 1.0, 0.0)
    if sums:
        # The compiler stores which units are on, since all columns need it: a bit is enough.
        is_on = _from_bits(_to_bits(hidden > 0), hidden.shape[1])
        columns = [*(x[:, k] for k in range(x.shape[1])), jnp.ones(x.shape[0])]
        d_x1 = jnp.stack([d[:, o] * c for o in range(d.shape[1]) for c in columns])
        M = jnp.sum(d_x1[:, :, None] * is_on[None], axis=1).reshape(d.shape[1], len(columns), -1)
    else:
        x1 = jnp.concatenate([x.T, jnp.ones((1, x.shape[0]))])
        d_x1 = d.T[:, None] * x1[None]
        M = product(d_x1.reshape(-1, x.shape[0]), is_on).reshape(*d_x1.shape[:2], -1)
    kernel1 = jnp.concatenate([layers.hidden_kernel, layers.hidden_bias[None]])
    d_kernel1 = sum_of_products("okh,ho->kh", M, layers.out_kernel)
    d_out_kernel = sum_of_products("okh,kh->ho", M, kernel1)
    d_layers = ReluMLPParams(d_kernel1[:-1], d_kernel1[-1], d_out_kernel, jnp.sum(d, axis=0))
    return d_layers, product(is_on * product(d, layers.out_kernel.T), layers.hidden_kernel.T)


def _to_bits(mask: Array) -> Array:
    """Return mask [R, H] as words [R, H / 32], uint32."""
    shifts = jnp.arange(32, dtype=jnp.uint32)
    words = []
    for first in range(0, mask.shape[1], 32):
        part = mask[:, first : first + 32].astype(jnp.uint32)
        words.append(jnp.sum(part << shifts[None, : part.shape[1]], axis=1, dtype=jnp.uint32))
    return jnp.stack(words, axis=1)


def _from_bits(words: Array, width: int) -> Array:
    """Return the bits of words [R, width / 32] as 0 or 1, [R, width], float32."""
    bits = words[:, :, None] >> jnp.arange(32, dtype=jnp.uint32)[None, None] & 1
    return bits.reshape(words.shape[0], -1)[:, :width].astype(jnp.float32)


relu_mlp.defvjp(_forward, _backward)


def takes_one_product(sizes: tuple[int, ...], activation: str) -> bool:
    """Return whether a network with these layer sizes, inputs to outputs, is a `relu_mlp`."""
    num_products = (sizes[0] + 1) * sizes[-1]
    return len(sizes) == 3 and activation == "relu" and num_products <= MOST_PRODUCTS
