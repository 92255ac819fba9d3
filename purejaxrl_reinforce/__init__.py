"""REINFORCE with a learned value baseline as one compiled JAX program.

import jax
from purejaxrl_reinforce import evaluate, preset, train

config = preset("cartpole")
state, metrics = train(config, jax.random.key(0))
episodes = evaluate(config, state.params, jax.random.key(1), num_episodes=100)
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from purejaxrl_reinforce.config import Config, preset
    from purejaxrl_reinforce.evaluation import Evaluation, evaluate
    from purejaxrl_reinforce.reinforce import (
        Metrics,
        TrainState,
        init,
        make_train,
        step,
        train,
    )

__all__ = [
    "Config",
    "Evaluation",
    "Metrics",
    "TrainState",
    "evaluate",
    "init",
    "make_train",
    "preset",
    "step",
    "train",
]


def __getattr__(name: str) -> Any:
    # jax and gymnax take seconds to import, so they wait until something public is used. All of
    # it comes with `reinforce`, which registers Config as a pytree.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    modules = [importlib.import_module(f"{__name__}.{m}") for m in ("reinforce", "evaluation")]
    modules.append(importlib.import_module(f"{__name__}.config"))
    return next(getattr(module, name) for module in modules if hasattr(module, name))
