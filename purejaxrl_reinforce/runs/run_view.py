"""How far a run has come, as a plain line and as a live panel of rich."""

import time
from collections.abc import Callable, Iterator

import jax
import numpy as np
from rich.console import Console, ConsoleOptions, RenderableType
from rich.text import Text

from purejaxrl_reinforce.algorithm.environments.environment import threshold
from purejaxrl_reinforce.algorithm.state import TrainState, exact_steps
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.execution.memory import used_bytes
from purejaxrl_reinforce.execution.program import Chunk
from purejaxrl_reinforce.output.panel import (
    curve,
    figure,
    figures,
    frame,
    heading,
    inner_width,
    progress_row,
)
from purejaxrl_reinforce.output.progress import duration, waiting


class RunView:
    """The progress of one run. A thread of rich draws it, from numbers that the host has anyway.

    Args:
        config: what is trained.
        seed: of the run.
        clock: tells seconds.
    """

    def __init__(
        self, config: Config, seed: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._config, self._title = config, f"{config.env}, seed {seed}"
        self._clock, self._began, self._phase = clock, clock(), "compiling"
        self._first = self.done = 0
        self.seconds = 0.0
        self._returns, self._greedy = np.empty(0), ""
        self._figures: dict[str, str] = {}

    def start(self, state: TrainState) -> None:
        """Training starts from this state."""
        num_devices = len(state.update.sharding.device_set)
        self._title += f", {num_devices} x {jax.devices()[0].device_kind}"
        self._first = self.done = int(state.update)
        self._began, self._phase = self._clock(), "first update"

    def add(self, chunk: Chunk) -> None:
        """Count the updates of a chunk, at least one."""
        self.seconds += chunk.seconds
        self.done = int(chunk.state.update)
        self._returns = np.append(self._returns, chunk.metrics.mean_return)
        for value in chunk.metrics.eval_return[np.isfinite(chunk.metrics.eval_return)]:
            self._greedy = f"greedy return {value:.1f}"
        self._steps, self._sps = exact_steps(chunk.state.env_steps), steps_per_second(chunk)
        last = {name: float(values[-1]) for name, values in chunk.metrics._asdict().items()}
        names = ("policy_loss", "baseline_loss", "entropy", "explained_variance")
        self._figures = {name.replace("_", " "): figure(last[name]) for name in names}

    def line(self) -> str:
        """Return the last chunk's figures in a plain line."""
        parts = [
            self._updates(),
            f"{self._steps:,} steps",
            f"training return {self._returns[-1]:.1f}",
            self._greedy,
            f"{self._sps:,.0f} SPS",
            self._left(),
        ]
        return "  ".join(filter(None, parts))

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        if not self._figures:
            yield frame(
                options, self._title, Text(f"{self._phase}, {waiting(self._clock() - self._began)}")
            )
            return
        shown = {
            "SPS": f"{self._sps:,.0f}",
            "env steps": f"{self._steps:,}",
            "elapsed": duration(self._clock() - self._began),
            **self._figures,
            "memory": f"{used_bytes() / 1e6:,.0f} MB",
        }
        yield frame(
            options,
            self._title,
            self._heading(),
            curve(self._returns, inner_width(options), options.ascii_only),
            progress_row(self._updates(), self.done, self._config.num_updates, self._left()),
            figures(shown, inner_width(options)),
        )

    def _heading(self) -> Text:
        known, enough = self._returns[np.isfinite(self._returns)], threshold(self._config)
        last = self._returns[-1]
        return heading(
            "training return",
            figure(last),
            [
                f"best {figure(known.max())}" if len(known) else "",
                self._greedy,
                "" if enough is None else f"solved at {enough:g}",
            ],
            "green" if enough is not None and last >= enough else "",
        )

    def _updates(self) -> str:
        return f"update {self.done:,}/{self._config.num_updates:,}"

    def _left(self) -> str:
        per_update = self.seconds / (self.done - self._first)
        return f"{duration(per_update * (self._config.num_updates - self.done))} left"


def steps_per_second(chunk: Chunk) -> float:
    """Return the chunk's valid environment steps per second."""
    return float(chunk.metrics.num_steps.sum() / chunk.seconds)
