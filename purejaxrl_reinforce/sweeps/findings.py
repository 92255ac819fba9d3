"""What a finished sweep leaves beside its arrays: a table, statistics, pictures."""

import json
import sys
from pathlib import Path

from rich.console import Console

from purejaxrl_reinforce.files import replacing
from purejaxrl_reinforce.plots import save_figure
from purejaxrl_reinforce.sweep_plots import sweep_figures
from purejaxrl_reinforce.sweep_results import SweepResults
from purejaxrl_reinforce.sweep_summary import summarise, summary_dict, summary_view
from purejaxrl_reinforce.sweep_table import save_table

SUMMARY_FILE = "summary.json"


def save_findings(path: Path, results: SweepResults, quiet: bool) -> None:
    """Write table, statistics and pictures into the directory of a sweep; print the statistics."""
    save_table(path, results)
    summaries = summarise(results)
    with replacing(path / SUMMARY_FILE) as unfinished:
        unfinished.write_text(json.dumps(summary_dict(results, summaries), indent=1))
    for name, figure in sweep_figures(results, summaries).items():
        with replacing(path / f"{name}.png") as unfinished:
            save_figure(figure, unfinished)
    if not quiet:
        sys.stdout.flush()
        Console().print(summary_view(results, summaries))
        print(f"{path}: {', '.join(sorted(file.name for file in path.iterdir()))}")
