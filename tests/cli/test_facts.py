"""What several processes compare before they train: everything that shapes results."""

import pytest

from purejaxrl_reinforce.cli.main import _parse
from tests.support.processes import pair

TINY = ["--num-envs", "2", "--num-updates", "1", "--num-steps", "5", "--hidden-sizes", "2"]

DIFFERENT = [
    ("train", ["--seed", "1"], "seed"),
    ("train", ["--policy-lr", "0.5"], "policy_lr"),
    ("train", ["--num-processes", "3"], "num_processes"),
    ("train", ["--checkpoint-every", "3"], "checkpoint_every"),
    ("train", ["--preset", "classic"], "preset"),
    ("train", ["--wandb"], "wandb"),
    ("sweep", ["--axis", "gamma=0.9,1"], "axis"),
    ("sweep", ["--num-seeds", "3"], "num_seeds"),
]


@pytest.mark.parametrize(("verb", "options", "name"), DIFFERENT)
def test_another_option_is_another_fact(verb, options, name):
    ours, theirs = _parse([verb]).shared(), _parse([verb, *options]).shared()
    assert ours.get(name) != theirs[name]


def test_where_a_process_writes_and_prints_is_its_own():
    others = ["--quiet", "--run-dir", "x", "--process-id", "1", "--coordinator", "a:1"]
    assert _parse(["train"]).shared() == _parse(["train", *others]).shared()


def test_versions_and_the_verb_are_facts():
    facts = _parse(["train"]).shared()
    assert {"the version of python", "the version of jax"} <= set(facts)
    assert facts["the verb"] != _parse(["sweep"]).shared()["the verb"]


def resumed(finished_run, *options):
    """Facts of a process that need not see the run's files."""
    return _parse(["train", "--resume", str(finished_run), *options]).shared()


def test_options_of_a_resumed_run_are_compared_as_they_were_given(finished_run, tmp_path):
    first = resumed(finished_run, "--num-updates", "9", "--process-id", "0")
    second = resumed(tmp_path / "unseen", "--process-id=1", "--quiet", "--num_updates=9")
    assert first == second
    assert first != resumed(finished_run, "--num-updates", "10")
    assert first != resumed(finished_run)
    assert resumed(finished_run) != _parse(["train"]).shared()


@pytest.mark.parametrize(
    ("verb", "other", "message"),
    [
        ("train", ["--seed", 7], "seed is not given in process 0 and 7 in process 1; give all"),
        (
            "sweep",
            ["--baseline-lr", 0.5],
            "baseline_lr is not given in process 0 and 0.5 in process 1",
        ),
        ("train", ["--num-processes", 3], "num_processes is 2 in process 0 and 3 in process 1"),
    ],
)
def test_different_commands_end_all_processes(verb, other, message, tmp_path):
    with pair(verb, *TINY, directory=tmp_path, second=other) as (first, second):
        code, output, error = first.wait()
        assert second.wait() == (2, "", "")
    assert (code, output) == (2, "")
    assert error.startswith(f"error: {message}")
    assert error.count("\n") == 1
    assert not {path.suffix for path in tmp_path.iterdir()} - {".out", ".err"}
