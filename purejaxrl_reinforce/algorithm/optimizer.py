"""Adam with global-norm clipping and a learning rate that may fall to zero, one per network."""

from typing import Any

import jax.numpy as jnp
import optax
from jax import Array

from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.algorithm.state import TrainState
from purejaxrl_reinforce.config import Config

_B2 = 0.999


def make_optimizer(
    config: Config, learning_rate: Any, adam_steps: Array | int = 0
) -> optax.GradientTransformation:
    """Return the optimizer of one network; learning rate and epsilon may be traced.

    Keras adds epsilon to the root of the second moment before its bias correction. That equals an
    epsilon, added after the correction, which shrinks with the number of `adam_steps` that the
    optimizer has taken (Kingma and Ba, 2015, end of section 2).
    """
    epsilon: Any = config.adam_epsilon
    if config.keras_adam:
        epsilon = epsilon / jnp.sqrt(1 - _B2 ** (adam_steps + 1))
    return optax.chain(
        optax.clip_by_global_norm(config.max_grad_norm),
        optax.scale_by_adam(b2=_B2, eps=epsilon),
        optax.scale(-learning_rate),
    )


def init_optimizers(config: Config, params: Params) -> Params:
    """Return the state of each network's optimizer before its first step."""
    optimizer = make_optimizer(config, 0.0)
    return Params(optimizer.init(params.policy), optimizer.init(params.baseline))


def apply_gradients(
    config: Config, state: TrainState, grads: Params, num_updates: Array | None = None
) -> TrainState:
    """Take one optimizer step in each network that has a gradient.

    With `anneal`, both learning rates fall linearly, to zero after `num_updates` updates. None:
    those of `config`, which then shape the program.
    """
    last = jnp.float32(config.num_updates if num_updates is None else num_updates)
    # Times the reciprocal, as XLA divides by a constant: with either number the bits are the same.
    remaining = jnp.maximum(1 - state.update * (1 / last), 0.0) if config.anneal else 1.0
    params, opt_state = state.params, state.opt_state
    for name, rate in (("policy", config.policy_lr), ("baseline", config.baseline_lr)):
        if (grad := getattr(grads, name)) is None:
            continue
        old, moments = getattr(params, name), getattr(opt_state, name)
        optimizer = make_optimizer(config, rate * remaining, optax.tree.get(moments, "count"))
        updates, moments = optimizer.update(grad, moments, old)
        params = params._replace(**{name: optax.apply_updates(old, updates)})
        opt_state = opt_state._replace(**{name: moments})
    return state._replace(params=params, opt_state=opt_state)
