"""REINFORCE with a learned value baseline as one compiled JAX program.

import jax
from purejaxrl_reinforce import Config, evaluate, train

config = Config()
state, metrics = train(config, jax.random.key(0))
episodes = evaluate(config, state.params, jax.random.key(1), num_episodes=100)
"""

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from purejaxrl_reinforce.algorithm.evaluate import Evaluation, evaluate
    from purejaxrl_reinforce.algorithm.reinforce import init, make_train, step, train
    from purejaxrl_reinforce.algorithm.state import Metrics, TrainState
    from purejaxrl_reinforce.bench.benchmark import benchmark
    from purejaxrl_reinforce.config import Config
    from purejaxrl_reinforce.evaluation.video import Video, video
    from purejaxrl_reinforce.execution.jax_settings import enable_compilation_cache
    from purejaxrl_reinforce.presets import preset
    from purejaxrl_reinforce.reports.description import describe
    from purejaxrl_reinforce.reports.plot import plot
    from purejaxrl_reinforce.reports.report import report
    from purejaxrl_reinforce.runs.export import export
    from purejaxrl_reinforce.runs.host_loop import Hosting
    from purejaxrl_reinforce.runs.reporter import Reporter, TerminalReporter
    from purejaxrl_reinforce.runs.result import RunResult
    from purejaxrl_reinforce.runs.saved_run import SavedRun, load_run
    from purejaxrl_reinforce.runs.train import resume_run, train_run
    from purejaxrl_reinforce.sweeps.axes import log_range
    from purejaxrl_reinforce.sweeps.results import SweepResults, load_sweep
    from purejaxrl_reinforce.sweeps.sweep import sweep

__version__: str  # of the installed package

_HOMES = {
    "Config": "config",
    "Evaluation": "algorithm.evaluate",
    "Hosting": "runs.host_loop",
    "Metrics": "algorithm.state",
    "Reporter": "runs.reporter",
    "RunResult": "runs.result",
    "SavedRun": "runs.saved_run",
    "SweepResults": "sweeps.results",
    "TerminalReporter": "runs.reporter",
    "TrainState": "algorithm.state",
    "Video": "evaluation.video",
    "benchmark": "bench.benchmark",
    "describe": "reports.description",
    "enable_compilation_cache": "execution.jax_settings",
    "evaluate": "algorithm.evaluate",
    "export": "runs.export",
    "init": "algorithm.reinforce",
    "load_run": "runs.saved_run",
    "load_sweep": "sweeps.results",
    "log_range": "sweeps.axes",
    "make_train": "algorithm.reinforce",
    "plot": "reports.plot",
    "preset": "presets",
    "report": "reports.report",
    "resume_run": "runs.train",
    "step": "algorithm.reinforce",
    "sweep": "sweeps.sweep",
    "train": "algorithm.reinforce",
    "train_run": "runs.train",
    "video": "evaluation.video",
}
__all__ = [
    "Config",
    "Evaluation",
    "Hosting",
    "Metrics",
    "Reporter",
    "RunResult",
    "SavedRun",
    "SweepResults",
    "TerminalReporter",
    "TrainState",
    "Video",
    "benchmark",
    "describe",
    "enable_compilation_cache",
    "evaluate",
    "export",
    "init",
    "load_run",
    "load_sweep",
    "log_range",
    "make_train",
    "plot",
    "preset",
    "report",
    "resume_run",
    "step",
    "sweep",
    "train",
    "train_run",
    "video",
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
