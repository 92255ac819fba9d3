"""Adam with global-norm clipping and a learning rate that may fall to zero."""

from typing import Any

import jax.numpy as jnp
import optax
from jax import Array

from purejaxrl_reinforce.config import Config

_B2 = 0.999


def make_optimizer(
    config: Config, learning_rate: Any, adam_steps: Array | int = 0
) -> optax.GradientTransformation:
    """Return the optimizer of one network; learning rate and epsilon may be traced.

    Args:
        config: for `max_grad_norm`, `adam_epsilon` and `keras_adam`.
        learning_rate: of this step.
        adam_steps: how many steps this optimizer has taken. Keras adds epsilon to the root of the
            second moment before its bias correction; that equals an epsilon, added after the
            correction, which shrinks from step to step (Kingma and Ba, 2015, end of section 2).
    """
    epsilon: Any = config.adam_epsilon
    if config.keras_adam:
        epsilon = epsilon / jnp.sqrt(1 - _B2 ** (adam_steps + 1))
    return optax.chain(
        optax.clip_by_global_norm(config.max_grad_norm),
        optax.scale_by_adam(b2=_B2, eps=epsilon),
        optax.scale(-learning_rate),
    )


def apply_gradients(
    config: Config, learning_rate: Any, params: Any, opt_state: Any, gradient: Any
) -> tuple[Any, Any]:
    """Return parameters and optimizer state after one step along `gradient`."""
    adam_steps = optax.tree.get(opt_state, "count")
    optimizer = make_optimizer(config, learning_rate, adam_steps)
    updates, opt_state = optimizer.update(gradient, opt_state, params)
    return optax.apply_updates(params, updates), opt_state
