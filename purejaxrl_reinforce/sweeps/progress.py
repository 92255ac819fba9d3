"""Progress of a sweep on the terminal: a live bar, or plain lines where there is no terminal."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn

from purejaxrl_reinforce.sweep_trainer import SweepProgress

Show = Callable[[SweepProgress], None]
_SECONDS_BETWEEN_LINES = 10.0


@contextlib.contextmanager
def sweep_progress(num_agents: int, labels: Sequence[str], quiet: bool) -> Iterator[Show]:
    """Give a function that shows how far a sweep of so many agents and settings has come.

    Shown are agents done, environment steps per second over all agents, the time left, and the
    setting whose greedy episodes return most so far.
    """
    console = Console(stderr=True, quiet=quiet)
    if not console.is_terminal:
        yield _plain_lines(console, num_agents, labels)
        return
    columns = (TextColumn("agents"), BarColumn(bar_width=20), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=None)

        def show(now: SweepProgress) -> None:
            bar.update(
                task,
                description=escape(_describe(now, num_agents, labels)),
                completed=now.updates,
                total=now.updates + now.updates_left,
            )

        yield show


def _plain_lines(console: Console, num_agents: int, labels: Sequence[str]) -> Show:
    """Print a line whenever another tenth of the agents is done, or ten seconds have passed."""
    tenths, shown_at = 0, 0.0

    def show(now: SweepProgress) -> None:
        nonlocal tenths, shown_at
        done = now.agents * 10 // num_agents
        if done > tenths or now.seconds > shown_at + _SECONDS_BETWEEN_LINES:
            tenths, shown_at = done, now.seconds
            console.print(
                _describe(now, num_agents, labels), highlight=False, markup=False, soft_wrap=True
            )

    return show


def _describe(now: SweepProgress, num_agents: int, labels: Sequence[str]) -> str:
    parts = [f"{now.agents:,}/{num_agents:,} agents"]
    if now.updates:
        left = now.seconds / now.updates * now.updates_left
        parts += [f"{now.steps / now.seconds:,.0f} SPS", f"{_duration(left)} left"]
    if now.best is not None:
        parts.append(f"best so far {now.best_return:.1f} ({labels[now.best]})")
    return "  ".join(parts)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
