"""What the figures of a sweep draw: the runs of its settings, their scores and statistics."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from purejaxrl_reinforce.figures import sweep
from purejaxrl_reinforce.figures.curves import Runs
from purejaxrl_reinforce.figures.style import Style
from purejaxrl_reinforce.sweeps.ranking import swept_fields
from purejaxrl_reinforce.sweeps.results import SweepResults
from purejaxrl_reinforce.sweeps.summary import Summary, agent_scores

_COLUMNS = ("env_steps", "mean_return", "min_return", "max_return", "eval_return")


def sweep_figures(
    results: SweepResults, summaries: Sequence[Summary], style: Style = "screen"
) -> dict[str, Figure]:
    """Return the pictures that these results have, see `figures.sweep.sweep_figures`.

    Args:
        results: of the sweep.
        summaries: of its settings, as `summarize` returns them.
        style: of the pictures.
    """
    scores = agent_scores(results)
    groups = setting_runs(results, [summary.setting for summary in summaries])
    settings = []
    for runs, s in zip(groups, summaries, strict=True):
        # The environment has axes of its own.
        fields = [field for field in swept_fields(s.label) if not field.startswith("env=")]
        solved = None if s.solved is None else s.solved.value
        settings.append(sweep.Setting(runs, fields or [s.label], scores[s.setting], s.iqm, solved))
    return sweep.sweep_figures(settings, results.axes, style)


def setting_runs(results: SweepResults, settings: Sequence[int], source: str = "") -> list[Runs]:
    """Return the runs of settings by number, each up to its last finite update.

    They have the columns that learning curves need, but no `seconds`: agents are trained together,
    and none of them has a time of its own.
    """
    seeds = results.seeds

    def columns(setting: int, row: int) -> dict[str, np.ndarray]:
        # An update that was not finite was not applied, and no later one is.
        applied = int(results.metrics["finite"][setting, row].sum())
        found = {name: results.metrics[name][setting, row, :applied] for name in _COLUMNS}
        found = {name: values.astype(np.float64) for name, values in found.items()}
        return {"update": np.arange(1.0, applied + 1), **found}

    return [
        Runs(results.configs[i], seeds, [columns(i, row) for row in range(len(seeds))], source)
        for i in settings
    ]
