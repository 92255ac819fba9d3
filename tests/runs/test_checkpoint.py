"""Checkpoints: exact, verified, refused where they do not belong."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purejaxrl_reinforce.execution.processes import to_host
from purejaxrl_reinforce.execution.program import Program
from purejaxrl_reinforce.runs.checkpoint import load, load_latest, save, save_checkpoint
from purejaxrl_reinforce.runs.saved_run import SavedRun
from tests.support.runs import TINY

OWNER = "a-run"


@pytest.fixture(scope="module")
def states():
    """The states after each of the six updates."""
    program = Program(TINY, jax.random.key(1))
    return [to_host(chunk.state) for chunk in program.run(every=1)]


@pytest.fixture
def written(states, tmp_path):
    """The checkpoints of the third and the fourth update."""
    write(tmp_path / "checkpoints", states[2:4])
    return tmp_path / "checkpoints"


def write(directory, states, returns=(0.0,) * 6, keep=3, owner=OWNER):
    for state in states:
        save_checkpoint(directory, state, owner, np.array(returns[: int(state.update)]), keep)


def assert_same_bits(x, y):
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b, strict=True), x, y)


@pytest.mark.parametrize("damage", ["cut", "emptied", "another format"])
def test_the_one_before_a_damaged_checkpoint_is_used(damage, written, states, monkeypatch):
    """Which bits are damaged makes no difference: see `test_damage.py`."""
    latest, older = written / "000000004.npz", written / "000000003.npz"
    if damage == "another format":
        monkeypatch.setattr("purejaxrl_reinforce.runs.checkpoint.FORMAT", 1)
        write(written, states[3:4])
        monkeypatch.undo()
    else:
        latest.write_bytes(latest.read_bytes()[:-2] if damage == "cut" else b"")
    loaded, (line,) = load_latest(written, TINY, OWNER)
    assert_same_bits(loaded, states[2])
    assert line.startswith(f"{latest} ")
    older.unlink()
    with pytest.raises(ValueError, match=r"no intact checkpoint in .*000000004"):
        load_latest(written, TINY, OWNER)


def test_a_renamed_checkpoint_is_refused(written):
    (written / "000000003.npz").rename(written / "000000002.npz")
    (written / "000000004.npz").rename(written / "000000003.npz")
    with pytest.raises(ValueError, match=r"000000003.npz was renamed: it holds update 4"):
        load_latest(written, TINY, OWNER)


def test_a_run_leaves_out_a_renamed_checkpoint(written, states):
    (written / "000000004.npz").rename(written / "000000005.npz")
    (state,) = SavedRun(written.parent, TINY, 1, OWNER).checkpoints()
    assert_same_bits(state, states[2])


def test_a_checkpoint_of_another_run_is_refused(written, states):
    write(written, states[4:5], owner="another-run")
    loaded, (line,) = load_latest(written, TINY, OWNER)
    assert "000000005.npz belongs to another run" in line
    assert_same_bits(loaded, states[3])
    with pytest.raises(ValueError, match=r"does not fit the configuration: .* another shape"):
        load_latest(written, replace(TINY, hidden_sizes=(9,)), OWNER)


def test_other_random_numbers_are_refused(written):
    with (
        jax.threefry_partitionable(False),
        pytest.raises(ValueError, match="jax_threefry_partitionable=True, here it is False"),
    ):
        load_latest(written, TINY, OWNER)


def test_the_latest_and_the_best_are_kept(states, tmp_path):
    write(tmp_path, states, returns=(1.0, 9.0, 2.0, 3.0, float("nan"), 5.0), keep=2)
    assert {path.name for path in tmp_path.iterdir()} == {f"00000000{x}.npz" for x in (2, 5, 6)}


def test_a_state_alone_is_saved_and_loaded(states, tmp_path):
    state = jax.tree.map(jnp.asarray, states[2])
    state = state._replace(key=jax.random.wrap_key_data(states[2].key))
    path = save(state, tmp_path / "state.npz")
    loaded = load(TINY, path)
    assert_same_bits(loaded._replace(key=jax.random.key_data(loaded.key)), states[2])
    with pytest.raises(ValueError, match=r"exists; choose another `out`, or `force`"):
        save(state, path)
    for wrong in (state.params, jax.tree.map(lambda x: x[None], state)):
        with pytest.raises(ValueError, match="save takes one TrainState, as `train` returns it"):
            save(wrong, tmp_path / "wrong.npz")
    with pytest.raises(ValueError, match="does not fit the configuration"):
        load(replace(TINY, hidden_sizes=(3,)), path)
    with pytest.raises(ValueError, match="No such file"):
        load(TINY, tmp_path / "other.npz")
