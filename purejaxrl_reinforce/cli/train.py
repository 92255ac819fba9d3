"""The verb `train`."""

import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from purejaxrl_reinforce.cli.options import ConfigOption, ConfigOptions, TrainingOptions
from purejaxrl_reinforce.config import Config, with_fields
from purejaxrl_reinforce.config_file import load_run_config
from purejaxrl_reinforce.output.files import new_dated_path

# Options that may differ between processes: paths and output.
_OF_ONE_PROCESS = {
    "config_file", "coordinator", "force", "process_id", "quiet", "resume", "run_dir",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Train(TrainingOptions):
    """Train a policy; write a run directory: configuration, metrics, figure, parameters."""

    run_dir: Path | None = None
    """New or empty directory for the results. None: a new one below runs/."""
    resume: Annotated[Path | None, tyro.conf.arg(metavar="RUN")] = None
    """Resume this run from its latest checkpoint; only --num-updates may change."""
    checkpoint_every: int | None = None
    """Updates between checkpoints. None: only by time."""
    checkpoint_seconds: float = 60.0
    """Seconds between checkpoints; the last state is always saved."""
    keep: int = 3
    """Checkpoints to keep: the latest; the one with the best training return too."""
    coordinator: Annotated[
        str | None,
        tyro.conf.arg(
            metavar="HOST:PORT",
            help="Address of process 0, for one run in several processes on one or many hosts,"
            " all started with the same options. SLURM, Open MPI, Kubernetes and TPU pods"
            " are detected and need none of these three options.",
        ),
    ] = None
    num_processes: int | None = None
    """Number of processes."""
    process_id: int | None = None
    """Number of this process, from 0. Process 0 writes and prints."""
    start: ConfigOption = field(default_factory=ConfigOptions)

    def run(self) -> int:
        from purejaxrl_reinforce.execution import processes
        from purejaxrl_reinforce.execution.distributed import connect
        from purejaxrl_reinforce.execution.program import NonFiniteError
        from purejaxrl_reinforce.runs.host_loop import RunOptions
        from purejaxrl_reinforce.runs.reporter import TerminalReporter
        from purejaxrl_reinforce.runs.train import resume_run, train_run

        connect(self.coordinator, self.num_processes, self.process_id)
        if not processes.is_single_process():
            processes.require_equal(self.shared())
        with processes.together():
            names, wandb = self.loggers()
            often = self.checkpoint_every, self.checkpoint_seconds, self.keep
            options = RunOptions(*often, names, wandb, keep_program=True)
        config, seed, run_dir = processes.broadcast_from_primary(self._checked)
        reporter = TerminalReporter(self.quiet)
        try:
            if self.resume is None:
                result = train_run(
                    Config(**config), seed, run_dir, options, reporter=reporter, force=self.force
                )
            else:
                result = resume_run(run_dir, config["num_updates"], options, reporter=reporter)
        except NonFiniteError as error:
            if processes.is_primary():
                print(f"error: {error}; earlier updates are kept", file=sys.stderr)
            return 1
        return 0 if result.signal is None else 128 + result.signal

    def shared(self) -> dict[str, Any]:
        """Return by name the values that all processes must share: verb, options, versions."""
        from purejaxrl_reinforce.execution.machine import describe_versions, result_settings

        options = asdict(self)
        options |= options.pop("start")
        options |= options.pop("options")
        verb = "train" if self.resume is None else "train --resume"
        return {
            "the verb": verb,
            **{k: x for k, x in options.items() if k not in _OF_ONE_PROCESS and x is not None},
            **{f"the version of {name}": x for name, x in describe_versions().items()},
            **result_settings(),
        }

    def _checked(self) -> tuple[dict[str, Any], int, str]:
        """Return configuration, seed and directory."""
        if self.resume is not None:
            return self._resumed(self.resume)
        self.require_one_budget(self.start.fields)
        config, seed = self.start.load(self.seed)
        if self.total_steps is not None:
            from purejaxrl_reinforce.algorithm.rollout import with_total_steps

            config = with_total_steps(config, self.total_steps)
        if not self.quiet:
            self.start.warn_if_untuned(config)
        run_dir = self.run_dir or new_dated_path(Path("runs"), f"{config.env}-seed{seed}")
        return vars(config), seed, str(run_dir)

    def _resumed(self, run_dir: Path) -> tuple[dict[str, Any], int, str]:
        others = {
            "--run-dir": self.run_dir,
            "--force": self.force,
            "--total-steps": self.total_steps,
            "--preset": self.start.preset,
            "--config": self.start.config_file,
        }
        if given := [name for name, value in others.items() if value]:
            raise ValueError(f"give --resume or {given[0]}, not both")
        saved, seed, _ = load_run_config(run_dir)
        config = with_fields(saved, self.start.fields)
        changed = [name for name in vars(saved) if vars(saved)[name] != vars(config)[name]]
        changed += ["seed"] if self.seed not in (None, seed) else []
        if other := [name for name in changed if name != "num_updates"]:
            raise ValueError(
                f"--resume keeps the configuration of {run_dir}, but {other[0]} differs;"
                " only num_updates can change"
            )
        return vars(config), seed, str(run_dir)
