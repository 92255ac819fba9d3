"""What a finished sweep leaves beside its arrays: a table, statistics, pictures."""

from pathlib import Path

from purejaxrl_reinforce.sweep_results import SweepResults
from purejaxrl_reinforce.sweep_table import save_table


def save_findings(path: Path, results: SweepResults, quiet: bool) -> None:
    """Write table, statistics and pictures into the directory of a sweep; print the statistics."""
    save_table(path, results)
