"""The two losses and their gradients, accumulated over blocks of time."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from purejaxrl_reinforce.blocks import fold_blocks
from purejaxrl_reinforce.networks import Networks


class Params(NamedTuple):
    """Parameters, or gradients, of the two networks; `baseline` is None where none is learned."""

    policy: Any
    baseline: Any


class Batch(NamedTuple):
    """What the losses need of a trajectory, [blocks, length, N, ...]."""

    obs: Array
    action: Array
    valid: Array
    advantages: Array
    returns: Array


class PolicyTerms(NamedTuple):
    """The policy's loss and, a part of it, its entropy (nats): means over the valid steps, ()."""

    loss: Array
    entropy: Array


def gradients(
    networks: Networks, params: Params, batch: Batch, entropy_coef: ArrayLike, num_blocks: Array
) -> tuple[Params, PolicyTerms]:
    """Return the gradients of both losses, each with respect to its own network.

        policy:   -mean_valid(log pi(a_t|s_t) A_t) - entropy_coef * mean_valid(entropy)
        baseline:  mean_valid((V(s_t) - G_t)^2)

    Advantages and returns are constants. Only the activations of one block exist at a time.

    Args:
        networks: the modules.
        params: their parameters. A network whose parameters are None has no loss: 0.
        batch: what was played.
        entropy_coef: weight of the entropy.
        num_blocks: the blocks after these hold no valid step and are skipped.
    """
    count = jnp.maximum(jnp.sum(batch.valid), 1)

    def block_loss(params: Params, block: Batch) -> tuple[Array, PolicyTerms]:
        losses = _losses(networks, params, block, entropy_coef)
        policy_loss, baseline_loss, entropy = (loss / count for loss in losses)
        return policy_loss + baseline_loss, PolicyTerms(policy_loss, entropy)

    def add_block(total: tuple[Params, PolicyTerms], block: Batch) -> tuple[Params, PolicyTerms]:
        return jax.tree.map(jnp.add, total, jax.grad(block_loss, has_aux=True)(params, block))

    zeros = jax.tree.map(jnp.zeros_like, params), PolicyTerms(*jnp.zeros(2))
    return fold_blocks(add_block, zeros, batch, num_blocks)


def _losses(
    networks: Networks, params: Params, block: Batch, entropy_coef: ArrayLike
) -> tuple[Array, Array, Array]:
    """Return policy loss, baseline loss and entropy, summed over a block's valid steps."""
    steps = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), block)
    # Whatever stands in an invalid row, even a NaN, must reach neither the loss nor, through a
    # product with 0, its derivative.
    obs, action = jax.tree.map(lambda x: zero_invalid(x, steps.valid), (steps.obs, steps.action))

    def total(x: Array) -> Array:
        return jnp.sum(x, where=steps.valid)

    policy_loss = baseline_loss = entropy = jnp.float32(0)
    if params.policy is not None:
        distribution = networks.distribution(params.policy, obs)
        entropy = total(distribution.entropy())
        log_prob = distribution.log_prob(action)
        policy_loss = -total(log_prob * steps.advantages) - entropy_coef * entropy
    if params.baseline is not None:
        values = networks.values(params.baseline, obs)
        baseline_loss = total((values - steps.returns) ** 2)
    return policy_loss, baseline_loss, entropy


def zero_invalid(x: Array, valid: Array) -> Array:
    """Return `x` [..., *shape] with zeros where `valid` [...] is false."""
    return jnp.where(valid.reshape(valid.shape + (1,) * (x.ndim - valid.ndim)), x, 0)
