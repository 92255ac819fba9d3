"""Results of a sweep: arrays over settings, seeds and updates, and a table of them."""

import csv
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.algorithm.state import Metrics
from purejaxrl_reinforce.config import FIELD_KINDS, Config, get_field
from purejaxrl_reinforce.output.checksums import load_arrays, save_arrays
from purejaxrl_reinforce.output.files import StrPath, atomic_write
from purejaxrl_reinforce.output.text import setting_labels, short_value
from purejaxrl_reinforce.sweeps.plan import SweepPlan
from purejaxrl_reinforce.sweeps.store import load_agent_slice, load_plan, load_slices

RESULTS_FILE = "results.npz"


@dataclass(frozen=True)
class SweepResults:
    """Metrics of every agent from its first update on, and its greedy evaluation at the end.

    Attributes:
        axes: the swept fields and the values that were asked for, in the order given; empty where
            only seeds were swept.
        configs: of each setting.
        key_data: of each seed's key, [seed, ...] uint32. All settings share the seeds.
        metrics: by field of `Metrics`, [setting, seed, update], with `env_steps` as exact int64.
            Beyond a setting's own num_updates, floats are NaN, integers 0 and `finite` is false.
        evaluation: returns of greedy episodes with the final parameters, [setting, seed, episode].
        path: the directory that has the agents' parameters; on the first process.
    """

    axes: dict[str, tuple[Any, ...]]
    configs: tuple[Config, ...]
    key_data: np.ndarray
    metrics: dict[str, np.ndarray]
    evaluation: np.ndarray
    path: Path | None = None

    @property
    def labels(self) -> list[str]:
        """Name each setting by its swept fields."""
        return labels_of(self.axes, self.configs)

    @property
    def seeds(self) -> list[int]:
        """Number each seed: s where its key is `jax.random.key(s)`, else the key's bits."""
        return [
            sum(int(word) << 32 * i for i, word in enumerate(reversed(data.tolist())))
            for data in self.key_data
        ]

    @property
    def scores(self) -> np.ndarray:
        """Mean return of each agent's greedy episodes, [setting, seed]."""
        return self.evaluation.astype(np.float64).mean(axis=2)

    def params(self, setting: int, seed: int) -> Params:
        """Return the trained parameters of one agent, NumPy arrays, read from the directory.

        Args:
            setting: number of the agent's setting, from 0, as in `configs`.
            seed: of the agent, as in `seeds`.

        Raises:
            ValueError: there is no such agent, or no directory, or its slice is damaged.
        """
        if self.path is None:
            raise ValueError("these results have no directory, which would have the parameters")
        plan = load_plan(self.path)
        row, part = load_agent_slice(self.path, plan, plan.agent_number(setting, seed))
        params: Params = jax.tree.map(lambda x: x[row], part.state.params)
        return params

    def to_rliable(self) -> dict[str, np.ndarray]:
        """Return the scores as rliable takes them: an array (runs, tasks) by name of a setting.

        Runs are seeds. Tasks are the environments, where `env` was swept in a full grid; else
        there is one.
        """
        by_label: dict[str, list[np.ndarray]] = {}
        others = [name for name in _in_order(self.axes) if name != "env"]
        for label, scores in zip(setting_labels(self.configs, others), self.scores, strict=True):
            by_label.setdefault(label or "all", []).append(scores)
        if len({len(tasks) for tasks in by_label.values()}) > 1:  # zipped: not all in every task
            labeled = zip(self.labels, self.scores, strict=True)
            return {label: scores[:, None] for label, scores in labeled}
        return {label: np.stack(tasks, axis=1) for label, tasks in by_label.items()}


def labels_of(axes: Mapping[str, Any], configs: Sequence[Config]) -> list[str]:
    """Name each setting by its swept fields, in the order of `Config`."""
    if not axes:
        return [configs[0].env]
    return setting_labels(configs, _in_order(axes))


def _in_order(axes: Mapping[str, Any]) -> list[str]:
    fields = [name for name in FIELD_KINDS if name in axes]
    return [*fields, *(name for name in axes if name not in fields)]


def gather_results(path: Path, plan: SweepPlan) -> SweepResults:
    """Gather the slices of a finished plan from the directory of its sweep.

    Raises:
        ValueError: an agent is missing.
    """
    shape = (len(plan.configs), plan.num_seeds)
    metrics: dict[str, np.ndarray] = {}
    evaluation = np.zeros((*shape, plan.num_episodes), np.float32)
    missing = np.ones(shape, bool)
    for _, part in load_slices(path, plan):
        if part is None:
            continue
        where = np.divmod(part.agents, plan.num_seeds)
        applied = np.where(part.metrics.finite, part.metrics.num_steps, 0)
        columns = part.metrics._asdict() | {"env_steps": applied.cumsum(axis=1, dtype=np.int64)}
        for name, values in columns.items():
            if name not in metrics:
                nothing = np.nan if values.dtype.kind == "f" else 0
                metrics[name] = np.full((*shape, plan.num_updates), nothing, values.dtype)
            metrics[name][*where, : values.shape[1]] = values
        evaluation[where] = part.evaluation
        missing[where] = False
    if missing.any():
        raise ValueError(f"{path} lacks {missing.sum()} of {missing.size} agents")
    return SweepResults(plan.axes, plan.configs, plan.key_data, metrics, evaluation, path)


