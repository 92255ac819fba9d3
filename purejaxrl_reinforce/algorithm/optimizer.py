"""Adam with global-norm clipping and a learning rate that may fall to zero, one per network."""

from typing import Any

import jax.numpy as jnp
import optax
from jax import Array

from purejaxrl_reinforce.algorithm.engine import learning_engine
from purejaxrl_reinforce.algorithm.kernels.one_program import in_one_program
from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.algorithm.state import TrainState
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


def init_optimizers(config: Config, params: Params) -> Params:
    """Return the state of each network's optimizer before its first step."""
    rates = _learning_rates(config)
    return Params(
        *(make_optimizer(config, rate).init(p) for rate, p in zip(rates, params, strict=True))
    )


def apply_gradients(
    config: Config, state: TrainState, grads: Params, num_updates: Array | None = None
) -> TrainState:
    """Take one optimizer step in each network that has a gradient.

    With `anneal`, both learning rates fall linearly, to zero after `num_updates` updates. None:
    those of `config`, which then shape the program.
    """
    last = jnp.float32(config.num_updates if num_updates is None else num_updates)
    networks = {
        name: (getattr(state.params, name), getattr(state.opt_state, name), grad)
        for name, grad in grads._asdict().items()
        if grad is not None
    }
    new = in_one_program(
        learning_engine(config), _optimizer_steps, config, state.update, last, networks
    )
    return state._replace(
        params=state.params._replace(**{name: x[0] for name, x in new.items()}),
        opt_state=state.opt_state._replace(**{name: x[1] for name, x in new.items()}),
    )


def _optimizer_steps(
    config: Config, update: Array, last: Array, networks: dict[str, tuple[Any, Any, Any]]
) -> dict[str, tuple[Any, Any]]:
    """Return `optimizer_step` of each network, at its learning rate of this update."""
    # Times the reciprocal, as XLA divides by a constant: with either number the bits are the same.
    remaining = 1 - update * (1 / last) if config.anneal else 1.0
    rates = _learning_rates(config)._asdict()
    return {
        name: optimizer_step(config, rates[name] * remaining, *network)
        for name, network in networks.items()
    }


def _learning_rates(config: Config) -> Params:
    return Params(config.policy_lr, config.baseline_lr)


def optimizer_step(
    config: Config, learning_rate: Any, params: Any, opt_state: Any, grad: Any
) -> tuple[Any, Any]:
    """Return a network's parameters and optimizer state after one step along `grad`."""
    adam_steps = optax.tree.get(opt_state, "count")
    updates, opt_state = make_optimizer(config, learning_rate, adam_steps).update(
        grad, opt_state, params
    )
    return optax.apply_updates(params, updates), opt_state
