"""Episodes of Gymnasium's own environment, drawn by its renderer."""

import contextlib
from collections.abc import Iterator, Sequence

import jax
import numpy as np
from PIL import Image

from purejaxrl_reinforce.algorithm.environments import environment
from purejaxrl_reinforce.algorithm.keys import evaluation_key
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.evaluation.gymnasium import RenderedEnv, gym_actions, make_rendered
from purejaxrl_reinforce.evaluation.video_frames import Film, Panel, View

_DEFAULT_STEPS_PER_SECOND = 30


@contextlib.contextmanager
def gymnasium_film(config: Config, panels: Sequence[Panel], greedy: bool) -> Iterator[Film | None]:
    """Give an episode for each panel, played in Gymnasium; None if it has no renderer for it.

    Raises:
        ValueError: Gymnasium's environment has other spaces, or its renderer lacks a package.
    """
    made = (make_rendered(environment.make(config.env, config.env_params)) for _ in panels)
    envs = [env for env in made if env is not None]
    try:
        if not envs:
            yield None
            return
        pairs = zip(envs, panels, strict=True)
        yield Film(
            [_play(config, env, panel, greedy) for env, panel in pairs],
            envs[0].metadata.get("render_fps", _DEFAULT_STEPS_PER_SECOND),
            "Gymnasium's renderer",
        )
    finally:
        for env in envs:
            env.close()


def _play(config: Config, env: RenderedEnv, panel: Panel, greedy: bool) -> Iterator[View]:
    def picture() -> Image.Image:
        return Image.fromarray(np.asarray(env.render(), np.uint8))

    obs, _ = env.reset(seed=panel.seed)
    length, total = 0, 0.0
    yield View(picture, length, total, done=False)
    episode_key = evaluation_key(jax.random.key(panel.seed))
    for key in jax.random.split(
        episode_key, environment.make(config.env, config.env_params).time_limit
    ):
        (action,) = gym_actions(config, panel.params, obs[None], key, env.action_space, greedy)
        obs, reward, terminated, truncated, _ = env.step(action)
        length, total, done = length + 1, total + float(reward), terminated or truncated
        yield View(picture, length, total, done)
        if done:
            return