def save_results(path: Path, results: SweepResults) -> None:
    """Write the arrays of a sweep into its directory."""
    arrays = results.metrics | {"evaluation": results.evaluation, "key_data": results.key_data}
    save_arrays(path / RESULTS_FILE, arrays)


def load_sweep(path: StrPath) -> SweepResults:
    """Return the results in the directory of a sweep.

    Raises:
        ValueError: it is no such directory, or its results are damaged or not all there yet.
    """
    path = Path(path)
    plan, file = load_plan(path), path / RESULTS_FILE
    try:
        arrays = load_arrays(file)
        metrics = {name: arrays[name] for name in Metrics._fields}
        evaluation, key_data = arrays["evaluation"], arrays["key_data"]
        _require_fit(plan, metrics, evaluation, key_data)
    except FileNotFoundError:
        raise ValueError(
            f"{path} is not finished: it has no {file.name}; rerun the same sweep command to finish"
        ) from None
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror}") from None
    except (KeyError, ValueError):
        raise ValueError(f"{file} is damaged; rerun the same sweep command to repair it") from None
    return SweepResults(plan.axes, plan.configs, key_data, metrics, evaluation, path)


def _require_fit(
    plan: SweepPlan, metrics: dict[str, np.ndarray], evaluation: np.ndarray, key_data: np.ndarray
) -> None:
    """Raise ValueError if these are the results of another plan."""
    shape = (len(plan.configs), plan.num_seeds)
    shapes = {values.shape for values in metrics.values()}
    if shapes != {(*shape, plan.num_updates)} or evaluation.shape != (*shape, plan.num_episodes):
        raise ValueError("arrays of other shapes")
    if not np.array_equal(key_data, plan.key_data):
        raise ValueError("other seeds")


TABLE_STEM = "table"


def save_table(path: Path, results: SweepResults) -> Path:
    """Write the table into a sweep's directory and return its path.

    That is Parquet where pyarrow is installed, else CSV. Columns: `setting` counts from 0, then
    the swept fields, `seed`, `update`, which counts from 1, and the metrics. A swept field with the
    name of a metric, `num_steps`, becomes `config_num_steps`.
    """
    if importlib.util.find_spec("pyarrow") is not None:
        file = path / f"{TABLE_STEM}.parquet"
        with atomic_write(file) as unfinished:
            _write_parquet(unfinished, results)
        return file
    file = path / f"{TABLE_STEM}.csv"
    with atomic_write(file) as unfinished, unfinished.open("w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        for i, columns in enumerate(_columns(results)):
            if i == 0:
                writer.writerow(columns)
            writer.writerows(zip(*(x.tolist() for x in columns.values()), strict=True))
    return file


def _write_parquet(file: Path, results: SweepResults) -> None:
    import pyarrow
    import pyarrow.parquet

    writer = None
    try:
        for columns in _columns(results):
            table = pyarrow.table(columns)
            writer = writer or pyarrow.parquet.ParquetWriter(file, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _columns(results: SweepResults) -> Iterator[dict[str, np.ndarray]]:
    """Give the columns of each setting's rows, [seed * update]."""
    swept = _swept_columns(results)
    for setting, config in enumerate(results.configs):
        seeds, updates = len(results.key_data), config.num_updates
        rows = seeds * updates
        metrics = {
            name: values[setting, :, :updates].reshape(rows)
            for name, values in results.metrics.items()
        }
        yield {
            "setting": np.full(rows, setting),
            **{name: np.full(rows, values[setting]) for name, values in swept.items()},
            "seed": np.repeat(np.asarray(results.seeds, np.uint64), updates),
            "update": np.tile(np.arange(1, updates + 1), seeds),
            "env_steps": metrics.pop("env_steps"),
            **metrics,
        }


def _swept_columns(results: SweepResults) -> dict[str, list[Any]]:
    """Return each swept field's column name and its value in each setting, all of one type."""
    columns = {}
    for name in results.axes:
        values = [get_field(config, name) for config in results.configs]
        if any(value is None or isinstance(value, tuple) for value in values):
            values = [short_value(value) for value in values]
        columns[f"config_{name}" if name in results.metrics else name] = values
    return columns
