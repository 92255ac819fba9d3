"""Episodes of a gymnax environment, drawn as plain observations."""

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from purejaxrl_reinforce import environment
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.evaluation import whole_episodes
from purejaxrl_reinforce.film import Film, Panel, View
from purejaxrl_reinforce.losses import Params
from purejaxrl_reinforce.observation import Drawing, drawing_of
from purejaxrl_reinforce.rollout import Use, fresh_lanes, keys_for, record

# These environments do not say how fast they are meant to be seen.
_STEPS_PER_SECOND = 10


class _Episode(NamedTuple):
    """Observations [L + 1, ...] and rewards [L] of L steps."""

    obs: np.ndarray
    reward: np.ndarray


def plain_film(config: Config, panels: Sequence[Panel], greedy: bool) -> Film:
    """Return an episode for each panel, played in gymnax."""
    episodes = [_play(config, panel, greedy) for panel in panels]
    num_obs = environment.make(config.env).num_obs
    drawing = drawing_of(np.concatenate([episode.obs for episode in episodes]), num_obs)
    return Film(_STEPS_PER_SECOND, _scenes(episodes, drawing))


def _scenes(episodes: Sequence[_Episode], drawing: Drawing) -> Iterator[list[View]]:
    def view(episode: _Episode, step: int) -> View:
        step = min(step, len(episode.reward))
        return View(
            functools.partial(drawing, episode.obs[step]),
            step,
            float(episode.reward[:step].sum()),
            step == len(episode.reward),
        )

    for step in range(max(len(episode.reward) for episode in episodes) + 1):
        yield [view(episode, step) for episode in episodes]


def _play(config: Config, panel: Panel, greedy: bool) -> _Episode:
    obs, last, reward, valid = (
        np.asarray(x) for x in _record(config, panel.params, jax.random.key(panel.seed), greedy)
    )
    length = int(valid.sum())
    return _Episode(np.concatenate([obs[:length], last]), reward[:length].astype(np.float64))


@functools.partial(jax.jit, static_argnames="greedy")
def _record(
    config: Config, params: Params, key: Array, greedy: bool
) -> tuple[Array, Array, Array, Array]:
    """Return observations [T, ...], the last one [1, ...], rewards and validity [T]."""
    rollout = whole_episodes(config, params, greedy)
    keys = jnp.stack([key])
    start = fresh_lanes(rollout.env, keys_for(keys, Use.START))
    lanes, _, trajectory = record(rollout, start, keys)
    return trajectory.obs[:, 0], lanes.obs, trajectory.reward[:, 0], trajectory.valid[:, 0]
