"""Results of a sweep: arrays over settings, seeds and updates."""

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.config import Config, get_field
from purejaxrl_reinforce.decisions import ranking
from purejaxrl_reinforce.decisions.looks import difference_of
from purejaxrl_reinforce.output import text
from purejaxrl_reinforce.output.files import StrPath
from purejaxrl_reinforce.sweeps.plan import SweepPlan
from purejaxrl_reinforce.sweeps.population import Slice
from purejaxrl_reinforce.sweeps.store import CONFIRMATION, PLAN_FILE, saved_sweep
from purejaxrl_reinforce.sweeps.summary import rank, score_interval, scores_of_settings, summarize

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class SweepResults(SweepPlan):
    """A sweep's settings and seeds, and what is trained of them.

    Metrics of every agent are from its first update on, its greedy evaluation from the end.

    Attributes:
        configs: of each setting.
        axes: the swept fields and their values, in the order given; empty where only seeds were
            swept.
        key_data: of each seed's key, [seed, 2] uint32. All settings share the seeds.
        swept, num_episodes, goals, equal_within: of the plan, see `SweepPlan`.
        metrics: by field of `Metrics`, [setting, seed, update], with `env_steps` as exact int64.
            Beyond an agent's own updates, floats are NaN, integers 0 and `finite` is false.
        evaluation: returns of greedy episodes with the final parameters, [setting, seed, episode].
        seconds: of training, each agent's share of its slice's, [setting, seed].
        done: updates that each agent has behind it or, having reached `stop_at`, no longer needs,
            [setting, seed]. 0: it is not trained, and its row in the other arrays means nothing.
        path: the directory that has the agents' parameters.

    Example:
        >>> from purejaxrl_reinforce import load_sweep
        >>> load_sweep("sweeps/tiny").ranking()["setting"].tolist()  # best first
        [1, 0]
    """

    metrics: dict[str, np.ndarray]
    evaluation: np.ndarray
    seconds: np.ndarray
    done: np.ndarray
    path: Path

    def __fspath__(self) -> str:
        return str(self.path)

    def seeds_of(self, setting: int) -> list[int]:
        """Return the numbers of the seeds that a setting is trained with."""
        return list(itertools.compress(self.seeds, self.trained[setting]))

    @property
    def trained(self) -> np.ndarray:
        """Whether each agent is trained, [setting, seed]; not all are while a sweep goes on."""
        return self.done > 0

    @property
    def updates(self) -> np.ndarray:
        """Updates of each agent, [setting, seed], up to the one that reached `stop_at`."""
        return (self.metrics["num_steps"] > 0).sum(axis=2) if self.metrics else self.done

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
            ValueError: there is no such agent, or its slice is damaged.
        """
        # Its configurations may have objects of no name, unlike the saved ones.
        saved = replace(saved_sweep(self.path), plan=self)
        params: Params = saved.agent(setting, seed).state.params
        return params

    def add(self, part: Slice) -> None:
        """Fill in agents that are trained, where they are trained further than before."""
        setting, seed = part.agents.T
        num_steps = part.metrics.num_steps
        applied = np.where(part.metrics.finite, num_steps, 0).cumsum(axis=1, dtype=np.int64)
        columns = part.metrics.by_name() | {"env_steps": np.where(num_steps > 0, applied, 0)}
        done = num_steps.shape[1]
        new = self.done[setting, seed] < done
        setting, seed = setting[new], seed[new]
        for name, values in columns.items():
            if name not in self.metrics:
                shape = *self.seconds.shape, max(config.num_updates for config in self.configs)
                nothing = np.nan if values.dtype.kind == "f" else 0
                self.metrics[name] = np.full(shape, nothing, values.dtype)
            self.metrics[name][setting, seed, :done] = values[new]
        self.evaluation[setting, seed] = part.evaluation[new]
        self.seconds[setting, seed] = part.seconds[new]
        self.done[setting, seed] = done

    def __repr__(self) -> str:
        """Return the ranking as text."""
        trained = ranking.ranking_text(rank(self)) if self.num_trained else ""
        return trained or "SweepResults: no agent is trained"

    def _repr_html_(self) -> str:
        """Return the ranking as HTML, for notebooks."""
        return "".join(map(ranking.ranking_html, rank(self)))

    def to_latex(self) -> str:
        """Return the ranking as LaTeX; it needs the package booktabs."""
        return ranking.ranking_latex(rank(self))

    def ranking(self) -> "pandas.DataFrame":
        """Return a row for each setting, the best first.

        Columns are the attributes of `decisions.ranking.Summary`; with `_low` and `_high`, the 95%
        interval of one.
        """
        import pandas

        rows = [
            {name: x._asdict() if hasattr(x, "_asdict") else x for name, x in vars(summary).items()}
            for summary in summarize(self)
        ]
        table = pandas.json_normalize(rows, sep="_")
        return table.rename(columns=lambda name: name.removesuffix("_value"))

    @property
    def best(self) -> Config:
        """The configuration of the first setting in the ranking.

        Raises:
            ValueError: there are several environments, each with a ranking of its own.
        """
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
        path = self.path / CONFIRMATION
        if not (path / PLAN_FILE).exists():
            return []
        unseen, found = load_sweep(path), []
        before, after = scores_of_settings(self), scores_of_settings(unseen)
        for summary in (s for ranked in rank(self) for s in ranked.summaries[:2]):
            config = self.configs[summary.setting]
            if config in unseen.configs:
                x, y = before[summary.setting], after[unseen.configs.index(config)]
                facts = {"setting": summary.setting, "num_seeds": len(y), "study": summary.iqm}
                iqm, optimism = score_interval(summary.env, y), difference_of(x, y)
                found.append({**facts, "unseen": iqm, "optimism": optimism})
        return found

    def to_pandas(self) -> "pandas.DataFrame":
        """Return a row for each setting, seed and update.

        Columns: `setting` counts from 0, then the swept fields, `seed`, `update`, which counts from
        1, and the metrics. A swept field with the name of a metric, `num_steps`, becomes
        `config_num_steps`.
        """
        import pandas  # takes half a second, and only the end of a sweep needs it

        own = self.metrics["num_steps"] > 0
        setting, seed, update = np.nonzero(own)
        metrics = {name: values[own] for name, values in self.metrics.items()}
        swept = {}
        for name in self.axes:
            values = [get_field(config, name) for config in self.configs]
            if any(value is None or isinstance(value, tuple) for value in values):
                values = [text.short_value(value) for value in values]  # a column has one type
            swept[f"config_{name}" if name in metrics else name] = np.array(values)[setting]
        numbers = {"seed": np.array(self.seeds, np.uint64)[seed], "update": update + 1}
        numbers["env_steps"] = metrics.pop("env_steps")
        return pandas.DataFrame({"setting": setting, **swept, **numbers, **metrics})


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
    missing = int((results.done < results.goals).sum())
    whole = results.done.max(axis=1) >= [config.num_updates for config in results.configs]
    settings = results.by_task(range(len(whole))).values()
    if missing or not all(whole[own].any() for own in settings):
        agents = f"{missing:,} of {results.num_agents:,} agents are missing"
        raise ValueError(
            f"{path} is not finished: {agents if missing else 'its halving goes on'}; rerun the"
            " same sweep command to finish"
        )
    return results


def empty_results(plan: SweepPlan, path: Path) -> SweepResults:
    """Return the results of a plan before any agent is trained."""
    shape = len(plan.configs), plan.num_seeds
    evaluation = np.full((*shape, plan.num_episodes), np.nan, np.float32)
    seconds, done = np.zeros(shape), np.zeros(shape, np.int64)
    return SweepResults(
        **vars(plan), metrics={}, evaluation=evaluation, seconds=seconds, done=done, path=path
    )
