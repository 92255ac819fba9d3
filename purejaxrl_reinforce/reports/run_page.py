"""Page of a run: summary, learning curves, evaluation, video, timing, configuration, versions."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from purejaxrl_reinforce.algorithm.environments import environment
from purejaxrl_reinforce.algorithm.environments.environment import first_solved, task
from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.evaluation.scores import (
    ReturnStatistics,
    agreement,
    return_statistics,
    returns_in_gymnasium,
    returns_in_jax,
)
from purejaxrl_reinforce.evaluation.video import Episode
from purejaxrl_reinforce.figures.curves import Runs, learning_curves
from purejaxrl_reinforce.figures.style import png_bytes
from purejaxrl_reinforce.output.html import commands, facts, page, paragraph, picture, table
from purejaxrl_reinforce.reports.commands import command, config_options
from purejaxrl_reinforce.reports.description import describe
from purejaxrl_reinforce.reports.labels import labeled_fields
from purejaxrl_reinforce.reports.sections import this_report, versions, video
from purejaxrl_reinforce.runs.checkpoint import checkpoint_versions
from purejaxrl_reinforce.runs.load import History, load_history, load_policy
from purejaxrl_reinforce.runs.run_dir import CHECKPOINTS

_EPISODES = 100


def run_page(run_dir: Path, seed: int) -> str:
    """Return the HTML page of a run.

    Args:
        run_dir: directory of the run.
        seed: of the evaluation and the video.

    Raises:
        ValueError: it is not a run directory, a file in it is missing or damaged, or no episode
            has finished.
    """
    config, params = load_policy(run_dir)
    history = load_history(run_dir)
    curves = _curves(history)  # first: it refuses a run without a finished episode
    title = f"{config.env}, seed {history.seed}: a training run with REINFORCE"
    return page(
        title,
        {
            "Summary": facts(_statistics(history)),
            "Learning curves": curves,
            "Final evaluation": _evaluation(config, params, seed),
            "Video": video(config, Episode("episode 1", params, seed)),
            "Timing": facts(_timing(history)),
            "What was trained": facts(describe(config)),
            "Configuration": facts(
                labeled_fields({**dataclasses.asdict(config), "seed": history.seed})
            ),
            "Commands": _commands(run_dir.absolute().name, history, seed),
            "Versions": versions(checkpoint_versions(run_dir / CHECKPOINTS)),
            "This report": this_report("The evaluation and the video were made on this machine."),
        },
    )


def _commands(name: str, history: History, seed: int) -> str:
    options = [*config_options(history.config), "--seed", history.seed]
    return paragraph("The first repeats the training.") + commands(
        [
            command("train", *options, "--run-dir", name),
            command("evaluate", name),
            command("video", name, "--seed", seed),
            command("report", name, "--seed", seed),
        ]
    )


def _statistics(history: History) -> dict[str, Any]:
    metrics = history.metrics
    returns = metrics["mean_return"]
    best = int(np.nanargmax(returns))
    solved = first_solved(history.config, returns)
    return {
        "environment": task(history.config),
        "updates": f"{len(returns):,} of {history.config.num_updates:,}",
        "environment steps": int(metrics["env_steps"][-1]),
        "episodes": int(metrics["num_episodes"].sum()),
        "training return of the last update": round(float(returns[-1]), 2),
        "training return of the best update": f"{returns[best]:,.2f} (update {best + 1:,})",
        **_last_evaluation(metrics["eval_return"]),
        **({"solved": f"in update {solved:,}"} if solved else {}),
        "mean length of the last episodes": round(float(metrics["mean_length"][-1]), 2),
        "last policy entropy": f"{metrics['entropy'][-1]:.3g} nats",
        "last explained variance": f"{metrics['explained_variance'][-1]:.3g}",
    }


def _last_evaluation(returns: np.ndarray) -> dict[str, str]:
    played = np.flatnonzero(np.isfinite(returns))
    if not len(played):
        return {}
    last = played[-1]
    return {"greedy return while training": f"{returns[last]:,.2f} (update {last + 1:,})"}


def _curves(history: History) -> str:
    runs = [Runs(history.config, [history.seed], [history.metrics])]
    return "\n".join(
        picture(
            png_bytes(learning_curves(runs, x, style="phone")),
            "png",
            f"Learning curve: training return of each update over {label}.",
        )
        for x, label in (("env_steps", "environment steps"), ("seconds", "training time"))
    )


def _evaluation(config: Config, params: Params, seed: int) -> str:
    from purejaxrl_reinforce.evaluation.gymnasium import has_counterpart

    columns = (
        "greedy episodes",
        "mean greedy return",
        "95% interval",
        "standard deviation",
        "min",
        "max",
    )
    ours = returns_in_jax(config, params, _EPISODES, greedy=True, seed=seed)
    if not has_counterpart(environment.make(config.env, config.env_params)):
        missing = paragraph("Gymnasium has no environment of this name to compare with.")
        return table(columns, [_row("in JAX", return_statistics(ours))]) + missing
    try:
        theirs = returns_in_gymnasium(config, params, _EPISODES, greedy=True, seed=seed)
    except ValueError as error:  # it has not all of env_params
        return table(columns, [_row("in JAX", return_statistics(ours))]) + paragraph(f"{error}.")
    rows = [
        _row("in JAX", return_statistics(ours)),
        _row("in Gymnasium", return_statistics(theirs)),
    ]
    verdict = agreement(ours, theirs)
    return table(columns, rows) + paragraph(f"{verdict[0].upper()}{verdict[1:]}.")


def _row(where: str, found: ReturnStatistics) -> list[str]:
    numbers = (f"{number:,.1f}" for number in (found.std, found.min, found.max))
    mean = f"{found.mean.value:,.1f}"
    interval = f"{found.mean.low:,.1f} to {found.mean.high:,.1f}"
    return [f"{_EPISODES} {where}", mean, interval, *numbers]


def _timing(history: History) -> dict[str, Any]:
    seconds, steps = history.metrics["seconds"], history.metrics["env_steps"]
    return {
        "training, compilation apart": f"{seconds[-1]:,.2f} s",
        "environment steps per second (SPS)": f"{steps[-1] / max(seconds[-1], 1e-9):,.0f}",
        "an update takes": f"{1e3 * seconds[-1] / len(seconds):,.2f} ms on average",
    }
