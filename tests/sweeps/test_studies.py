"""Studies that train until they are decided, and what confirms them."""

import contextlib
import json
import random
import time
from dataclasses import replace

import numpy as np
import pytest

from purejaxrl_reinforce import Config, sweep
from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.decisions import power
from purejaxrl_reinforce.sweeps.results import load_sweep
from purejaxrl_reinforce.sweeps.store import CONFIRMATION, saved_sweep
from purejaxrl_reinforce.sweeps.summary import rank, scores_of_settings
from purejaxrl_reinforce.sweeps.sweep import SweepLoop
from tests.support.processes import Command, wait_until
from tests.support.sweeps import TRAINING, assert_same_results, slices_of, sweep_into

# Two settings that learn alike, and one that diverges.
STUDY = [
    *TRAINING, "--hidden-sizes", "8", "--axis", "policy_lr=0.01,1e38,0.011",
    "--until", "decided", "--max-seeds", "12",
]  # fmt: skip
RATES = ["--axis", "policy_lr=0.1,0.2"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return sweep_into(tmp_path_factory.mktemp("studies") / "study", STUDY)


def summary_of(path):
    return json.loads((path / "summary.json").read_text())


def test_python_decides_and_confirms_as_the_command_does(study, tmp_path):
    config, axes = load_sweep(study).configs[0], {"policy_lr": [0.01, 1e38, 0.011]}
    options = {"num_episodes": 5, "slice_size": 2, "until": "decided"}
    results = sweep(config, 12, axes, path=tmp_path / "study", **options)
    assert_same_results(tmp_path / "study", study)
    assert results.confirmed == load_sweep(study).confirmed
    assert [x["num_seeds"] for x in results.confirmed] == [12, 12]
    equal = sweep(config, 12, axes, equal_within=1000.0, confirm=False, **options)
    assert equal.trained.sum() == 30
    assert equal.confirmed == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"until": "decides"}, "`until` must be"),
        ({"until": "decided", "halving": 2}, "do not go together"),
        ({"equal_within": 1.0}, "needs `until`"),
        ({"until": "decided", "equal_within": float("inf")}, "from 0 on"),
    ],
)
def test_wrong_arguments_of_a_study(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        sweep(Config(), 12, {"policy_lr": [0.01, 0.02]}, path=tmp_path / "study", **options)
    assert not any(tmp_path.iterdir())


def test_settings_that_are_out_get_no_more_seeds(study):
    assert (saved_sweep(study).plan.goals > 0).sum(axis=1).tolist() == [12, 10, 12]
    results = load_sweep(study)
    assert results.trained.sum(axis=1).tolist() == [12, 10, 12]
    (decision,) = summary_of(study)["decisions"]
    assert [(x["num_seeds"], x["worse"]) for x in decision["looks"]] == [(10, [1]), (12, [])]
    assert (decision["verdict"], decision["left"]) == ("undecided", [0, 2])


def test_the_best_two_are_confirmed_with_seeds_that_nothing_used(study):
    results, unseen = load_sweep(study), load_sweep(study / CONFIRMATION)
    assert not set(results.seeds) & set(unseen.seeds)
    first, second = (s.setting for s in rank(results)[0].summaries[:2])
    assert unseen.configs == (results.configs[first], results.configs[second])
    confirmed = summary_of(study)["confirmed"]
    assert [(x["setting"], x["num_seeds"]) for x in confirmed] == [(first, 12), (second, 12)]
    for one, x, y in zip(
        confirmed,
        (scores_of_settings(results)[i] for i in (first, second)),
        scores_of_settings(unseen),
        strict=True,
    ):
        means = [np.sort(scores)[3:9].mean() for scores in (x, y)]
        found = [one[name]["value"] for name in ("study", "unseen", "optimism")]
        np.testing.assert_allclose(found, [*means, means[0] - means[1]])
        assert one["optimism"]["low"] <= one["optimism"]["value"] <= one["optimism"]["high"]


def test_a_study_that_is_stopped_anywhere_decides_the_same(study, tmp_path):
    plan = saved_sweep(study).plan
    start = replace(plan, goals=np.where(np.arange(12) < 10, 4, 0) * np.ones((3, 1), int))
    path = tmp_path / "study"
    for steps in (1, 9, 17, 25):
        with contextlib.closing(SweepLoop(start, path, 2)) as loop:
            for _ in zip(range(steps), loop.train(), strict=False):
                pass
    sweep_into(path, STUDY)
    assert_same_results(path, study)
    for name in ("decisions", "confirmed", "settings"):
        assert summary_of(path)[name] == summary_of(study)[name]


@pytest.mark.slow
def test_a_study_that_is_killed_again_and_again_decides_the_same(study, tmp_path):
    """kill -9, each time a slice or two further: in training, in looks and in the confirmation."""
    path, draw, kills = tmp_path / "study", random.Random(0), 0
    arguments = [*STUDY, "--quiet", "--sweep-dir", path]

    def num_slices():
        return sum(len(slices_of(x)) for x in (path, path / CONFIRMATION))

    for _ in range(10):
        wanted = num_slices() + draw.choice([1, 2])
        process = Command(*arguments, directory=tmp_path)
        wait_until(lambda wanted=wanted: num_slices() >= wanted, process)
        time.sleep(draw.uniform(0, 0.02))
        if process.poll() is not None:  # a quick machine has finished the study
            break
        process.kill()
        kills += 1
    assert kills >= 3
    assert Command(*arguments, directory=tmp_path).wait()[0] == 0
    assert_same_results(path, study)
    assert_same_results(path / CONFIRMATION, study / CONFIRMATION)
    for name in ("decisions", "confirmed", "settings"):
        assert summary_of(path)[name] == summary_of(study)[name]


def test_more_seeds_go_to_those_in_question(study, tmp_path, capsys):
    path = sweep_into(tmp_path / "study", [*STUDY[:-1], "10"], "--no-confirm")
    assert not (path / CONFIRMATION).exists()
    assert summary_of(path)["confirmed"] == []
    sweep_into(path, ["sweep", "--extend", "--slice-size", "2", "--max-seeds", "12"])
    assert (saved_sweep(path).plan.goals > 0).sum(axis=1).tolist() == [12, 10, 12]
    assert_same_results(path, study)
    assert main(["sweep", "--force", *STUDY[1:], "--quiet", "--sweep-dir", str(path)]) == 0


def test_equal_settings_end_a_study(tmp_path):
    path = sweep_into(tmp_path / "study", STUDY, "--equal-within", "1000", "--no-confirm")
    (decision,) = summary_of(path)["decisions"]
    assert (decision["verdict"], decision["left"], decision["num_seeds"]) == ("equal", [0, 2], 10)


def test_the_report_has_looks_and_confirmation(study, tmp_path):
    assert main(["report", str(study), "--out", str(tmp_path / "page.html")]) == 0
    text = (tmp_path / "page.html").read_text()
    assert "after 10 seeds: no. 1 is worse than" in text
    assert "undecided between" in text
    assert text.count("that nothing had used") == 2


def test_a_pilot_says_how_many_seeds_are_needed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(power, "_STUDIES", 50)
    path, pilot = tmp_path / "pilot", [*STUDY[:-4], "--num-seeds", "10", "--plan"]
    assert main([*pilot, "--sweep-dir", str(path), "--difference", "1e4"]) == 0
    lines = capsys.readouterr().out.splitlines()[-3:]
    results = load_sweep(path)
    best = max(rank(results)[0].summaries, key=lambda s: s.iqm.value).setting
    assert lines[0].startswith(f"CartPole-v1: seeds that find no. {best} to be the best, if")
    assert lines[0].endswith("all others are at least 10,000 lower")
    assert lines[1].startswith("  80% power: 10 seeds of each; 30 agents, ")
    assert lines[1].endswith(" seconds here")
    assert main([*pilot, "--sweep-dir", str(path), "--difference", "1e-6"]) == 0
    assert "  95% power: more than 512 of each (1,536 agents" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--until", "decided"], "nothing to decide: sweep a field"),
        ([*RATES, "--until", "decided", "--max-seeds", "9"], "at least 10 seeds"),
        ([*RATES, "--until", "decided", "--num-seeds", "9"], "at least 10 seeds"),
        ([*RATES, "--equal-within", "1"], "needs --until decided"),
        ([*RATES, "--until", "decided", "--equal-within", "-1"], "from 0 on"),
        ([*RATES, "--plan", "--num-seeds", "9"], "at least 10 seeds"),
        ([*RATES, "--plan", "--until", "decided"], "do not go together"),
        ([*RATES, "--plan", "--difference", "0"], "--difference must be above 0"),
        ([*RATES, "--difference", "1"], "--difference needs --plan"),
        (["--plan"], "nothing to decide"),
        (["--until", "decided", "--axis", "env=CartPole-v1,Pendulum-v1"], "nothing to decide"),
    ],
)  # fmt: skip
def test_wrong_options_of_a_study(options, message, tmp_path, capsys):
    path = tmp_path / "study"
    assert main(["sweep", *options, "--sweep-dir", str(path)]) == 2
    assert message in capsys.readouterr().err
    assert not path.exists()
