"""Both losses' gradients in one launch: a Pallas kernel for NVIDIA GPUs.

Each program takes a few lanes for some time steps and keeps hidden units in registers. It leaves
its part of the sums over rows that `relu_mlp` describes, of all networks in one array; XLA adds the
parts in a fixed order, so that the same rows give the same bits.
"""

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.experimental import pallas as pl

from purejaxrl_reinforce.algorithm.losses import PolicyTerms, Targets
from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.algorithm.networks.mlp import ReluMLPParams
from purejaxrl_reinforce.algorithm.rollout import Trajectory
from purejaxrl_reinforce.algorithm.setup import Setup
from purejaxrl_reinforce.kernels import lane_blocks as blocks
from purejaxrl_reinforce.kernels.lane_blocks import LaneBlock
from purejaxrl_reinforce.kernels.lane_vectors import Elements, trace

# Time steps of a program, unless there would be more programs than these: then they take more.
_FEWEST_STEPS = 32
_MOST_PROGRAMS = 4096


class _NetworkLoss(NamedTuple):
    """What a network loses in one step of a lane.

    Attributes:
        layers: of the network.
        others: parameters behind its outputs.
        inputs: gives its inputs [1, K] from an observation [1, ...].
        terms: gives, from its outputs [1, O], `others`, actions [1, ...] and targets [1], what is
            summed over the valid steps: gradients with respect to outputs and `others`, and further
            terms.
        to_params: gives the gradients of the parameters from those of (layers, others).
    """

    layers: ReluMLPParams
    others: tuple[Array, ...]
    inputs: Callable[[Array], Array]
    terms: Callable[[Array, tuple[Array, ...], Array, Targets], Any]
    to_params: Callable[[Any], tuple[Any]]

    @property
    def num_products(self) -> int:
        """Rows [H] of M of `relu_mlp`: O (K + 1)."""
        return self.layers.out_bias.size * (self.layers.hidden_kernel.shape[0] + 1)


def gradients(
    setup: Setup, params: Params, trajectory: Trajectory, targets: Targets, num_steps: Array
) -> tuple[Params, PolicyTerms]:
    """Compute the same as `losses.gradients`; valid steps of a lane precede invalid ones."""
    losses: dict[str, _NetworkLoss] = {}
    if params.policy is not None:
        losses["policy"] = _policy_loss(setup, params.policy)
    if params.baseline is not None:
        losses["baseline"] = _baseline_loss(setup, params.baseline)
    data = ((trajectory.action, targets), trajectory.obs, trajectory.valid)
    sums = _in_one_launch(setup, list(losses.values()), data)
    terms = dict(zip(losses, setup.axis.sum(sums), strict=True))
    grads, count = Params(None, None), jnp.maximum(num_steps, 1)
    for name, (d_parts, _) in terms.items():
        (grad,) = losses[name].to_params(d_parts)
        grads = grads._replace(**{name: jax.tree.map(lambda x: x / count, grad)})
    gains, entropy = terms["policy"][1] if "policy" in terms else jnp.zeros(2)
    entropy = entropy / count
    return grads, PolicyTerms(-gains / count - setup.config.entropy_coef * entropy, entropy)


def _policy_loss(setup: Setup, params: Any) -> _NetworkLoss:
    policy = setup.networks.policy

    def loss(
        outputs: Array, others: tuple[Array, ...], action: Array, targets: Targets
    ) -> tuple[Array, tuple[Array, Array]]:
        distribution = policy.distribution(outputs, *others)
        gain = distribution.log_prob(action)[0] * targets.advantages[0]
        entropy = distribution.entropy()[0]
        return -gain - setup.config.entropy_coef * entropy, (gain, entropy)

    terms = jax.grad(loss, argnums=(0, 1), has_aux=True)
    (layers, others), to_params = jax.vjp(functools.partial(blocks.policy_parts, setup), params)
    return _NetworkLoss(layers, others, policy.network.inputs, terms, to_params)


def _baseline_loss(setup: Setup, params: Any) -> _NetworkLoss:
    def terms(values: Array, others: Any, _: Array, targets: Targets) -> Any:
        return (2 * (values - targets.returns[:, None]), others), ()

    (layers, others), to_params = jax.vjp(lambda params: (blocks.layers_of(params), ()), params)
    assert setup.networks.baseline is not None  # why_not_lowered refuses shared ones
    inputs = setup.networks.baseline.network.inputs
    return _NetworkLoss(layers, others, inputs, terms, to_params)


