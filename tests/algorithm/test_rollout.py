"""Rollouts against a slow Python loop over the environment; masks, early end, carried state."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tests.support.probes  # noqa: F401  registers the probes
from purejaxrl_reinforce import evaluate, step
from purejaxrl_reinforce.algorithm.lanes import ONE_DEVICE
from purejaxrl_reinforce.algorithm.reinforce import collect
from purejaxrl_reinforce.algorithm.rollout import Episode, Finished
from purejaxrl_reinforce.algorithm.state import episode_metrics
from purejaxrl_reinforce.environments.environment import make
from tests.support.configs import TEXTBOOK
from tests.support.learning import initial

CARTPOLE = TEXTBOOK.replace(num_envs=5, num_steps=60, hidden_sizes=(8,))
STREAM = replace(CARTPOLE, rollout="stream")


def collected(config, seed=0):
    return jax.jit(collect)(config, initial(config, seed))


def replay(trajectory, lane):
    """Walk a recorded lane: yield the steps and check that each starts where the last ended."""
    env = make("CartPole-v1")
    step_lane, trajectory = jax.jit(env.step), jax.tree.map(np.asarray, trajectory)
    key = jax.random.split(jax.random.key(0), 1)
    _, template = env.reset(jax.random.split(jax.random.key(1), 1))
    names = "x", "x_dot", "theta", "theta_dot"
    for t in range(int(trajectory.valid[:, lane].sum())):
        numbers = trajectory.obs[t, lane][:, None]
        state = template.replace(**dict(zip(names, numbers, strict=True)))
        yield t, step_lane(jax.random.clone(key), state, trajectory.action[t, lane][None])


@pytest.mark.parametrize("config", [CARTPOLE, STREAM], ids=["episodes", "stream"])
def test_rows_follow_from_each_other(config):
    _, _, trajectory = collected(config)
    for lane in range(2):
        for t, result in replay(trajectory, lane):
            assert bool(trajectory.terminated[t, lane]) == bool(result.terminated[0])
            next_row = t + 1
            if next_row == len(trajectory.valid) or not trajectory.valid[next_row, lane]:
                continue
            if trajectory.terminated[t, lane]:
                assert np.abs(trajectory.obs[next_row, lane]).max() <= 0.05
            else:
                np.testing.assert_allclose(trajectory.obs[next_row, lane], result.obs[0], atol=1e-6)


def test_episodes_play_one_episode_each():
    config = replace(CARTPOLE, num_envs=50, num_steps=None)
    lanes, finished, trajectory = collected(config)
    valid = np.asarray(trajectory.valid)
    lengths = valid.sum(axis=0)
    np.testing.assert_array_equal(np.sort(valid, axis=0)[::-1], valid)  # no holes
    np.testing.assert_array_equal(finished.number, 1)
    np.testing.assert_array_equal(finished.sum.episode_return, lengths)
    np.testing.assert_array_equal(finished.max.length, lengths)
    done = trajectory.terminated | trajectory.truncated
    np.testing.assert_array_equal(done.sum(axis=0), 1)
    assert done[lengths - 1, np.arange(50)].all()
    assert not lanes.alive.any()
    np.testing.assert_array_equal(np.asarray(trajectory.reward), valid)


def test_num_steps_is_a_time_limit_to_whole_episodes():
    """What it ends counts as finished: else only the failures of a good policy would count."""
    lanes, finished, trajectory = collected(replace(CARTPOLE, num_envs=50, num_steps=12))
    lengths = np.asarray(trajectory.valid.sum(axis=0))
    limited = np.asarray(trajectory.truncated.any(axis=0))
    assert 0 < limited.sum() < 50
    np.testing.assert_array_equal(np.asarray(trajectory.truncated[:, limited]).argmax(axis=0), 11)
    np.testing.assert_array_equal(finished.number, 1)
    np.testing.assert_array_equal(finished.sum.episode_return, lengths)
    assert not lanes.alive.any()


def test_metrics_count_finished_episodes_and_valid_steps():
    config = replace(STREAM, num_envs=50, num_steps=12)
    state = initial(config)
    _, finished, trajectory = jax.jit(collect)(config, state)
    assert not trajectory.truncated.any()  # by the end of the batch
    np.testing.assert_array_equal(finished.number, trajectory.terminated.sum(axis=0))
    state, metrics = step(config, state)
    returns = np.asarray(finished.sum.episode_return)[np.asarray(finished.number) > 0]
    assert metrics.num_episodes == len(returns)
    assert metrics.mean_return == pytest.approx(returns.mean())
    assert (metrics.min_return, metrics.max_return) == (returns.min(), returns.max())
    assert (metrics.min_length, metrics.max_length) == (returns.min(), returns.max())
    assert metrics.num_steps == metrics.env_steps == trajectory.valid.sum()
    _, second = step(config, state)
    assert second.env_steps == metrics.num_steps + second.num_steps


def test_a_stream_carries_its_episodes_into_the_next_update():
    """Played in one piece or in two: the same sums over finished episodes."""
    config = replace(STREAM, env="TimeLimit-probe", num_envs=3, num_steps=7, num_updates=9)
    state = initial(config)
    episodes = []
    for _ in range(9):
        state, metrics = step(config, state)
        episodes.append(int(metrics.num_episodes))
        if metrics.num_episodes:
            # Episodes of 10 steps, though no update has more than 7.
            assert (metrics.min_return, metrics.max_length) == (10, 10)
        else:
            assert np.isnan([metrics.mean_return, metrics.min_return, metrics.max_length]).all()
    assert sum(episodes) == 3 * (9 * 7 // 10)
    assert 0 in episodes


def test_reset_each_update_drops_unfinished_episodes():
    config = replace(STREAM, env="TimeLimit-probe", num_steps=7, reset_each_update=True)
    state = initial(config)
    for _ in range(3):
        lanes, _, _ = collect(config, state)
        assert (lanes.episode.length == 7).all()
        state, metrics = step(config, state)
        assert metrics.num_episodes == 0


def test_next_obs_is_from_before_the_reset():
    config = replace(STREAM, env="TimeLimit-probe", num_steps=25, bootstrap=True)
    _, _, trajectory = collected(config)
    time = np.asarray(trajectory.obs[..., 1])
    np.testing.assert_array_equal(time[:25, 0], np.arange(25) % 10)
    np.testing.assert_array_equal(trajectory.next_obs[:25, :, 1], time[:25] + 1)


def test_the_loop_ends_with_the_block_of_the_last_living_lane():
    """Rows beyond it were never written; a lane that stood still would have left its state."""
    config = replace(CARTPOLE, num_steps=400, block_steps=10)
    _, _, trajectory = collected(config)
    longest = int(trajectory.valid.sum(axis=0).max())
    played = -(-longest // 10) * 10
    assert longest < 300
    assert trajectory.obs[:played].any(axis=(1, 2)).all()
    assert not trajectory.obs[played:].any()


def test_evaluation_plays_whole_episodes():
    config = replace(CARTPOLE, num_steps=3)
    state = initial(config)
    with pytest.raises(ValueError, match="num_episodes must be at least 1, not 0"):
        evaluate(config, state.params, jax.random.key(1), 0)
    for greedy in (True, False):
        played = evaluate(config, state.params, jax.random.key(1), 100, greedy=greedy)
        assert played.episode_return.shape == (100,)
        np.testing.assert_array_equal(played.episode_return, played.episode_length)
        assert played.episode_length.min() > 3
        assert played.episode_length.max() <= 500


def test_sampled_evaluation_is_random_and_greedy_is_not():
    config = replace(CARTPOLE, env="ActionReward-probe")
    undecided = jax.tree.map(jnp.zeros_like, initial(config).params)
    greedy = evaluate(config, undecided, jax.random.key(1), 256).episode_return
    sampled = evaluate(config, undecided, jax.random.key(1), 256, greedy=False).episode_return
    np.testing.assert_array_equal(greedy, -1)  # of equals, the first
    assert 0.3 < float(jnp.mean(sampled > 0)) < 0.7


def test_lengths_of_many_long_episodes_do_not_overflow():
    episodes = Episode(jnp.zeros(4_096), jnp.full(4_096, 1_000_000))
    finished = Finished(jnp.ones(4_096, jnp.int32), episodes, episodes, episodes)
    metrics = episode_metrics(finished, ONE_DEVICE)
    assert float(metrics["mean_length"]) == 1_000_000
    assert int(metrics["num_episodes"]) == 4_096
