"""How far a sweep has come, as a plain line and as a live panel of rich."""

import itertools
import time
from collections.abc import Callable, Iterator

import jax
import numpy as np
from rich.console import Console, ConsoleOptions, RenderableType
from rich.text import Text

from purejaxrl_reinforce.algorithm.environments.environment import task
from purejaxrl_reinforce.execution.memory import used_bytes
from purejaxrl_reinforce.output.panel import figures, frame, heading, inner_width, progress_row
from purejaxrl_reinforce.output.progress import duration, waiting
from purejaxrl_reinforce.output.text import count
from purejaxrl_reinforce.statistics import interquartile_mean
from purejaxrl_reinforce.sweeps.plan import SweepPlan
from purejaxrl_reinforce.sweeps.ranking import show_bounds, show_score
from purejaxrl_reinforce.sweeps.results import labels_of
from purejaxrl_reinforce.sweeps.summary import score_interval
from purejaxrl_reinforce.sweeps.sweep import SweepProgress


class SweepView:
    """The progress of a sweep, drawn from numbers that the host has anyway.

    Args:
        plan: of the sweep.
        progress: of it, which counts up.
        clock: tells seconds.
    """

    def __init__(
        self, plan: SweepPlan, progress: SweepProgress, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._plan, self._progress, self._clock = plan, progress, clock
        self._labels, self._tasks = labels_of(plan.axes, plan.configs), [*map(task, plan.configs)]
        self._title = f"{', '.join(dict.fromkeys(self._tasks))} on {jax.default_backend()}"
        self._began, self._since, self._doing = clock(), clock(), ""
        self._counts = np.zeros(len(self._tasks), int)
        self._iqms = np.full(len(self._tasks), np.nan)
        self._best: list[tuple[str, ...]] = []

    def note(self) -> None:
        """Take account of what the progress has counted since the last call."""
        progress = self._progress
        if progress.doing != self._doing:
            self._since, self._doing = self._clock(), progress.doing
        counts = np.array([len(scores) for scores in progress.scores])
        changed = np.flatnonzero(counts != self._counts)
        for i in changed:
            self._iqms[i] = interquartile_mean(np.array(progress.scores[i]))
        self._counts = counts
        if changed.size:
            self._best = [self._best_of(env) for env in dict.fromkeys(self._tasks)]

    def amounts(self) -> tuple[int, int, float]:
        """Return updates done, their total, and the seconds that they took.

        An agent's evaluation counts as one more.
        """
        now = self._progress
        total = now.updates + now.updates_left + self._plan.num_agents
        return now.updates + now.agents, total, now.seconds

    def line(self) -> str:
        """Return everything in a plain line."""
        best = [f"best {name} so far {', '.join(rest)}" for name, *rest in self._best]
        speed = [f"{self._sps()} SPS", self._left()] if self._progress.updates else []
        doing = self._doing if self._doing.startswith("compiling") else ""
        return "  ".join(filter(None, [self._agents(), *speed, *best, doing]))

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        done, total, _ = self.amounts()
        doing = f"{self._doing}, {waiting(self._clock() - self._since)}"
        finished = int((self._counts == self._plan.num_seeds).sum())
        shown = {
            "settings": f"{finished:,}/{len(self._tasks):,}",
            "SPS": self._sps(),
            "elapsed": duration(self._clock() - self._began),
            "memory": f"{used_bytes() / 1e6:,.0f} MB",
        }
        yield frame(
            options,
            self._title,
            *itertools.chain.from_iterable(map(_show_best, self._best)),
            *([Text(doing)] if self._doing else []),
            progress_row(self._agents(), done, total, self._left()),
            figures(shown, inner_width(options)),
        )

    def _best_of(self, env: str) -> tuple[str, ...]:
        """Return what is best in an environment, its interval, the seeds, and the setting."""
        iqms = np.where([name == env for name in self._tasks], self._iqms, np.nan)
        name = "greedy return" + (f" of {env}" if len(set(self._tasks)) > 1 else "")
        if np.isnan(iqms).all():
            return name, "-"
        best = int(np.nanargmax(iqms))
        scores = np.array(self._progress.scores[best])
        interval = score_interval(env, scores)
        best_score = f"{show_score(interval.value)} {show_bounds(interval)}"
        label = [f"setting {best}: {self._labels[best]}"] if len(self._tasks) > 1 else []
        return name, best_score, count(len(scores), "seed"), *label

    def _agents(self) -> str:
        return f"{self._progress.agents:,}/{self._plan.num_agents:,} agents"

    def _sps(self) -> str:
        now = self._progress
        return f"{now.steps / now.seconds:,.0f}" if now.seconds else "-"

    def _left(self) -> str:
        now = self._progress
        if not now.updates:
            return ""
        return f"{duration(now.seconds / now.updates * now.updates_left)} left"


def _show_best(best: tuple[str, ...]) -> Iterator[Text]:
    name, score, *notes = best
    yield heading(f"best {name} so far", score, notes[:1])
    if notes[1:]:
        yield Text(f"  {notes[1]}", "dim")