def _in_one_launch(
    setup: Setup, losses: list[_NetworkLoss], data: tuple[tuple[Array, Targets], Array, Array]
) -> list[tuple[Any, Any]]:
    """Return of each network the sums over the valid steps: gradients, and further terms."""
    rows, obs, valid = data
    num_steps, num_lanes = valid.shape
    row = jax.tree.map(lambda x: x[0, :1], rows)
    functions = [
        (trace(x.inputs, obs[0, :1]), trace(x.terms, x.layers.out_bias[None], x.others, *row))
        for x in losses
    ]
    pairs = list(zip(losses, functions, strict=True))
    num_blocks = pl.cdiv(num_lanes, blocks.LANES)
    span = max(_FEWEST_STEPS, pl.cdiv(num_steps, max(1, _MOST_PROGRAMS // num_blocks)))
    grid = (num_blocks, pl.cdiv(num_steps, span))
    shared = [
        (blocks.padded(loss.layers), loss.others, [blocks.traced(f.consts) for f in fs])
        for loss, fs in pairs
    ]
    num_products = sum(loss.num_products for loss in losses)
    num_terms = sum(x.size for _, terms in functions for x in jax.tree.leaves(terms.shapes))
    shapes = (num_products, shared[0][0].hidden_bias.size), (num_terms,)
    call = blocks.launch(
        setup,
        lambda *refs: _add_up(functions, span, blocks.this_block(num_lanes), *refs),
        grid=grid,
        name="gradients",
        in_specs=[blocks.by_lanes(data, 1), jax.tree.map(blocks.whole, shared)],
        out_specs=[
            pl.BlockSpec((None, None, *x), lambda i, j, x=x: (i, j, *[0] * len(x))) for x in shapes
        ],
        out_shape=[jax.ShapeDtypeStruct((*grid, *x), jnp.float32) for x in shapes],
    )
    products, terms = (iter(jnp.sum(parts, axis=(0, 1))) for parts in call(data, shared))
    return [_finish(loss, of.shapes, products, terms) for loss, (_, of) in pairs]


def _finish(
    loss: _NetworkLoss, shapes: Any, products: Iterator[Array], numbers: Iterator[Array]
) -> tuple[Any, Any]:
    """Return gradients from the next of the products [H] and numbers, sums over all programs."""
    layers = loss.layers
    num_inputs, width = layers.hidden_kernel.shape
    M = jnp.stack(list(itertools.islice(products, loss.num_products)))[:, :width]
    M = M.reshape(-1, num_inputs + 1, width)
    kernel = jnp.concatenate([layers.hidden_kernel, layers.hidden_bias[None]])
    d_kernel = jnp.sum(M * layers.out_kernel.T[:, None], axis=0)
    d_out_kernel = jnp.sum(M * kernel[None], axis=1).T
    (d_out, d_others), further = jax.tree.map(
        lambda x: jnp.stack(list(itertools.islice(numbers, x.size))).reshape(x.shape),
        shapes,
    )
    d_layers = ReluMLPParams(d_kernel[:-1], d_kernel[-1], d_out_kernel, d_out[0])
    return (d_layers, d_others), further


def _add_up(functions: Any, span: int, block: LaneBlock, *refs: Any) -> None:
    """Add up the rows of one program; `refs` are references to memory."""
    data, shared, product_refs, term_refs = refs
    valid_ref = data[2]
    num_steps = valid_ref.shape[0]
    first = pl.program_id(1) * span
    end = jnp.minimum(first + span, num_steps)

    def row_of(t: Array) -> list[tuple[list[Array], list[Array]]]:
        """Return of each network the products [H] and terms [L] of time step t."""
        rows, obs, (valid,) = jax.tree.map(lambda ref: block.load(ref, t), data)
        # What stands in an invalid row, even a NaN, must not get into a product.
        rows, obs = jax.tree.map(lambda x: jnp.where(valid, x, jnp.zeros_like(x)), (rows, obs))
        pairs = zip(functions, shared, strict=True)
        return [_network_row(block, *pair, (rows, obs, valid)) for pair in pairs]

    def played(carry: Any) -> Array:
        t, _ = carry
        (valid,) = block.load(valid_ref, jnp.minimum(t, num_steps - 1))
        return (t < end) & blocks.some(valid)

    def add_row(carry: Any) -> Any:
        t, sums = carry
        return t + 1, jax.tree.map(jnp.add, sums, row_of(t))

    shapes = jax.eval_shape(row_of, first)
    start = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    _, sums = lax.while_loop(played, add_row, (first, start))
    for i, row in enumerate(row for products, _ in sums for row in products):
        product_refs[jnp.int32(i), :] = row
    for i, lanes in enumerate(x for _, terms in sums for x in terms):
        term_refs[jnp.int32(i)] = jnp.sum(lanes)


def _network_row(
    block: LaneBlock, functions: Any, shared: Any, row: tuple[Any, Elements, Array]
) -> tuple[list[Array], list[Array]]:
    """Return the products [H] and terms [L] of a network in one time step."""
    (layers, others, consts), (rows, obs, valid) = shared, row
    inputs_of, terms_of = map(blocks.bound, functions, consts)
    others = jax.tree.map(lambda ref: [ref[jnp.int32(i)] for i in range(ref.size)], others)
    inputs = block.vectors(inputs_of(obs))
    hidden = blocks.hidden_units(layers, inputs)
    terms = terms_of(blocks.outputs(layers, hidden), others, *rows)
    masked = jax.tree.map(lambda x: jnp.where(valid, x, 0.0), block.vectors(terms))
    (d_outputs, _), _ = masked
    products = [
        jnp.sum(jnp.where(hidden > 0, (d * x)[:, None], 0.0), axis=0)
        for d in d_outputs
        for x in [*inputs, jnp.ones(blocks.LANES)]
    ]
    return products, jax.tree.leaves(masked)
