"""Progress of training on the terminal: a live bar, or plain lines where there is no terminal."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from purejaxrl_reinforce.algorithm.state import TrainState, exact_steps
from purejaxrl_reinforce.execution.program import Chunk

Show = Callable[[Chunk], None]


@contextlib.contextmanager
def progress(num_updates: int, state: TrainState, quiet: bool) -> Iterator[Show]:
    """Give a function that shows each chunk of what follows `state`.

    Shown are updates done, environment steps, mean return, SPS and the time left.
    """
    console = Console(stderr=True, quiet=quiet)
    if console.is_terminal:
        with _bar(console) as bar:
            yield _show_on(bar, num_updates, state)
    else:
        yield _plain_lines(console, num_updates, int(state.update))


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("update"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[env_steps]:,} steps"),
        TextColumn("return {task.fields[mean_return]:.1f}"),
        TextColumn("{task.fields[sps]:,.0f} SPS"),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=console,
    )


def _show_on(bar: Progress, num_updates: int, state: TrainState) -> Show:
    task = bar.add_task(
        "update",
        total=num_updates,
        completed=int(state.update),
        env_steps=exact_steps(state.env_steps),
        mean_return=float("nan"),
        sps=0.0,
    )

    def show(chunk: Chunk) -> None:
        if len(chunk.metrics.num_steps):
            bar.update(
                task,
                completed=int(chunk.state.update),
                env_steps=exact_steps(chunk.state.env_steps),
                mean_return=mean_return(chunk),
                sps=sps(chunk),
            )

    return show


def _plain_lines(console: Console, num_updates: int, done: int) -> Show:
    """Print a line whenever another tenth of the updates is done, or ten seconds have passed."""
    first, seconds, shown_at = done, 0.0, 0.0

    def show(chunk: Chunk) -> None:
        nonlocal done, seconds, shown_at
        if not len(chunk.metrics.num_steps):
            return
        tenths = done * 10 // num_updates
        done += len(chunk.metrics.num_steps)
        seconds += chunk.seconds
        if done * 10 // num_updates > tenths or seconds > shown_at + 10:
            shown_at = seconds
            left = seconds / (done - first) * (num_updates - done)
            console.print(
                f"update {done}/{num_updates}  {exact_steps(chunk.state.env_steps):,} steps"
                f"  return {mean_return(chunk):.1f}  {sps(chunk):,.0f} SPS  {left:.0f} s left",
                highlight=False,
            )

    return show


def mean_return(chunk: Chunk) -> float:
    """Return the mean episode return of the chunk's last update, NaN where no episode finished."""
    return float(chunk.metrics.mean_return[-1])


def sps(chunk: Chunk) -> float:
    """Return the chunk's valid environment steps per second."""
    return float(chunk.metrics.num_steps.sum() / chunk.seconds)
