"""Page of a run: summary, learning curves, evaluation, video, configuration."""

import dataclasses
import shlex
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.evaluation import scores, video
from purejaxrl_reinforce.evaluation.gymnasium import NoRendererError
from purejaxrl_reinforce.execution.machine import in_words
from purejaxrl_reinforce.figures.curves import X_LABELS, Runs, learning_curves
from purejaxrl_reinforce.figures.style import png_bytes
from purejaxrl_reinforce.output.html import code, facts, page, paragraph, picture
from purejaxrl_reinforce.reports.description import describe
from purejaxrl_reinforce.runs.run_dir import load_starts
from purejaxrl_reinforce.runs.saved_run import SavedRun, load_run
from purejaxrl_reinforce.tasks import first_solved, task

_EPISODES = 100


def run_page(run_dir: Path, seed: int) -> str:
    """Return the HTML page of a run; its evaluation and its video use the seed.

    Raises:
        ValueError: it is not a run directory, a file in it is missing or damaged, or no episode
            has finished.
    """
    run = load_run(run_dir)
    params, starts = run.params, load_starts(run.path, run.owner)
    curves = _curves(run)  # first: it refuses a run without a finished episode
    name = shlex.quote(run_dir.absolute().name)
    return page(
        f"{run.config.env}, seed {run.seed}: a training run with REINFORCE",
        {
            "Summary": facts(_summary(run)),
            "Learning curves": curves,
            "Final evaluation": _evaluation(run, seed),
            "Video": video_of(run.config, params, seed),
            "What was trained": facts(describe(run.config)),
            "Machine": "\n".join(facts(in_words(start)) for start in starts)
            or paragraph("Not recorded, or damaged."),
            "Configuration": facts({**dataclasses.asdict(run.config), "seed": run.seed})
            + paragraph("This repeats the training:")
            + code(f"purejaxrl-reinforce train --config {name}/config.toml --seed {run.seed}"),
        },
    )


def video_of(config: Config, params: Params, seed: int) -> str:
    """Return a video of an episode with greedy actions, or how to get one."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "video.gif"
        try:
            video.make_video(path, config, [video.Episode("episode 1", params, seed)])
        except NoRendererError as error:
            return paragraph(f"There is no video, since {error}.")
        data = path.read_bytes()
    return picture(data, "gif", f"Video: an episode of {config.env} with the trained policy.")


def _summary(run: SavedRun) -> dict[str, Any]:
    metrics, returns = run.metrics, run.metrics["mean_return"]
    best, solved = int(np.nanargmax(returns)), first_solved(run.config, returns)
    seconds, steps = float(metrics["seconds"][-1]), int(metrics["env_steps"][-1])
    mark = run.fingerprint
    return {
        "environment": task(run.config),
        "updates": f"{len(returns):,} of {run.config.num_updates:,}",
        "environment steps": steps,
        "episodes": int(metrics["num_episodes"].sum()),
        "training, excluding compilation": f"{seconds:,.2f} s",
        "environment steps per second (SPS)": f"{steps / max(seconds, 1e-9):,.0f}",
        "time per update": f"{1e3 * seconds / len(returns):,.2f} ms",
        "last training return": round(float(returns[-1]), 2),
        "best training return": f"{returns[best]:,.2f} (update {best + 1:,})",
        **({"solved": f"in update {solved:,}"} if solved else {}),
        "last mean length of episodes": round(float(metrics["mean_length"][-1]), 2),
        "last policy entropy": f"{metrics['entropy'][-1]:.3g} nats",
        "last explained variance": f"{metrics['explained_variance'][-1]:.3g}",
        **(
            {"fingerprint": f"{mark['sha256'][:16]} after update {mark['updates']}"} if mark else {}
        ),
    }


def _curves(run: SavedRun) -> str:
    runs = [Runs(run.config, [run.seed], [run.metrics])]
    figures = {x: learning_curves(runs, x, style="phone") for x in ("env_steps", "seconds")}
    return "\n".join(
        picture(png_bytes(figure), "png", f"Training return of each update over {X_LABELS[x]}.")
        for x, figure in figures.items()
    )


def _evaluation(run: SavedRun, seed: int) -> str:
    arguments = run, _EPISODES, True, seed
    try:
        text = scores.evaluate_run(*arguments, "gymnasium")
    except ValueError as error:  # it has no such environment, or not all of env_params
        text = scores.evaluate_run(*arguments, "jax") + f"\n{error}"
    return "".join(paragraph(f"{line[0].upper()}{line[1:]}.") for line in text.splitlines())
