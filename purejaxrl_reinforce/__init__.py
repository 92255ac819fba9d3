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
    from purejaxrl_reinforce.axes import LogRange
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
    from purejaxrl_reinforce.sweep_results import SweepResults, load_sweep
    from purejaxrl_reinforce.sweep_trainer import sweep
    from purejaxrl_reinforce.training import Hosting, resume_run, train_run

__all__ = [
    "Config",
    "Evaluation",
    "Hosting",
    "LogRange",
    "Metrics",
    "SweepResults",
    "TrainState",
    "evaluate",
    "init",
    "load_sweep",
    "make_train",
    "preset",
    "resume_run",
    "step",
    "sweep",
    "train",
    "train_run",
]


def __getattr__(name: str) -> Any:
    # jax and gymnax take seconds to import, so they wait until something public is used. All of
    # it comes with `reinforce`, which registers Config as a pytree.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # The heaviest last.
    homes = (
        "reinforce", "evaluation", "config", "axes", "training", "sweep_results", "sweep_trainer",
    )  # fmt: skip
    modules = (importlib.import_module(f"{__name__}.{home}") for home in homes)
    return next(getattr(module, name) for module in modules if hasattr(module, name))
