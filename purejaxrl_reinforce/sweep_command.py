"""The verb `sweep`: train, show how far it is, and say what came of it."""

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import jax
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from purejaxrl_reinforce.axes import Axes
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.files import replacing
from purejaxrl_reinforce.interruption import StopRequest
from purejaxrl_reinforce.plots import save_figure
from purejaxrl_reinforce.study import Study, make_study
from purejaxrl_reinforce.sweep import Progress as SweepProgress
from purejaxrl_reinforce.sweep import finish, open_store, train_agents
from purejaxrl_reinforce.sweep_results import SweepResults
from purejaxrl_reinforce.sweep_store import SweepStore
from purejaxrl_reinforce.sweep_table import save_table
