"""Where metrics go beside metrics.csv: TensorBoard, Weights & Biases, or a user's own logger."""

import math
import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from purejaxrl_reinforce.execution.machine import require_extra
from purejaxrl_reinforce.output.files import open_regular

# What each logger imports; an extra of the same name installs it.
MODULES = {"tensorboard": "tensorboardX", "wandb": "wandb"}

# Where TensorBoard and Weights & Biases show a metric; the rest is in "train".
_GROUPS = {
    **dict.fromkeys(("seconds", "sps", "env_steps", "num_steps"), "time"),
    "eval_return": "eval",
}


def _grouped(metrics: dict[str, float]) -> dict[str, float]:
    """Name metrics like `train/mean_return`, `loss/entropy`, `time/sps`; leave out NaN."""
    losses = ("_loss", "_grad_norm", "entropy", "_variance")
    return {
        f"{'loss' if name.endswith(losses) else _GROUPS.get(name, 'train')}/{name}": value
        for name, value in metrics.items()
        if not math.isnan(value)
    }


class Logger(Protocol):
    """What training asks of a place for metrics."""

    def log(self, update: int, metrics: dict[str, float]) -> None:
        """Take the metrics of one update; all come, a chunk's together, about twice a second.

        Args:
            update: counted from 1; it goes back where a resumed run repeats updates.
            metrics: the columns of metrics.csv by name, and `sps`, steps per second of its chunk.
        """

    def close(self) -> None:
        """Finish; nothing follows."""


def require_loggers(names: Sequence[str]) -> None:
    """Raise ValueError if one of these is no logger, or its extra is not installed."""
    for name in names:
        if name not in MODULES:
            raise ValueError(f"loggers are {' and '.join(MODULES)}, not {name!r}")
        require_extra(name, MODULES[name])


def make_loggers(
    names: Sequence[str],
    path: Path,
    facts: dict[str, Any],
    update: int,
    wandb: Mapping[str, Any],
    part: str = "",
) -> list[Logger]:
    """Return the loggers of these names, for a run or a `part` of a sweep in the directory `path`.

    Args:
        facts: its configuration.
        update: updates done before; events of later ones are hidden.
        wandb: arguments of `wandb.init`: project, group, tags.

    Raises:
        ValueError: one of them cannot start, such as for want of an account.
    """
    loggers: list[Logger] = []
    for name in names:
        try:
            if name == "tensorboard":
                loggers.append(_TensorBoard(path / name / part, update))
            else:
                loggers.append(_WeightsAndBiases(path, facts, part, wandb))
        except Exception as error:  # each package raises its own
            for logger in loggers:
                logger.close()
            raise ValueError(f"--{name} cannot start: {error}") from None
    return loggers


class _TensorBoard:
    """Event files in a directory; events after `update` are hidden."""

    def __init__(self, directory: Path, update: int) -> None:
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(directory), purge_step=update + 1)
        # At once: its thread would die of a full disk, and training wait for that thread for ever.
        events: Any = self._writer.file_writer.event_writer
        events.add_event = events._ev_writer.write_event

    def log(self, update: int, metrics: dict[str, float]) -> None:
        for name, value in _grouped(metrics).items():
            self._writer.add_scalar(name, value, update)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class _WeightsAndBiases:
    """A run of Weights & Biases, with its files in PATH/wandb; WANDB_MODE=offline needs no network.

    What `options` do not say comes from the environment variables of wandb.
    """

    def __init__(
        self, path: Path, facts: dict[str, Any], part: str, options: Mapping[str, Any]
    ) -> None:
        import wandb

        directory = path / "wandb"
        directory.mkdir(exist_ok=True)
        with open_regular(directory / f"{part or 'run'}_id.txt", "a+") as file:
            file.seek(0)
            run_id = file.read()
            if not run_id:
                run_id = uuid.uuid4().hex
                file.write(run_id)
        os.environ.setdefault("WANDB_SILENT", "true")
        self._run: Any = wandb.init(
            dir=str(path),
            id=run_id,
            resume="allow",
            name=f"{path.name} {part}".strip(),
            config=facts,
            **{"project": os.environ.get("WANDB_PROJECT", "purejaxrl_reinforce"), **options},
        )

    def log(self, update: int, metrics: dict[str, float]) -> None:
        self._run.log(_grouped(metrics), step=update)

    def close(self) -> None:
        self._run.finish()
