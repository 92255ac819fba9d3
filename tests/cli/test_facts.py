"""What several processes compare before they train: everything that shapes results."""

import pytest

from purejaxrl_reinforce.cli.main import _parse
from tests.support.processes import pair

TINY = ["--num-envs", "2", "--num-updates", "1", "--num-steps", "5", "--hidden-sizes", "2"]


def facts(*arguments):
    return _parse(arguments).shared()


@pytest.mark.parametrize(
    ("verb", "options", "name"),
    [
        ("train", ["--seed", "1"], "seed"),
        ("train", ["--policy-lr", "0.5"], "policy_lr"),
        ("train", ["--checkpoint-every", "3"], "checkpoint_every"),
        ("train", ["--preset", "classic"], "preset"),
        ("train", ["--wandb"], "wandb"),
        ("train", ["--resume", "run"], "the verb"),
        ("sweep", ["--axis", "gamma=0.9,1"], "axis"),
    ],
)
def test_another_option_is_another_fact(verb, options, name):
    assert facts(verb).get(name) != facts(verb, *options)[name]


def test_where_a_process_reads_writes_and_prints_is_its_own():
    others = ["--quiet", "--run-dir", "x", "--process-id=1", "--coordinator", "a:1"]
    assert facts("train") == facts("train", *others)
    first = facts("train", "--resume", "seen", "--num-updates", "9")
    assert first == facts("train", "--resume", "unseen", "--num_updates=9")
    assert {"the verb", "the version of python", "the version of jax"} <= set(first)


@pytest.mark.parametrize(
    ("verb", "other", "message"),
    [
        ("train", ["--seed", 7], "seed is not given in process 0 and 7 in process 1; give all"),
        ("sweep", ["--baseline-lr", 0.5], "baseline_lr is not given in process 0 and 0.5 in pro"),
    ],
)
def test_different_commands_end_all_processes(verb, other, message, tmp_path):
    with pair(verb, *TINY, directory=tmp_path, second=other) as (first, second):
        code, output, error = second.wait()
        assert first.wait() == (2, "", "")
    assert (code, output) == (2, "")
    assert error.startswith(f"error: {message}")
    assert error.count("\n") == 1
    assert not {path.suffix for path in tmp_path.iterdir()} - {".out", ".err"}
