"""Files and figures of a sweep, and its curves for TensorBoard and Weights & Biases."""

import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console

from purejaxrl_reinforce.decisions.ranking import Ranking, explain_looks, ranking_view
from purejaxrl_reinforce.figures import sweep as pictures
from purejaxrl_reinforce.figures.curves import Runs
from purejaxrl_reinforce.figures.style import Style, save_figure
from purejaxrl_reinforce.output import files, json_text
from purejaxrl_reinforce.runs.loggers import make_loggers
from purejaxrl_reinforce.statistics import interquartile_mean
from purejaxrl_reinforce.sweeps.results import SweepResults
from purejaxrl_reinforce.sweeps.studies import explain_confirmed
from purejaxrl_reinforce.sweeps.summary import rank, scores_of_settings, summary_dict

# Mean numbers of steps that differ by more are different budgets.
_UNEQUAL = 1.1
# That learning curves need. Agents are trained together: none has `seconds` of its own.
_COLUMNS = ("env_steps", "mean_return", "min_return", "max_return", "eval_return")


def save_outputs(path: Path, results: SweepResults, quiet: bool) -> None:
    """Write arrays, table, statistics and pictures into a sweep's directory; print the ranking."""
    save_results(path, results)
    rankings, confirmed = rank(results), results.confirmed
    with files.atomic_write(path / "summary.json") as unfinished:
        content = {**summary_dict(results, rankings), "confirmed": confirmed}
        unfinished.write_text(json_text.dump_json(content))
    for name, figure in sweep_figures(results, rankings).items():
        with files.atomic_write(path / f"{name}.png") as unfinished:
            save_figure(figure, unfinished)
    if not quiet:
        sys.stdout.flush()
        Console().print(ranking_view(rankings))
        lines = [line for ranking in rankings for line in explain_looks(ranking)]
        for line in [*lines, *map(explain_confirmed, confirmed)]:
            print(line)
        print(f"{path}: {', '.join(sorted(file.name for file in path.iterdir()))}")


def unequal_steps(results: SweepResults) -> Iterator[str]:
    """Yield a line for each environment whose settings took different numbers of steps.

    Agents that halving stopped do not count.
    """
    steps = results.metrics["env_steps"].max(axis=2)
    whole = results.done == [[config.num_updates] for config in results.configs]
    settings = np.flatnonzero(whole.any(axis=1)).tolist()
    for env, ours in results.by_task(settings).items():
        means = [float(steps[i, whole[i]].mean()) for i in ours]
        if max(means) > _UNEQUAL * min(means):
            yield (
                f"settings of {env} took {min(means):,.0f} to {max(means):,.0f} environment steps"
                " per seed: the ranking compares unequal budgets (--total-steps sets equal ones)"
            )


def save_results(path: Path, results: SweepResults) -> None:
    """Write arrays and table into a sweep directory, for other programs: nothing here reads them.

    The table, see `SweepResults.to_pandas`, is Parquet where pyarrow is installed, else CSV.
    """
    names = ("evaluation", "key_data", "seconds", "updates")
    arrays = {name: getattr(results, name) for name in names}
    with files.atomic_write(path / "results.npz") as unfinished:
        np.savez(unfinished, **(results.metrics | arrays))
    kind = "csv" if importlib.util.find_spec("pyarrow") is None else "parquet"
    with files.atomic_write(path / f"table.{kind}") as unfinished:
        getattr(results.to_pandas(), f"to_{kind}")(unfinished, index=False)


def sweep_figures(
    results: SweepResults, rankings: Sequence[Ranking], style: Style = "screen"
) -> dict[str, Figure]:
    """Return the pictures that these results have, see `figures.sweep.sweep_figures`."""
    scores = scores_of_settings(results)
    summaries = [summary for ranking in rankings for summary in ranking.summaries]
    groups = setting_runs(results, [summary.setting for summary in summaries])
    settings = [
        pictures.Setting(runs, scores[summary.setting], summary)
        for runs, summary in zip(groups, summaries, strict=True)
    ]
    return pictures.sweep_figures(settings, results.axes, style)


def setting_runs(results: SweepResults, settings: Sequence[int], source: str = "") -> list[Runs]:
    """Return the runs of settings by number, each up to its last finite update."""

    def columns(setting: int, row: int) -> dict[str, np.ndarray]:
        # An update that was not finite was not applied, and no later one is.
        applied = int(results.metrics["finite"][setting, row].sum())
        found = {name: results.metrics[name][setting, row, :applied] for name in _COLUMNS}
        found = {name: values.astype(np.float64) for name, values in found.items()}
        return {"update": np.arange(1.0, applied + 1), **found}

    return [
        Runs(
            results.configs[i],
            results.seeds_of(i),
            [columns(i, row) for row in np.flatnonzero(results.trained[i]).tolist()],
            source,
        )
        for i in settings
    ]


def log_curves(
    path: Path, results: SweepResults, names: Sequence[str], wandb: Mapping[str, Any]
) -> None:
    """Log the metrics of each setting: interquartile means over its seeds at each update.

    The group of `wandb.init` is the directory's name if its arguments have none.

    Raises:
        ValueError: a logger cannot start.
    """
    for setting, config in enumerate(results.configs if names else ()):
        part = f"setting{setting} {results.labels[setting]}".replace("/", "_")[:100]
        facts = asdict(config) | {"setting": setting, "num_seeds": len(results.key_data)}
        loggers = make_loggers(names, path, facts, 0, {"group": path.name, **wandb}, part)
        try:
            columns = means_over_seeds(results, setting)
            for update, row in enumerate(zip(*columns.values(), strict=True), 1):
                metrics = dict(zip(columns, map(float, row), strict=True))
                for logger in loggers:
                    logger.log(update, metrics)
        finally:
            for logger in loggers:
                logger.close()


def means_over_seeds(results: SweepResults, setting: int) -> dict[str, np.ndarray]:
    """Return the interquartile mean of each metric over the seeds that have it, [update]."""
    n = results.configs[setting].num_updates
    metrics = {name: values[setting, :, :n].T for name, values in results.metrics.items()}
    finite = metrics.pop("finite")

    def mean(values: np.ndarray) -> float:
        return float(interquartile_mean(values)) if values.size else np.nan

    return {
        name: np.array(
            [mean(x[kept]) for x, kept in zip(values, finite & np.isfinite(values), strict=True)]
        )
        for name, values in metrics.items()
    }
