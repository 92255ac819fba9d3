"""The policy and the baseline network: two separate multilayer perceptrons."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from purejaxrl_reinforce.algorithm import environment
from purejaxrl_reinforce.algorithm.batching import tuning
from purejaxrl_reinforce.algorithm.distributions import (
    Categorical,
    DiagonalGaussian,
    Distribution,
    uniform_of,
)
from purejaxrl_reinforce.config import Config


class Params(NamedTuple):
    """Parameters, or gradients, of the two networks; `baseline` is None where none is learned."""

    policy: Any
    baseline: Any


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

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": nn.relu,
    "tanh": jnp.tanh,
    "gelu": nn.gelu,
    "silu": nn.silu,
    "elu": nn.elu,
}

# With more products per hidden unit than this, `relu_mlp` is slower than the plain gradient.
MOST_PRODUCTS = 32


class DenseParams(nn.Module):
    """Kernel [num_inputs, width], Glorot-uniform, and bias [width], zero: as Keras has them."""

    width: int

    @nn.compact
    def __call__(self, num_inputs: int) -> tuple[Array, Array]:
        kernel_init = nn.initializers.glorot_uniform()
        return (
            self.param("kernel", kernel_init, (num_inputs, self.width)),
            self.param("bias", nn.initializers.zeros, (self.width,)),
        )


class MLP(nn.Module):
    """Dense layers with an activation between them.

    Maps observations [N, ...] to [N, num_outputs]. Real-valued observations are flattened; with
    `num_obs`, observations are integers below it and become one-hot vectors. With `relative`, the
    outputs are those but the last, less the last: [N, num_outputs - 1]. `precision` is that of the
    products; with `sums`, a small network writes them as sums.
    """

    hidden_sizes: tuple[int, ...]
    activation: str
    num_outputs: int
    precision: str = "float32"
    sums: bool = False
    num_obs: int | None = None
    relative: bool = False

    @nn.compact
    def __call__(self, obs: Array) -> Array:
        x = self.inputs(obs)
        widths = (x.shape[1], *self.hidden_sizes)
        *hidden, (out_kernel, out_bias) = (
            DenseParams(width, name=name)(num_inputs)
            for name, num_inputs, width in zip(
                [*(f"hidden_{i}" for i in range(len(self.hidden_sizes))), "out"],
                widths,
                (*self.hidden_sizes, self.num_outputs),
                strict=True,
            )
        )
        if self.relative:
            out_kernel, out_bias = relative_to_last(out_kernel), relative_to_last(out_bias)
        if takes_one_product((x.shape[1], *self.hidden_sizes, out_bias.shape[0]), self.activation):
            layers = ReluMLPParams(*hidden[0], out_kernel, out_bias)
            return relu_mlp(self.precision, self.sums, layers, x)
        product = functools.partial(jnp.matmul, precision=self.precision)
        for kernel, bias in hidden:
            x = ACTIVATIONS[self.activation](product(x, kernel) + bias[None])
        return product(x, out_kernel) + out_bias[None]

    def inputs(self, obs: Array) -> Array:
        """Return what the first layer gets, [N, K], for observations [N, ...]."""
        if self.num_obs is not None:
            return jax.nn.one_hot(obs, self.num_obs)
        return obs.reshape(obs.shape[0], -1).astype(jnp.float32)


def takes_one_product(sizes: tuple[int, ...], activation: str) -> bool:
    """Return whether a network with these layer sizes, inputs to outputs, is a `relu_mlp`."""
    num_products = (sizes[0] + 1) * sizes[-1]
    return len(sizes) == 3 and activation == "relu" and num_products <= MOST_PRODUCTS


def relative_to_last(x: Array) -> Array:
    """Return the differences to the last element of the last axis: one element fewer."""
    return x[..., :-1] - x[..., -1:]


def categorical(relative_logits: Array) -> Categorical:
    """Return the distribution over A actions, from all logits but the last, less that, [N, A-1]."""
    # Equal changes of all logits change nothing, so the last one may be taken as 0.
    last = jnp.zeros_like(relative_logits[:, :1])
    return Categorical(jnp.concatenate([relative_logits, last], axis=1))


class SoftmaxPolicy(nn.Module):
    """pi(a|s) over discrete actions: observations [N, ...] to a Categorical over `A` actions."""

    mlp: MLP

    @nn.compact
    def __call__(self, obs: Array) -> Distribution:
        return categorical(self.mlp(obs))

    def noise(self, key: Array) -> Array:
        """Draw what one action is sampled from: uniform on [0, 1), ()."""
        return uniform_of(key)


class GaussianPolicy(nn.Module):
    """pi(a|s) over continuous actions: observations [N, ...] to a DiagonalGaussian, [N, D].

    The standard deviation is one learned vector, independent of the observation, and starts at 1.
    """

    mlp: MLP

    @nn.compact
    def __call__(self, obs: Array) -> Distribution:
        log_std = self.param("log_std", nn.initializers.zeros, (self.mlp.num_outputs,))
        return DiagonalGaussian(self.mlp(obs), log_std)

    def noise(self, key: Array) -> Array:
        """Draw what one action is sampled from: standard normal, [D]."""
        return jax.random.normal(key, (self.mlp.num_outputs,))


class BaselineNetwork(nn.Module):
    """V(s), the learned estimate of the return: observations [N, ...] to values [N]."""

    mlp: MLP

    @nn.compact
    def __call__(self, obs: Array) -> Array:
        return self.mlp(obs)[:, 0]


class PolicyParts(NamedTuple):
    """A policy with one hidden layer of ReLUs in its parts, for who puts them together anew.

    Attributes:
        layers: of its network.
        inputs: gives the network's inputs [N, K] from observations [N, ...].
        distribution: gives pi(.|s) from the network's outputs [N, O]; may close over parameters.
    """

    layers: ReluMLPParams
    inputs: Callable[[Array], Array]
    distribution: Callable[[Array], Distribution]


class Networks(NamedTuple):
    """The modules of one configuration."""

    policy: SoftmaxPolicy | GaussianPolicy
    baseline: BaselineNetwork

    def distribution(self, policy_params: Any, obs: Array) -> Distribution:
        """Return pi(.|s) for observations [N, ...]."""
        return cast(Distribution, self.policy.apply(policy_params, obs))

    def policy_parts(self, policy_params: Any) -> PolicyParts:
        """Return the parts of a policy with one hidden layer of ReLUs."""
        params, mlp = policy_params["params"], self.policy.mlp
        hidden, out = params["mlp"]["hidden_0"], params["mlp"]["out"]
        layers = ReluMLPParams(hidden["kernel"], hidden["bias"], out["kernel"], out["bias"])
        if not mlp.relative:
            gaussian = functools.partial(DiagonalGaussian, log_std=params["log_std"])
            return PolicyParts(layers, mlp.inputs, gaussian)
        relative = ReluMLPParams(*layers[:2], *map(relative_to_last, layers[2:]))
        return PolicyParts(relative, mlp.inputs, categorical)

    def values(self, baseline_params: Any, obs: Array) -> Array:
        """Return V(s), [N], for observations [N, ...]."""
        return cast(Array, self.baseline.apply(baseline_params, obs))


def make_networks(config: Config) -> Networks:
    """Return the policy that fits the environment's actions, and the baseline network."""
    env = environment.make(config.env)

    def mlp(num_outputs: int, relative: bool = False) -> MLP:
        return MLP(
            config.hidden_sizes,
            config.activation,
            num_outputs,
            config.precision,
            tuning(config).sums,
            env.num_obs,
            relative,
        )

    if env.num_actions is None:
        return Networks(GaussianPolicy(mlp(env.action_shape[0])), BaselineNetwork(mlp(1)))
    return Networks(SoftmaxPolicy(mlp(env.num_actions, relative=True)), BaselineNetwork(mlp(1)))
