"""Results of a sweep: arrays over settings, seeds and updates."""

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.output.files import StrPath
from purejaxrl_reinforce.output.text import setting_labels
from purejaxrl_reinforce.sweeps.plan import SweepPlan, seed_numbers
from purejaxrl_reinforce.sweeps.population import Slice
from purejaxrl_reinforce.sweeps.store import saved_sweep
from purejaxrl_reinforce.tasks import grouped, task

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
            Beyond an agent's own updates, floats are NaN, integers 0 and `finite` is false.
        evaluation: returns of greedy episodes with the final parameters, [setting, seed, episode].
        seconds: of training, each agent's share of its slice's, [setting, seed].
        updates: that each agent was trained for, [setting, seed]. 0: it is not trained, and its row
            in the other arrays means nothing.
        equal_within: of a study that ends when it is decided, see `SweepPlan`.
        path: the directory that has the agents' parameters; on the first process.

    Example:
        >>> from purejaxrl_reinforce import load_sweep
        >>> load_sweep("sweeps/tiny").ranking()["setting"].tolist()  # best first
        [1, 0]
    """

    axes: dict[str, tuple[Any, ...]]
    configs: tuple[Config, ...]
    key_data: np.ndarray
    metrics: dict[str, np.ndarray]
    evaluation: np.ndarray
    seconds: np.ndarray
    updates: np.ndarray
    path: Path | None = None
    equal_within: float | None = None

    def __fspath__(self) -> str:
        if self.path is None:
            raise ValueError("these results have no directory, on this process")
        return str(self.path)

    @property
    def labels(self) -> list[str]:
        """Name each setting by its swept fields."""
        return setting_labels(self.configs, list(self.axes)) if self.axes else [self.configs[0].env]

    @property
    def seeds(self) -> list[int]:
        """Number each seed: s where its key is `jax.random.key(s)`, else the key's bits."""
        return seed_numbers(self.key_data)

    def seeds_of(self, setting: int) -> list[int]:
        """Return the numbers of the seeds that a setting is trained with."""
        pairs = zip(self.seeds, self.trained[setting], strict=True)
        return [seed for seed, is_trained in pairs if is_trained]

    @property
    def trained(self) -> np.ndarray:
        """Whether each agent is trained, [setting, seed]; not all are while a sweep goes on."""
        return self.updates > 0

    @property
    def num_trained(self) -> int:
        """Number of agents that are trained."""
        return int(self.trained.sum())

    @property
    def scores(self) -> np.ndarray:
        """Mean return of each agent's greedy episodes, [setting, seed]."""
        return self.evaluation.astype(np.float64).mean(axis=2)

    def params(self, setting: int, seed: int) -> Params:
        """Return the trained parameters of one agent, NumPy arrays, read from the directory.

        Its setting is the number of one of `configs`, from 0; its seed is one of `seeds`.

        Raises:
            ValueError: there is no such agent, or no directory, or its slice is damaged.
        """
        saved = saved_sweep(Path(self))
        plan = replace(saved.plan, configs=self.configs)  # which may have objects of no name
        params: Params = replace(saved, plan=plan).agent(setting, seed).state.params
        return params

    def add(self, part: Slice) -> None:
        """Fill in agents that are trained, where they are trained further than before."""
        seed, setting = np.divmod(part.agents, len(self.configs))
        applied = np.where(part.metrics.finite, part.metrics.num_steps, 0)
        columns = part.metrics._asdict() | {"env_steps": applied.cumsum(axis=1, dtype=np.int64)}
        num_updates = applied.shape[1]
        new = self.updates[setting, seed] < num_updates
        setting, seed = setting[new], seed[new]
        for name, values in columns.items():
            if name not in self.metrics:
                shape = *self.seconds.shape, max(config.num_updates for config in self.configs)
                nothing = np.nan if values.dtype.kind == "f" else 0
                self.metrics[name] = np.full(shape, nothing, values.dtype)
            self.metrics[name][setting, seed, :num_updates] = values[new]
        self.evaluation[setting, seed] = part.evaluation[new]
        self.seconds[setting, seed] = part.seconds[new]
        self.updates[setting, seed] = num_updates

    # What follows is in files that import this one.

    def __repr__(self) -> str:
        """Return the ranking as text."""
        from purejaxrl_reinforce.decisions import ranking
        from purejaxrl_reinforce.sweeps import summary

        trained = ranking.ranking_text(summary.rank(self)) if self.num_trained else ""
        return trained or "SweepResults: no agent is trained"

    def _repr_html_(self) -> str:
        """Return the ranking as HTML, for notebooks."""
        from purejaxrl_reinforce.decisions import ranking
        from purejaxrl_reinforce.output.html import table
        from purejaxrl_reinforce.sweeps import summary

        ranked = summary.rank(self) if self.num_trained else []
        parts = (table(ranking.RANKING_HEADINGS, ranking.ranking_rows(r)) for r in ranked)
        titles = map(ranking.title_of, ranked)
        return "".join(f"<p>{title}</p>{x}" for title, x in zip(titles, parts, strict=True))

    def ranking(self) -> "pandas.DataFrame":
        """Return a row for each setting, the best first.

        Columns are the attributes of `decisions.ranking.Summary`; with `_low` and `_high`, the 95%
        interval of one.
        """
        import pandas

        from purejaxrl_reinforce.sweeps.summary import summarize

        def flat(name: str, x: Any) -> dict[str, Any]:
            parts = x._asdict() if hasattr(x, "_asdict") else {"value": x}
            return {name if key == "value" else f"{name}_{key}": y for key, y in parts.items()}

        rows = ([flat(*item) for item in vars(summary).items()] for summary in summarize(self))
        return pandas.DataFrame([dict(itertools.chain(*map(dict.items, row))) for row in rows])

    @property
    def best(self) -> Config:
        """The configuration of the first setting in the ranking.

        Raises:
            ValueError: there are several environments, each with a ranking of its own.
        """
        from purejaxrl_reinforce.sweeps.summary import rank

        first, *others = rank(self)
        if others:
            raise ValueError("there is a best setting for each environment, see ranking()")
        return self.configs[first.summaries[0].setting]

    @property
    def confirmed(self) -> list[dict[str, Any]]:
        """Scores of the best two settings on unseen seeds; empty where none are trained.

        Of each: `setting`, `num_seeds`, the interquartile mean with its 95% interval in the `study`
        and with the `unseen` seeds, and the `optimism`, their difference.
        """
        from purejaxrl_reinforce.sweeps import studies, summary

        return studies.confirmed(self, summary.rank(self))

    def to_pandas(self) -> "pandas.DataFrame":
        """Return a row for each setting, seed and update, as in the table of a sweep's files."""
        from purejaxrl_reinforce.sweeps.outputs import table

        return table(self)

    def to_latex(self) -> str:
        """Return the ranking as LaTeX; it needs the package booktabs."""
        from purejaxrl_reinforce.decisions import ranking
        from purejaxrl_reinforce.sweeps import summary

        return ranking.ranking_latex(summary.rank(self))


