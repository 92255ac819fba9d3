"""Results of a sweep: arrays over settings, seeds and updates, and a table of them."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.algorithm.state import Metrics
from purejaxrl_reinforce.config import FIELD_KINDS, Config, get_field
from purejaxrl_reinforce.output.files import StrPath, atomic_write
from purejaxrl_reinforce.output.text import setting_labels, short_value
from purejaxrl_reinforce.sweeps.plan import SweepPlan, seed_numbers
from purejaxrl_reinforce.sweeps.store import SavedSweep, saved_sweep

if TYPE_CHECKING:
    import pandas


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
        seconds: of training, each agent's share of its slice's, [setting, seed]; NaN before it is
            trained.
        path: the directory that has the agents' parameters; on the first process.
    """

    axes: dict[str, tuple[Any, ...]]
    configs: tuple[Config, ...]
    key_data: np.ndarray
    metrics: dict[str, np.ndarray]
    evaluation: np.ndarray
    seconds: np.ndarray
    path: Path | None = None

    @property
    def labels(self) -> list[str]:
        """Name each setting by its swept fields, in the order of `Config`."""
        if not self.axes:
            return [self.configs[0].env]
        return setting_labels(self.configs, self._fields)

    @property
    def _fields(self) -> list[str]:
        of_config = [name for name in FIELD_KINDS if name in self.axes]
        return [*of_config, *(name for name in self.axes if name not in of_config)]

    @property
    def seeds(self) -> list[int]:
        """Number each seed: s where its key is `jax.random.key(s)`, else the key's bits."""
        return seed_numbers(self.key_data)

    @property
    def num_trained(self) -> int:
        """Number of agents that are trained; fewer than all while a sweep goes on."""
        return int(np.isfinite(self.seconds).sum())

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
        sweep = saved_sweep(self.path)
        part, row = sweep.slice_with(sweep.plan.agent_number(setting, seed))
        params: Params = jax.tree.map(lambda x: x[row], part.state.params)
        return params

    def add(
        self, agents: np.ndarray, metrics: Metrics, evaluation: np.ndarray, seconds: float
    ) -> None:
        """Fill in agents that are trained; see `Slice`."""
        where = np.divmod(agents, len(self.key_data))
        applied = np.where(metrics.finite, metrics.num_steps, 0)
        columns = metrics._asdict() | {"env_steps": applied.cumsum(axis=1, dtype=np.int64)}
        for name, values in columns.items():
            if name not in self.metrics:
                shape = *self.seconds.shape, max(config.num_updates for config in self.configs)
                nothing = np.nan if values.dtype.kind == "f" else 0
                self.metrics[name] = np.full(shape, nothing, values.dtype)
            self.metrics[name][*where, : values.shape[1]] = values
        self.evaluation[where] = evaluation
        self.seconds[where] = seconds / len(agents)

    def to_rliable(self) -> dict[str, np.ndarray]:
        """Return the scores as rliable takes them: an array (runs, tasks) by name of a setting.

        Runs are seeds. Tasks are the environments, where `env` was swept in a full grid; else
        there is one.
        """
        by_label: dict[str, list[np.ndarray]] = {}
        others = [name for name in self._fields if name != "env"]
        for label, scores in zip(setting_labels(self.configs, others), self.scores, strict=True):
            by_label.setdefault(label or "all", []).append(scores)
        if len({len(tasks) for tasks in by_label.values()}) > 1:  # zipped: not all in every task
            labeled = zip(self.labels, self.scores, strict=True)
            return {label: scores[:, None] for label, scores in labeled}
        return {label: np.stack(tasks, axis=1) for label, tasks in by_label.items()}


def load_sweep(path: StrPath) -> SweepResults:
    """Return the results in the directory of a sweep.

    Raises:
        ValueError: it is no such directory, its slices are damaged, or some are not there yet.
    """
    return gather_results(saved_sweep(Path(path)))


def gather_results(sweep: SavedSweep) -> SweepResults:
    """Return the results of a finished sweep, from its slices.

    Raises:
        ValueError: a slice is damaged, or an agent is missing.
    """
    results = empty_results(sweep.plan, sweep.path)
    for part in sweep.slices():
        results.add(part.agents, part.metrics, part.evaluation, part.seconds)
    if missing := results.seconds.size - results.num_trained:
        raise ValueError(
            f"{sweep.path} is not finished: {missing:,} of {results.seconds.size:,} agents are"
            " missing; rerun the same sweep command to finish"
        )
    return results


def empty_results(plan: SweepPlan, path: Path | None) -> SweepResults:
    """Return the results of a plan before any agent is trained."""
    shape = len(plan.configs), plan.num_seeds
    evaluation = np.zeros((*shape, plan.num_episodes), np.float32)
    return SweepResults(
        plan.axes, plan.configs, plan.key_data, {}, evaluation, np.full(shape, np.nan), path
    )


def save_results(path: Path, results: SweepResults) -> None:
    """Write arrays and table into the directory of a sweep, for others: nothing here reads them.

    The table is Parquet where pyarrow is installed, else CSV. Columns: `setting` counts from 0,
    then the swept fields, `seed`, `update`, which counts from 1, and the metrics. A swept field
    with the name of a metric, `num_steps`, becomes `config_num_steps`.
    """
    arrays = {name: getattr(results, name) for name in ("evaluation", "key_data", "seconds")}
    with atomic_write(path / "results.npz") as unfinished:
        np.savez(unfinished, **(results.metrics | arrays))
    parquet = importlib.util.find_spec("pyarrow") is not None
    with atomic_write(path / f"table.{'parquet' if parquet else 'csv'}") as unfinished:
        table = _table(results)
        if parquet:
            table.to_parquet(unfinished, index=False)
        else:
            table.to_csv(unfinished, index=False)


def _table(results: SweepResults) -> "pandas.DataFrame":
    """Return a row for each setting, seed and update."""
    import pandas  # takes half a second, and only the end of a sweep needs it

    lengths = np.array([[[config.num_updates]] for config in results.configs])
    shape = results.metrics["finite"].shape
    own = np.broadcast_to(np.arange(shape[2]) < lengths, shape)
    setting, seed, update = np.nonzero(own)
    swept = {name: np.array(values)[setting] for name, values in _swept_columns(results).items()}
    metrics = {name: values[own] for name, values in results.metrics.items()}
    return pandas.DataFrame(
        {
            "setting": setting,
            **swept,
            "seed": np.array(results.seeds, np.uint64)[seed],
            "update": update + 1,
            "env_steps": metrics.pop("env_steps"),
            **metrics,
        }
    )


def _swept_columns(results: SweepResults) -> dict[str, list[Any]]:
    """Return each swept field's column name and its value in each setting, all of one type."""
    columns = {}
    for name in results.axes:
        values = [get_field(config, name) for config in results.configs]
        if any(value is None or isinstance(value, tuple) for value in values):
            values = [short_value(value) for value in values]
        columns[f"config_{name}" if name in results.metrics else name] = values
    return columns
