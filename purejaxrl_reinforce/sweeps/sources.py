"""What is in a directory that somebody wants to look at."""

from pathlib import Path

from purejaxrl_reinforce.config_file import CONFIG_FILE
from purejaxrl_reinforce.sweep_store import SETTINGS_FILE


def is_sweep(path: Path) -> bool:
    """Return whether a directory is that of a sweep; else it is that of a run.

    Raises:
        ValueError: it is neither.
    """
    if (path / SETTINGS_FILE).exists():
        return True
    if (path / CONFIG_FILE).exists():
        return False
    raise ValueError(
        f"{path} is the directory of neither a run nor a sweep:"
        f" it has no {CONFIG_FILE} and no {SETTINGS_FILE}"
    )
