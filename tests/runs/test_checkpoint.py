"""Checkpoints: exact, verified, refused where they do not belong."""

import json
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest

from purejaxrl_reinforce import Config
from purejaxrl_reinforce.execution.program import Program
from purejaxrl_reinforce.runs import checkpoint
from purejaxrl_reinforce.runs.checkpoint import CheckpointWriter, load_latest, tidy

CONFIG = Config(num_envs=8, num_steps=20, num_updates=6, hidden_sizes=(8,))


@pytest.fixture(scope="module")
def program():
    return Program(CONFIG, jax.random.key(1))


@pytest.fixture(scope="module")
def states(program):
    """The states after each of the six updates."""
    return [chunk.state for chunk in program.run(every=1)]


@pytest.fixture(scope="module")
def written(states, tmp_path_factory):
    directory = tmp_path_factory.mktemp("run") / "checkpoints"
    write(directory, states[2:4])
    return directory


def write(directory, states, returns=(0.0,) * 6, keep=3):
    writer = CheckpointWriter(directory, CONFIG, 1, keep)
    for state, mean_return in zip(states, returns, strict=False):
        writer.save(state, 2.5, mean_return)
    writer.wait()
    writer.close()


def updates(directory):
    return [int(path.stem) for path in sorted(directory.glob("*.json"))]


def assert_same_bits(x, y):
    for a, b in zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True):
        if jax.dtypes.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_what_comes_back_is_what_was_written(written, program, states):
    loaded, passed = load_latest(written, CONFIG, 1, program.state)
    assert passed == []
    assert loaded.seconds == 2.5
    assert jax.tree.structure(loaded.state) == jax.tree.structure(states[3])
    assert_same_bits(loaded.state, states[3])
    # And it goes on like the run it came from.
    *_, last = program.run(loaded.state)
    assert_same_bits(last.state, states[5])


DAMAGES = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "emptied": lambda path: path.write_bytes(b""),
    "flipped": lambda path: path.write_bytes(flipped(path.read_bytes())),
    "deleted": lambda path: path.unlink(),
}


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", DAMAGES)
def test_any_damage_to_any_file_is_noticed(damage, written, program, states, tmp_path):
    """Every file of the latest checkpoint in turn: the one before it is used, or it is whole."""
    damaged = 0
    files = [path.relative_to(written) for path in written.rglob("00000004*") if path.is_file()]
    files += [p.relative_to(written) for p in (written / "000000004").rglob("*") if p.is_file()]
    assert len(files) >= 8
    for name in files:
        if damage != "deleted" and not (written / name).stat().st_size:
            continue  # nothing to lose
        directory = tmp_path / str(damaged)
        shutil.copytree(written, directory)
        DAMAGES[damage](directory / name)
        damaged += 1
        loaded, passed = load_latest(directory, CONFIG, 1, program.state)
        assert_same_bits(loaded.state, states[2])
        if name.name != "000000004.json" or damage != "deleted":
            assert len(passed) == 1
            assert "000000004 is damaged: " in passed[0]
            assert name.name in passed[0]
    assert damaged >= 7


def test_where_none_is_whole_nothing_is_loaded(written, program, tmp_path):
    directory = tmp_path / "copy"
    shutil.copytree(written, directory)
    for path in directory.rglob("manifest.ocdbt"):
        path.unlink()
    with pytest.raises(ValueError, match=r"no checkpoint in .* is whole: .*000000004 is damaged"):
        load_latest(directory, CONFIG, 1, program.state)
    assert load_latest(tmp_path / "nowhere", CONFIG, 1, program.state) == (None, [])


@pytest.mark.parametrize(
    ("here", "message"),
    [
        ({"policy_lr": 0.5}, "its policy_lr is 0.03, here it is 0.5"),
        ({"hidden_sizes": (9,)}, r"its hidden_sizes is \[8\], here it is \[9\]"),
        ({"seed": 2}, "its seed is 1, here it is 2"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(here, message, written, program):
    here = dict(here)
    seed = here.pop("seed", 1)
    with pytest.raises(ValueError, match=f"000000004 is of another run: {message}"):
        load_latest(written, replace(CONFIG, **here), seed, program.state)
    more = replace(CONFIG, num_updates=60)
    assert load_latest(written, more, 1, program.state)[0] is not None


def test_another_format_is_refused(written, program, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    with pytest.raises(ValueError, match="has checkpoint format 1, of another release"):
        load_latest(written, CONFIG, 1, program.state)


def test_the_latest_and_the_best_are_kept(states, tmp_path):
    write(tmp_path, states, returns=(1.0, 9.0, 2.0, 3.0, float("nan"), 5.0), keep=2)
    assert updates(tmp_path) == [2, 5, 6]
    assert {path.name for path in tmp_path.iterdir()} == {
        name for update in (2, 5, 6) for name in (f"{update:09}", f"{update:09}.json")
    }


def test_what_does_not_count_is_tidied_away(states, tmp_path, program):
    write(tmp_path, states[:4], keep=9)
    (tmp_path / "000000003.json").unlink()  # killed before its end
    (tmp_path / "000000009.orbax-checkpoint-tmp").mkdir()
    tidy(tmp_path, 2)
    assert {path.name for path in tmp_path.iterdir()} == {
        name for update in (1, 2) for name in (f"{update:09}", f"{update:09}.json")
    }


def test_a_failed_save_is_an_error_and_leaves_nothing(states, tmp_path, monkeypatch):
    writer = CheckpointWriter(tmp_path / "c", CONFIG, 1, 3)
    writer.save(states[0], 1.0, 0.0)
    writer.wait()

    def full(_content):
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoint, "_seal", full)
    writer.save(states[1], 1.0, 0.0)
    with pytest.raises(checkpoint.CheckpointError, match="No space left on device"):
        writer.wait()
    assert updates(tmp_path / "c") == [1]
    assert {path.stem for path in (tmp_path / "c").iterdir()} == {"000000001"}
    monkeypatch.undo()
    writer.save(states[1], 1.0, 0.0)
    writer.close()
    assert updates(tmp_path / "c") == [1, 2]


def test_manifests_say_what_was_saved(written):
    text = (written / "000000004.json").read_text()
    content = json.loads(text, parse_constant=pytest.fail)["content"]
    assert (content["update"], content["seed"], content["config"]["num_envs"]) == (4, 1, 8)
    assert content["versions"]["jax"]
    assert content["env_steps"] > 0
