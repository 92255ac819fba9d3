"""The host loop: chunks change nothing, counters are exact, batches that do not fit are refused."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purejaxrl_reinforce.algorithm.reinforce import state_shapes
from purejaxrl_reinforce.algorithm.state import add_steps, total_steps
from purejaxrl_reinforce.evaluation.scores import play_episodes
from purejaxrl_reinforce.execution import memory
from purejaxrl_reinforce.execution.program import NonFiniteError, Program
from tests.support.configs import TEXTBOOK

CONFIG = TEXTBOOK.replace(num_envs=8, num_steps=40, num_updates=23, hidden_sizes=(8,))


@pytest.fixture(scope="module")
def program():
    return Program(CONFIG, jax.random.key(0))


def test_the_length_of_chunks_changes_no_bit(program):
    outcomes = []
    for seconds, lengths in ((0.0, [1] * 23), (1e9, [1, 2, 4, 3, 6, 7])):
        chunks = list(program.run(seconds=seconds))
        assert [len(chunk.metrics.num_steps) for chunk in chunks] == lengths
        metrics = jax.tree.map(lambda *x: np.concatenate(x), *(c.metrics for c in chunks))
        outcomes.append((chunks[-1].state.params, metrics))
    jax.tree.map(np.testing.assert_array_equal, *outcomes)


def test_chunks_end_at_multiples_and_resume_after_the_updates_done(program):
    states = {int(chunk.state.update): chunk.state for chunk in program.run(every=5, seconds=1e9)}
    assert {5, 10, 15, 20, 23} <= set(states)
    lengths = [len(chunk.metrics.num_steps) for chunk in program.run(states[10], seconds=1e9)]
    assert lengths == [1, 2, 4, 6]


def test_non_finite_updates_are_not_applied():
    chunks = Program(replace(CONFIG, policy_lr=1e38), jax.random.key(0)).run(seconds=1e9)
    first, second = next(chunks), next(chunks)
    assert [len(chunk.metrics.num_steps) for chunk in (first, second)] == [1, 0]
    assert int(second.state.update) == 1
    with pytest.raises(NonFiniteError, match="update 2 is not finite") as error:
        next(chunks)
    assert error.value.update == 2


def test_steps_are_counted_beyond_32_bits():
    counter = jnp.array([0, 2**32 - 5], jnp.uint32)
    counter = add_steps(counter, jnp.int32(7))
    np.testing.assert_array_equal(counter, [1, 2])
    counter = add_steps(counter, jnp.int32(2**31 - 1))
    np.testing.assert_array_equal(counter, [1, 2**31 + 1])
    assert float(total_steps(counter)) == pytest.approx(2**32 + 2**31 + 1, rel=1e-6)


def test_what_does_not_fit_is_refused_before_anything_is_allocated(monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda: 10**12)
    with pytest.raises(ValueError, match=r"does not fit: [\d,.]+ GB are needed and 1,000.0 GB"):
        Program(replace(CONFIG, num_envs=2**31 - 1), jax.random.key(0))


def test_evaluations_that_do_not_fit_are_refused(monkeypatch):
    params = state_shapes(CONFIG).params
    params = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), params)
    monkeypatch.setattr(memory, "free_bytes", lambda: 10**6)
    with pytest.raises(ValueError, match=r"0\.0 GB are free; play fewer"):
        play_episodes(CONFIG, params, 10**6, greedy=True, seed=0)
