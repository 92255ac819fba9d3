"""The summary of a sweep: what counts, in which order, and how it is shown."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.decisions.ranking import (
    explain_looks,
    ranking_view,
    show_score,
    swept_fields,
)
from purejaxrl_reinforce.output.json_text import dump_json
from purejaxrl_reinforce.sweeps.summary import (
    rank,
    scores_of_settings,
    summarize,
    summary_dict,
)
from tests.support.sweeps import made_up


def sweep(scores, axes=None, configs=None, num_updates=4):
    """Agents of these scores, [setting, seed], whose training returns 100, 200, 300, 400.

    Update u ends after 10 u steps. The greedy episodes are one below and one above the score.
    """
    scores = np.asarray(scores, np.float32)
    if configs is None:
        lrs = [0.1 * (i + 1) for i in range(len(scores))]
        axes = {"policy_lr": tuple(lrs)}
        configs = [Config(policy_lr=lr, num_updates=num_updates) for lr in lrs]
    update = np.arange(1, max(config.num_updates for config in configs) + 1)
    evaluation = np.stack([scores - 1, scores + 1], axis=-1)
    return made_up(axes or {}, configs, evaluation, 100 * update, 10 * update)


def shown(results, width=80):
    file = io.StringIO()
    Console(file=file, width=width).print(ranking_view(rank(results)))
    return file.getvalue()


def words(text):
    """Put what was wrapped back into one line."""
    return " ".join(text.split())


def test_summary_of_one_setting():
    results = sweep([[500, 480, 475, 10, 490, 474]])
    (summary,) = summarize(results)
    scores = results.scores[0]
    assert (summary.setting, summary.label, summary.env) == (0, "policy_lr=0.1", "CartPole-v1")
    assert (summary.num_seeds, summary.num_diverged, summary.num_solved) == (6, 0, 4)
    assert summary.iqm.value == pytest.approx(stats.trim_mean(scores, 0.25))
    assert summary.worst == 10
    assert summary.median == 477.5
    theirs = stats.binomtest(4, 6).proportion_ci(0.95, "exact")
    np.testing.assert_allclose(summary.solved, [4 / 6, *theirs])
    assert summary.iqm.low < summary.iqm.value < summary.iqm.high


def test_steps_to_the_threshold_count_from_training():
    """Of the four seeds three get there; the last never does, and counts."""
    results = sweep(np.full((1, 4), 500), num_updates=6)
    returns = results.metrics["mean_return"]
    returns[0, 0] = [np.nan, 475, 0, 500, 500, 500]
    returns[0, 3] = 474.9
    (summary,) = summarize(results)
    assert summary.updates == (2, 5, 5)
    assert summary.env_steps == (20, 50, 50)
    returns[0, 1:] = 0
    (summary,) = summarize(results)
    assert summary.updates == (2, np.inf, np.inf)
    assert summary.env_steps == (20, np.inf, np.inf)


def test_diverged_agents_are_the_worst():
    results = sweep(np.full((1, 8), 500))
    results.metrics["finite"][0, 1, 2] = False
    results.evaluation[0, 2, 0] = np.nan
    results.evaluation[0, 3, :] = np.inf
    (scores,) = scores_of_settings(results)
    np.testing.assert_array_equal(np.isinf(scores), [False, True, True, True] + [False] * 4)
    (summary,) = summarize(results)
    assert (summary.num_diverged, summary.num_solved, summary.num_seeds) == (3, 5, 8)
    assert summary.worst == summary.iqm.low == -np.inf
    assert summary.iqm.value == -np.inf
    assert summary.median == 500
    text = shown(results)
    assert "3 of 8 diverged" in text
    assert "5/8" in text


def test_ties_are_broken_by_solved_share_then_worst_seed_then_steps():
    ceiling = [[500] * 5, [480, 500, 500, 500, 500], [300, 500, 500, 500, 500], [490] + [500] * 4]
    assert [s.setting for s in summarize(sweep(ceiling))] == [0, 3, 1, 2]
    results = sweep([[10, 10], [300, 300], [500, 500], [300, 300]])
    results.metrics["mean_return"][3, :, 2:] = 480
    results.metrics["finite"][0, 0] = False
    assert [s.setting for s in summarize(results)] == [2, 3, 1, 0]


def test_settings_that_may_be_the_best_come_first():
    """Two that share the ceiling, one that overlaps with them, one far below."""
    low, high = [9.0, 10, 11, 12, 13], [500, 500, 500, 500, 470]
    results = sweep([4 * low, 4 * high, 20 * [500], 4 * [500, 490, 500, 480, 500]])
    (ranking,) = rank(results)
    assert [(s.setting, s.may_be_best) for s in ranking.summaries] == [
        (2, True), (3, True), (1, True), (0, False),
    ]  # fmt: skip
    assert ranking.decision.verdict == "undecided"
    differences = {s.setting: s.difference for s in ranking.summaries}
    highest = ranking.decision.looks[0].best
    assert differences.pop(highest) is None
    for setting, difference in differences.items():
        assert difference.low <= difference.value <= difference.high
        assert (difference.high < 0) == (setting == 0)
    text = words(shown(results))
    assert "CartPole-v1, 20 seeds, 4 settings: undecided between no. 2, 3 and 1" in text
    assert text.count("highest") == 3  # heading, cell, explanation of the mean
    assert "-489" in text


def test_a_group_that_cannot_be_told_apart_is_in_the_order_of_solved_seeds_then_worst():
    """The highest mean is not the first where fewer seeds solve it."""
    random = np.random.default_rng(0)
    highest = np.where(np.arange(20) < 16, 500, 200)
    steady, hardly = np.full(20, 499), np.where(np.arange(20) < 16, 499, 250)
    results = sweep([random.normal(50, 5, 20), highest, steady, hardly])
    (ranking,) = rank(results)
    assert ranking.decision.looks[0].best == 1
    assert [s.setting for s in ranking.summaries] == [2, 3, 1, 0]


def test_the_winner_is_marked():
    seeds = np.random.default_rng(0).normal(0, 5, (3, 20))
    text = words(shown(sweep(np.add(seeds, [[100], [300], [200]]))))
    assert "20 seeds, 3 settings: no. 1 is the best" in text
    assert text.count("the best") == 2
    assert text.count(" worse ") >= 2


def test_looks_of_a_study_are_explained():
    seeds = np.random.default_rng(0).normal(0, 5, (3, 15))
    results = replace(sweep(np.add(seeds, [[100], [300], [300]])), equal_within=0.0)
    (ranking,) = rank(results)
    assert [look.num_seeds for look in ranking.decision.looks] == [10, 15]
    first, second, verdict = explain_looks(ranking)
    assert first.startswith("after 10 seeds: no. 0 is worse than no. ")
    assert first.endswith("left: no. 1 and 2")
    assert second.startswith("after 15 seeds: none of 2 settings is worse than no. ")
    assert verdict == "CartPole-v1: undecided between no. 1 and 2"
    assert explain_looks(ranking._replace(equal_within=None)) == []


def two_envs():
    configs = [
        Config(env=env, policy_lr=lr, num_updates=4)
        for env in ("Pendulum-v1", "CartPole-v1")
        for lr in (0.1, 0.2)
    ]
    axes = {"env": ("Pendulum-v1", "CartPole-v1"), "policy_lr": (0.1, 0.2)}
    return sweep([[-90] * 3, [-80] * 3, [20] * 3, [30] * 3], axes, configs)


def test_environments_are_ranked_by_themselves():
    results = two_envs()
    summaries = summarize(results)
    assert [s.setting for s in summaries] == [1, 0, 3, 2]
    assert [(r.env, len(r.summaries)) for r in rank(results)] == [
        ("Pendulum-v1", 2), ("CartPole-v1", 2),
    ]  # fmt: skip
    pendulum = summaries[0]
    assert pendulum.num_solved is pendulum.solved is pendulum.updates is pendulum.env_steps is None
    first, second = shown(results).split("CartPole-v1, 3 seeds, 2 settings")
    assert words(first).startswith(
        "Pendulum-v1, 3 seeds, 2 settings: nothing is decided, which takes at least 10 seeds"
    )
    assert "Solved" not in first
    assert "Solved: a greedy return of 475" in words(second)


def test_dictionary_is_json():
    results = sweep([2 * [500, 490, 480, 470, 100], [np.nan, *[400] * 3, *[300] * 2, *[485] * 4]])
    found = summary_dict(results, rank(results))
    found = json.loads(dump_json(found))
    best, other = found["settings"]
    assert best["setting"] == 0
    assert best["swept"] == {"policy_lr": 0.1}
    assert best["iqm"]["value"] == pytest.approx(480)
    assert best["updates"] == {"lower": "inf", "median": "inf", "upper": "inf"}
    assert best["solved"]["value"] == 6 / 10
    assert other["num_diverged"] == 1
    assert other["worst"] == "-inf"


def test_a_label_is_split_into_its_fields():
    fields = ["env_params.gravity=5", "hidden_sizes=64x64", "env_params.length=0.5"]
    assert swept_fields(", ".join(fields)) == fields


def test_table_at_80_columns():
    """Long labels break within names and values, no number is cut off, and the best comes first."""
    axes = {"hidden_sizes": ((64,), (256, 256, 256)), "advantage_norm": ("standardize", "unit")}
    configs = [
        Config(hidden_sizes=h, advantage_norm=a, num_updates=4)
        for h in axes["hidden_sizes"]
        for a in axes["advantage_norm"]
    ]
    rng = np.random.default_rng(0)
    results = sweep(500 - 100 * rng.random((4, 1024)), axes, configs)
    results.metrics["finite"][3, :200] = False
    results.metrics["mean_return"][0, :, 3] = 490
    results.metrics["env_steps"][0, :, 3] = 123_456_789
    results.metrics["mean_return"][1, :500, 1] = 490
    text = shown(results)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in text
    for summary in summarize(results):
        low, high = show_score(summary.iqm.low), show_score(summary.iqm.high)
        assert f"({low} to {high})" in text
        assert f"{summary.num_solved}/1,024" in text
    assert "123M" in text
    assert "never" in text
    assert {"hidden_sizes=256x", "256x256", "advantage_norm=", "standardize"} <= {*text.split()}
    rows = [line for line in lines if "/1,024" in line]
    iqms = [show_score(s.iqm.value) for s in summarize(results)]
    assert [next(v for v in iqms if v in row.split()) for row in rows] == iqms


@pytest.mark.parametrize("seeds", [1, 9])
def test_too_few_seeds_are_shown_without_intervals(seeds):
    text = shown(sweep(np.array([[500.0], [20.0]]) + np.arange(seeds)))
    assert "(too few seeds)" in text
    assert "nothing is decided, which takes at least 10 seeds" in words(text)
    assert "worse" not in words(text).replace("median worst", "")
    assert "inf" not in text
    assert "nan" not in text


def test_the_best_20_are_shown():
    text = shown(sweep(np.repeat(np.arange(23.0)[:, None], 2, axis=1)))
    assert "3 lower-ranked settings are left out." in words(text)
    assert "policy_lr=2.3" in text
    assert "policy_lr=0.4" in text
    assert "policy_lr=0.3" not in text
    assert "left out" not in shown(sweep(np.ones((20, 2))))
    assert "CartPole-v1, 2 seeds, 1 setting\n" in shown(sweep(np.ones((1, 2)))).replace("  ", "")


def test_results_are_their_ranking():
    configs = [Config(policy_lr=rate, num_updates=2) for rate in (0.01, 0.02)]
    evaluation = np.full((2, 12, 3), 100.0) + 50 * np.arange(2)[:, None, None]
    results = made_up({"policy_lr": (0.01, 0.02)}, configs, evaluation, 100.0, [100, 200])
    table = results.ranking()
    assert table["label"].tolist() == ["policy_lr=0.02", "policy_lr=0.01"]
    assert table[["iqm", "iqm_low", "iqm_high"]].iloc[0].tolist() == [150.0] * 3
    assert results.best == configs[1]
    text, page, latex = repr(results), results._repr_html_(), results.to_latex()
    assert text.startswith("CartPole-v1, 12 seeds, 2 settings: no. 1 is the best")
    assert "no. 1 is the best" in page
    assert r"1 & policy\_lr=0.02 & 150 (150 to 150) & the best" in latex
    assert r"& $-$50 ($-$50 to $-$47.1) worse & 100 & 100 & 12 & 0\% (0 to 26\%) & never" in latex
    assert latex.count(r"\\") == 3
    assert len(results.to_pandas()) == 2 * 12 * 2
    envs = [configs[0], Config(env="Acrobot-v1", num_updates=2)]
    results = made_up({"env": ("CartPole-v1", "Acrobot-v1")}, envs, evaluation, 100.0, [100, 200])
    assert "Acrobot-v1, 12 seeds, 1 setting" in repr(results)
    with pytest.raises(ValueError, match="best setting for each environment"):
        results.best  # noqa: B018
    untrained = replace(results, done=np.zeros((2, 12), int))
    assert repr(untrained) == "SweepResults: no agent is trained"
