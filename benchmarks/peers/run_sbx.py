"""SBX's PPO with its defaults. SBX (Stable-Baselines3 in JAX) has neither A2C nor REINFORCE."""

import sys

from compile_clock import CompileClock
from gymnasium_run import GymnasiumRun, play
from protocol import Result, Settings, read_settings
from sbx import PPO
from stable_baselines3.common.env_util import make_vec_env

NUM_ENVS = 1
NUM_STEPS = 2048


def main(settings: Settings) -> None:
    """Train, evaluate, print the result."""
    num_envs = settings.num_envs or NUM_ENVS
    num_steps = settings.num_steps or NUM_STEPS
    clock = CompileClock()
    run = GymnasiumRun(settings, clock.seconds)
    envs = make_vec_env(run.make_env, n_envs=num_envs, seed=settings.seed)
    model = PPO("MlpPolicy", envs, n_steps=num_steps, seed=settings.seed)
    run.train(lambda: model.learn(total_timesteps=settings.max_env_steps))
    compile_seconds = clock.seconds()
    mean_return = play(lambda obs: model.predict(obs, deterministic=True)[0], settings)
    minibatches = -(-num_envs * num_steps // model.batch_size)
    Result(
        peer="sbx",
        algorithm="PPO",
        batch={
            "num_envs": num_envs,
            "num_steps": num_steps,
            "gradient_steps": model.n_epochs * minibatches,
        },
        compile_seconds=compile_seconds,
        evaluation={
            "policy": "greedy",
            "episodes": settings.eval_episodes,
            "mean_return": mean_return,
        },
        notes=f"{model.n_epochs} epochs over each batch in minibatches of {model.batch_size}",
        **run.outcome(),
    ).send("sbx-rl", "stable_baselines3", "jax", "gymnasium", "numpy")


if __name__ == "__main__":
    main(read_settings(sys.argv[1:]))
