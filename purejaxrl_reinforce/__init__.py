"""REINFORCE with a learned value baseline as one compiled JAX program.

import jax
from purejaxrl_reinforce import Config, evaluate, make_train, setup

setup()  # all cores; compiled programs are kept
config = Config()
state, metrics = make_train(config)(jax.random.key(0))
episodes = evaluate(config, state.params, jax.random.key(1), num_episodes=100)
"""

import ast
import importlib
import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING

# All public names, as type checkers see them. A program imports one when it is used: jax and gymnax
# take seconds.
if TYPE_CHECKING:
    from purejaxrl_reinforce.algorithm.evaluate import Evaluation as Evaluation
    from purejaxrl_reinforce.algorithm.evaluate import evaluate as evaluate
    from purejaxrl_reinforce.algorithm.evaluate import policy as policy
    from purejaxrl_reinforce.algorithm.reinforce import init as init
    from purejaxrl_reinforce.algorithm.reinforce import step as step
    from purejaxrl_reinforce.algorithm.reinforce import train as train
    from purejaxrl_reinforce.algorithm.rollout import Trajectory as Trajectory
    from purejaxrl_reinforce.algorithm.rollout import with_total_steps as with_total_steps
    from purejaxrl_reinforce.algorithm.state import Metrics as Metrics
    from purejaxrl_reinforce.algorithm.state import TrainState as TrainState
    from purejaxrl_reinforce.bench.benchmark import benchmark as benchmark
    from purejaxrl_reinforce.config import Config as Config
    from purejaxrl_reinforce.diagnosis.doctor import doctor as doctor
    from purejaxrl_reinforce.evaluation.video import Video as Video
    from purejaxrl_reinforce.evaluation.video import video as video
    from purejaxrl_reinforce.execution.jax_settings import setup as setup
    from purejaxrl_reinforce.execution.program import NonFiniteError as NonFiniteError
    from purejaxrl_reinforce.execution.program import make_train as make_train
    from purejaxrl_reinforce.presets import preset as preset
    from purejaxrl_reinforce.reports.description import describe as describe
    from purejaxrl_reinforce.reports.plot import plot as plot
    from purejaxrl_reinforce.reports.report import report as report
    from purejaxrl_reinforce.runs.checkpoint import load as load
    from purejaxrl_reinforce.runs.checkpoint import save as save
    from purejaxrl_reinforce.runs.export import export as export
    from purejaxrl_reinforce.runs.host_loop import RunOptions as RunOptions
    from purejaxrl_reinforce.runs.reporter import Reporter as Reporter
    from purejaxrl_reinforce.runs.reporter import TerminalReporter as TerminalReporter
    from purejaxrl_reinforce.runs.saved_run import SavedRun as SavedRun
    from purejaxrl_reinforce.runs.saved_run import load_run as load_run
    from purejaxrl_reinforce.runs.train import resume_run as resume_run
    from purejaxrl_reinforce.runs.train import train_run as train_run
    from purejaxrl_reinforce.sweeps.plan import log_range as log_range
    from purejaxrl_reinforce.sweeps.results import SweepResults as SweepResults
    from purejaxrl_reinforce.sweeps.results import load_sweep as load_sweep
    from purejaxrl_reinforce.sweeps.sweep import sweep as sweep

    __version__: str  # of the installed package
else:
    # Where each public name is defined, as the imports above say.
    _MODULES = {
        alias.asname: node.module
        for node in ast.walk(ast.parse(Path(__file__).read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }
    __all__ = list(_MODULES)

    def __dir__():
        return [*__all__, "__version__"]

    def __getattr__(name):
        if name == "__version__":
            return importlib.metadata.version(__name__)
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        importlib.import_module(f"{__name__}.algorithm")  # registers Config as a pytree
        return getattr(importlib.import_module(_MODULES[name]), name)
