"""Episodes of Gymnasium's own environment, drawn by its renderer."""

import functools
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from PIL import Image

from purejaxrl_reinforce.algorithm import environment
from purejaxrl_reinforce.algorithm.environment import Environment
from purejaxrl_reinforce.algorithm.networks import Params, make_networks
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.evaluation.evaluate import make_act
from purejaxrl_reinforce.evaluation.gymnasium_env import DrawnEnv, gym_action, make_drawn
from purejaxrl_reinforce.evaluation.video_frames import Film, Panel, View

_DEFAULT_STEPS_PER_SECOND = 30


def gym_film(config: Config, panels: Sequence[Panel], greedy: bool) -> Film | None:
    """Return an episode for each panel, played in Gymnasium; None if it has no renderer for it.

    Raises:
        ValueError: Gymnasium's environment has other spaces, or its renderer lacks a package.
    """
    env = environment.make(config.env)
    drawn = [make_drawn(env) for _ in panels]
    players = [
        _Player(env, gym, panel.seed) for gym, panel in zip(drawn, panels, strict=True) if gym
    ]
    if not players:
        return None
    steps_per_second = players[0].env.metadata.get("render_fps", _DEFAULT_STEPS_PER_SECOND)
    return Film(steps_per_second, _scenes(config, players, panels, greedy))


class _Player:
    """One environment and how its first episode stands."""

    def __init__(self, env: Environment, drawn: DrawnEnv, seed: int) -> None:
        self.env = drawn
        self.obs, _ = drawn.reset(seed=seed)
        self.length, self.total, self.done = 0, 0.0, False
        self._jax_env = env

    def step(self, action: np.ndarray) -> None:
        if self.done:
            return
        self.obs, reward, terminated, truncated, _ = self.env.step(
            gym_action(self._jax_env, self.env.action_space, action)
        )
        self.length += 1
        self.total += float(reward)
        self.done = terminated or truncated

    def view(self) -> View:
        return View(self._picture, self.length, self.total, self.done)

    def _picture(self) -> Image.Image:
        return Image.fromarray(np.asarray(self.env.render(), np.uint8))


def _scenes(
    config: Config, players: Sequence[_Player], panels: Sequence[Panel], greedy: bool
) -> Iterator[list[View]]:
    params = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(panel.params for panel in panels))
    keys = jax.vmap(jax.random.key)(jnp.array([panel.seed for panel in panels], jnp.uint32))
    yield [player.view() for player in players]
    step = 0
    while not all(player.done for player in players):
        obs = np.stack([player.obs for player in players])
        actions = np.asarray(_act(config, params, obs, keys, step, greedy))
        for player, action in zip(players, actions, strict=True):
            player.step(action)
        step += 1
        yield [player.view() for player in players]
    for player in players:
        player.env.close()


@functools.partial(jax.jit, static_argnames="greedy")
def _act(config: Config, params: Params, obs: Array, keys: Array, step: int, greedy: bool) -> Array:
    """Return the actions of P panels with parameters, observations and keys [P, ...] each."""
    networks = make_networks(config)

    def act(params: Params, obs: Array, key: Array) -> Array:
        noise = networks.policy.noise(jax.random.fold_in(key, step))
        return make_act(networks, params.policy, greedy)(obs[None], noise[None])[0]

    return jax.vmap(act)(params, obs, keys)
