"""Operation counts of training: the least floating-point operations and bytes, by phase.

XLA's own count of a program takes the body of a loop once, whatever its length. So dense layers are
counted by formula. One from `a` to `b` units takes, per row,

    forward:   2ab (product) + b (bias), and b for its activation if it is hidden
    backward:  2ab (kernel's gradient) + b (bias's gradient), and, above a hidden layer,
               2ab (gradient of its input) + 2a (activation's derivative, times)

and the backward pass of a `relu_mlp` with K inputs, H hidden units and O outputs

    2 O (K + 1) H (product) + O (K + 1) (its factor) + H (which units are on) + O (bias)

Nothing else counts: neither sampling, random bits, masking, convolutions, nor other layers of a
user's own network. The figures are a floor. The environment's step has XLA's count, and counts only
where the environment is played alone.
"""

from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict

from purejaxrl_reinforce.algorithm.networks.mlp import takes_one_product
from purejaxrl_reinforce.algorithm.reinforce import state_shapes, trajectory_shapes
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.environments import environment

_FLOAT_BYTES = 4
# Per parameter, Adam: moments 3 + 4, their bias 2, root, epsilon, division, rate, addition;
# and the norm that clipping looks at, 2.
_OPTIMIZER_FLOPS = 16
# Per parameter: gradient read; parameter and both moments read and written.
_OPTIMIZER_FLOATS = 7


class Cost(NamedTuple):
    """Floating-point operations and bytes from or to main memory."""

    flops: float
    bytes: float


def phase_costs(config: Config) -> dict[str, Cost]:
    """Return the least cost of `rollout`, `targets`, `gradient` and `further` per valid step.

    `further` are the further gradients of the baseline, with `baseline_steps` above 1; the
    optimizer's steps for them do not count. `optimizer` is per update. Bytes are those of the
    recorded trajectory, returns, values and advantages, each read or written once by a phase that
    needs it: what happens within a block of time is taken to stay in the cache. Whether a
    trajectory that is small enough stays there as well is not considered.
    """
    policy, baseline = (layer_sizes(config, name) for name in ("policy", "baseline"))
    forward, values = forward_flops(policy), forward_flops(baseline)
    backward, fitting = (backward_flops(x, config.activation) for x in (policy, baseline))
    # The values are known from the targets, so that the output layer is not computed again.
    known = forward_flops(baseline[-2:])
    is_stream = config.rollout == "stream"
    bytes_of = _field_bytes(config)
    seen = bytes_of["obs"] + (bytes_of["next_obs"] if is_stream else 0)
    flags = sum(bytes_of[name] for name in ("reward", "terminated", "truncated", "valid"))
    learned = bytes_of["obs"] + bytes_of["action"] + bytes_of["valid"]
    has_values, repeats = config.baseline == "value", config.baseline_steps - 1
    size = sum(x.size for x in jax.tree.leaves(state_shapes(config).params))
    return {
        "rollout": Cost(forward, sum(bytes_of.values())),
        # In whole episodes there is one value to bootstrap from per lane: next to nothing.
        "targets": Cost(
            values * (2 if config.bootstrap and is_stream else 1),
            flags + seen * has_values + 3 * _FLOAT_BYTES,  # returns, values, advantages
        ),
        "gradient": Cost(
            forward + backward + values - known + fitting,
            learned + (3 if has_values else 1) * _FLOAT_BYTES,
        ),
        "further": Cost(
            repeats * (values + fitting),
            repeats * (bytes_of["obs"] + bytes_of["valid"] + _FLOAT_BYTES),  # and returns
        ),
        "optimizer": Cost(_OPTIMIZER_FLOPS * size, _OPTIMIZER_FLOATS * _FLOAT_BYTES * size),
    }


def step_flops(env: environment.Environment) -> float:
    """Return XLA's count of the operations of one step of an environment, without any loops in it.

    It is 0 where XLA has none.
    """
    keys = jax.random.split(jax.random.key(0), 2)
    _, env_state = jax.eval_shape(env.reset, keys)
    kind = jnp.float32 if env.num_actions is None else jnp.int32
    action = jax.ShapeDtypeStruct((len(keys), *env.action_shape), kind)
    lowered = jax.jit(env.step).lower(keys, env_state, action)
    counts = lowered.cost_analysis() or {}
    return float(counts.get("flops", 0.0)) / len(keys)


def layer_sizes(config: Config, network: str) -> tuple[int, ...]:
    """Return the sizes of the dense layers of `policy` or `baseline`, inputs to outputs.

    It is () where none is known.
    """
    params = getattr(state_shapes(config).params, network)
    flat = flatten_dict((params or {}).get("params", {}))
    shapes = {path[-2]: x.shape for path, x in flat.items() if path[-1] == "kernel"}
    if "out" not in shapes:
        return ()
    hidden = [shapes[name] for name in sorted(shapes) if name.startswith("hidden_")]
    inputs, outputs = shapes["out"]
    env = environment.make(config.env, config.env_params)
    if network == "policy" and env.num_actions:
        outputs -= 1  # the last of the logits is 0
    return (*(shape[0] for shape in hidden), inputs, outputs)


def forward_flops(sizes: tuple[int, ...]) -> int:
    """Return the operations per row of a network with these layer sizes, inputs to outputs."""
    return sum(2 * a * b + b for a, b in pairwise(sizes)) + sum(sizes[1:-1])


def backward_flops(sizes: tuple[int, ...], activation: str) -> int:
    """Return the operations per row of a network's gradient, given the gradient of its outputs."""
    if sizes and takes_one_product(sizes, activation):
        num_inputs, width, num_outputs = sizes
        products = num_outputs * (num_inputs + 1)
        return 2 * products * width + products + width + num_outputs
    kernels = sum(2 * a * b + b for a, b in pairwise(sizes))
    return kernels + sum(2 * a * b + 2 * a for a, b in pairwise(sizes[1:]))


def _field_bytes(config: Config) -> dict[str, float]:
    """Return the bytes per step of each field of the trajectory."""
    trajectory = trajectory_shapes(config)
    num_slots = trajectory.valid.size
    return {
        name: sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(field)) / num_slots
        for name, field in trajectory._asdict().items()
    }
