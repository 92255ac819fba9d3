"""Runs that train in a second, for the tests of what is done with them afterwards."""

from pathlib import Path

import jax

from purejaxrl_reinforce import Config, init
from purejaxrl_reinforce.cli import main
from purejaxrl_reinforce.config_file import dump_config
from purejaxrl_reinforce.results import CONFIG_FILE, PARAMS_FILE, save_params


def train_run(path: Path, *arguments: str) -> Path:
    """Train into `path` through the command line; return it."""
    assert main(["train", "--quiet", "--run-dir", str(path), *arguments]) == 0
    return path


def error_of(arguments: list[str], capsys) -> str:
    """Run the command line on bad input; return its one line of error without "error: "."""
    capsys.readouterr()
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    assert error.startswith("error: "), error
    return error.removeprefix("error: ")


def untrained_run(path: Path, config: Config) -> Path:
    """Leave a run directory with the configuration and fresh parameters, and no more."""
    path.mkdir()
    (path / CONFIG_FILE).write_text(dump_config(config, seed=0))
    save_params(path / PARAMS_FILE, init(config, jax.random.key(0)).params)
    return path
