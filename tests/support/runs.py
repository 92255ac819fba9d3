"""Runs that train in a second, for the tests of what is done with them afterwards."""

from pathlib import Path

import jax
import numpy as np
import pandas

from purejaxrl_reinforce import Config, load_run
from purejaxrl_reinforce.algorithm.reinforce import state_shapes
from purejaxrl_reinforce.algorithm.state import Metrics
from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.config_file import (
    CONFIG_FILE,
    dump_config,
    load_run_config,
    new_identity,
)
from purejaxrl_reinforce.output.sealed import load_arrays, save_arrays
from purejaxrl_reinforce.runs.checkpoint import named_arrays
from purejaxrl_reinforce.runs.metrics_csv import MetricsFile
from purejaxrl_reinforce.runs.run_dir import METRICS_FILE, PARAMS_FILE
from tests.support.configs import TEXTBOOK

# Trains in a second once it is compiled; what shares it, or differs from it in floats only, need
# not compile it again. `finished_run` in conftest.py is a run of it.
TINY = TEXTBOOK.replace(num_envs=8, num_steps=20, num_updates=6, hidden_sizes=(8,), anneal=False)

# What a run directory holds in the end.
FILES = {
    "checkpoints", "config.toml", "metrics.csv", "params.npz", "rewards.npy", "rewards.png",
    "run.log", "machine.json", "fingerprint.json",
}  # fmt: skip


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


def contents_of(path: Path) -> dict[Path, bytes]:
    """Return all files below a directory but its log."""
    return {x: x.read_bytes() for x in path.rglob("*") if x.is_file() and x.suffix != ".log"}


def write_config(path: Path, config: Config, seed: int = 0) -> None:
    """Leave the configuration of a new run."""
    path.write_text(dump_config(config, seed, new_identity(config)))


def random_run(path: Path, config: Config) -> Path:
    """Leave a run directory with the configuration and random parameters, without compiling."""
    path.mkdir()
    draw = np.random.default_rng(0).normal
    params = jax.tree.map(lambda x: draw(size=x.shape).astype(x.dtype), state_shapes(config).params)
    if moments := params.obs_moments:
        params = params._replace(obs_moments=moments._replace(var=np.abs(moments.var)))
    write_config(path / CONFIG_FILE, config)
    save_arrays(path / PARAMS_FILE, named_arrays(params), load_run_config(path)[2])
    return path


def write_metrics(run_dir: Path, columns: dict[str, np.ndarray], seconds: float) -> None:
    """Leave a metrics.csv with these columns, whose updates took `seconds` together."""
    file = MetricsFile(run_dir / METRICS_FILE, load_run_config(run_dir)[2])
    file.start()
    fields = {name: columns[name] for name in Metrics._fields if name in columns}
    file.add(Metrics(finite=columns["update"] > 0, **fields), seconds)


def trained(path: Path):
    """Return the metrics of a run, but for the clock, and its parameters by name."""
    table = pandas.read_csv(path / "metrics.csv").drop(columns=["seconds", "crc32"])
    return table, load_arrays(path / "params.npz")


def assert_same_run(path: Path, other: Path) -> None:
    """Parameters bit for bit; metrics too, but for the clock; and the fingerprint, if any."""
    (table, params), (other_table, other_params) = trained(path), trained(other)
    pandas.testing.assert_frame_equal(table, other_table, check_exact=True)
    assert list(params) == list(other_params)
    for name, array in params.items():
        np.testing.assert_array_equal(array, other_params[name])
    if (mark := load_run(path).fingerprint) is not None:
        assert mark == load_run(other).fingerprint