def load_sweep(path: StrPath) -> SweepResults:
    """Return the results of a sweep directory.

    Raises:
        ValueError: it is no such directory, its slices are damaged, or some are not there yet.

    Example:
        >>> from purejaxrl_reinforce import load_sweep
        >>> load_sweep("sweeps/tiny").seeds  # of the example of sweep
        [0, 1]
    """
    sweep = saved_sweep(Path(path))
    results = empty_results(sweep.plan, sweep.path)
    for part in map(sweep.load, sweep.files()):
        results.add(part)
    if missing := int((results.updates < sweep.plan.goals).sum()):
        raise ValueError(
            f"{path} is not finished: {missing:,} of {sweep.plan.num_agents:,} agents are"
            " missing; rerun the same sweep command to finish"
        )
    for ranked in grouped(range(len(results.configs)), lambda i: task(results.configs[i])).values():
        if all(results.updates[i].max() < results.configs[i].num_updates for i in ranked):
            raise ValueError(
                f"{path} is not finished: its halving goes on; rerun the same sweep command to"
                " finish"
            )
    return results


def empty_results(plan: SweepPlan, path: Path | None) -> SweepResults:
    """Return the results of a plan before any agent is trained."""
    shape = len(plan.configs), plan.num_seeds
    evaluation = np.full((*shape, plan.num_episodes), np.nan, np.float32)
    seconds, updates = np.zeros(shape), np.zeros(shape, np.int64)
    return SweepResults(
        plan.axes, plan.configs, plan.key_data, {}, evaluation, seconds, updates, path,
        plan.equal_within,
    )  # fmt: skip
