"""Stable-Baselines3's A2C with its defaults, four environments as its documentation has them."""

import sys

from gymnasium_run import GymnasiumRun, play
from protocol import Result, Settings, read_settings
from stable_baselines3 import A2C
from stable_baselines3.common.env_util import make_vec_env

NUM_ENVS = 4
NUM_STEPS = 5


def main(settings: Settings) -> None:
    """Train, evaluate, print the result."""
    num_envs = settings.num_envs or NUM_ENVS
    num_steps = settings.num_steps or NUM_STEPS
    run = GymnasiumRun(settings)
    envs = make_vec_env(run.make_env, n_envs=num_envs, seed=settings.seed)
    model = A2C("MlpPolicy", envs, n_steps=num_steps, seed=settings.seed, device="cpu")
    run.train(lambda: model.learn(total_timesteps=settings.max_env_steps))
    mean_return = play(lambda obs: model.predict(obs, deterministic=True)[0], settings)
    Result(
        peer="sb3_a2c",
        algorithm="A2C",
        batch={"num_envs": num_envs, "num_steps": num_steps, "gradient_steps": 1},
        compile_seconds=0.0,
        evaluation={
            "policy": "greedy",
            "episodes": settings.eval_episodes,
            "mean_return": mean_return,
        },
        notes="bootstraps n-step returns, not whole episodes",
        **run.outcome(),
    ).send("stable_baselines3", "torch", "gymnasium", "numpy")


if __name__ == "__main__":
    main(read_settings(sys.argv[1:]))
