"""REINFORCE with a learned value baseline as one compiled JAX program.

import jax
from purejaxrl_reinforce import evaluate, preset, train

config = preset("cartpole")
state, metrics = train(config, jax.random.key(0))
episodes = evaluate(config, state.params, jax.random.key(1), num_episodes=100)
"""

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from purejaxrl_reinforce.algorithm.reinforce import init, make_train, step, train
    from purejaxrl_reinforce.algorithm.state import Metrics, TrainState
    from purejaxrl_reinforce.config import Config, preset
    from purejaxrl_reinforce.evaluation.evaluate import Evaluation, evaluate
    from purejaxrl_reinforce.execution.jax_settings import enable_compilation_cache
    from purejaxrl_reinforce.runs.host_loop import Hosting
    from purejaxrl_reinforce.runs.reporter import Reporter, TerminalReporter
    from purejaxrl_reinforce.runs.result import RunResult
    from purejaxrl_reinforce.runs.train import resume_run, train_run
    from purejaxrl_reinforce.sweeps.axes import LogRange
    from purejaxrl_reinforce.sweeps.results import SweepResults, load_sweep
    from purejaxrl_reinforce.sweeps.sweep import sweep

__version__: str  # of the installed package

_HOMES = {
    "Config": "config",
    "Evaluation": "evaluation.evaluate",
    "LogRange": "sweeps.axes",
    "Metrics": "algorithm.state",
    "Reporter": "runs.reporter",
    "Hosting": "runs.host_loop",
    "RunResult": "runs.result",
    "SweepResults": "sweeps.results",
    "TerminalReporter": "runs.reporter",
    "TrainState": "algorithm.state",
    "enable_compilation_cache": "execution.jax_settings",
    "evaluate": "evaluation.evaluate",
    "init": "algorithm.reinforce",
    "load_sweep": "sweeps.results",
    "make_train": "algorithm.reinforce",
    "preset": "config",
    "resume_run": "runs.train",
    "step": "algorithm.reinforce",
    "sweep": "sweeps.sweep",
    "train": "algorithm.reinforce",
    "train_run": "runs.train",
}
__all__ = [
    "Config",
    "Evaluation",
    "Hosting",
    "LogRange",
    "Metrics",
    "Reporter",
    "RunResult",
    "SweepResults",
    "TerminalReporter",
    "TrainState",
    "enable_compilation_cache",
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


def __dir__() -> list[str]:
    return [*globals(), *__all__]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.metadata.version(__name__)
    # jax and gymnax take seconds to import, so they wait until something public is used.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    importlib.import_module(f"{__name__}.algorithm")  # registers Config as a pytree
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
