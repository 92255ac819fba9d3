"""rejax's PPO on gymnax's CartPole-v1, with rejax's defaults, as one compiled program."""

import sys
import time

import jax
from progress import Progress
from protocol import Result, Settings, read_settings
from rejax import PPO
from rejax.evaluate import evaluate

NUM_ENVS = 64
NUM_STEPS = 64
EVALUATIONS = 100


def make(settings: Settings) -> PPO:
    """Return the algorithm, laid out for the budget of environment steps."""
    num_envs = settings.num_envs or NUM_ENVS
    num_steps = settings.num_steps or NUM_STEPS
    updates = max(1, settings.max_env_steps // (num_envs * num_steps))
    # rejax trains in stretches of `eval_freq` steps and rounds their number up.
    per_evaluation = -(-updates // EVALUATIONS)
    return PPO.create(
        env="CartPole-v1",
        num_envs=num_envs,
        num_steps=num_steps,
        eval_freq=num_envs * num_steps * per_evaluation,
        total_timesteps=num_envs * num_steps * per_evaluation * max(1, updates // per_evaluation),
        skip_initial_evaluation=True,
    )


def timed(ppo: PPO, key: jax.Array) -> tuple[object, float, float]:
    """Train without evaluations; return the state, the seconds of compiling and of training."""
    silent = ppo.replace(eval_callback=lambda _algo, _state, _key: ())
    started = time.perf_counter()
    program = jax.jit(silent.train).lower(key).compile()
    compiled = time.perf_counter()
    state, _ = jax.block_until_ready(program(key))
    return state, compiled - started, time.perf_counter() - compiled


def main(settings: Settings) -> None:
    """Train twice from the same key, timed and with evaluations; print the result."""
    startup_seconds = settings.seconds_since_start()
    ppo = make(settings)
    key = jax.random.key(settings.seed)
    state, compile_seconds, train_seconds = timed(ppo, key)
    # rejax reports no training returns, and its evaluations cost more than its training: the
    # learning curve comes from a second run of the same training.
    _, (_, returns) = jax.jit(ppo.train)(key)
    progress = Progress()
    progress.add_updates(
        [(ppo.eval_freq, float(row.mean()), len(row)) for row in returns], train_seconds
    )
    act = ppo.make_act(state)
    _, final = evaluate(act, key, ppo.env, ppo.env_params, settings.eval_episodes)
    Result(
        peer="rejax",
        algorithm="PPO",
        seed=settings.seed,
        batch={
            "num_envs": ppo.num_envs,
            "num_steps": ppo.num_steps,
            "gradient_steps": ppo.num_epochs * ppo.num_minibatches,
        },
        startup_seconds=startup_seconds,
        compile_seconds=compile_seconds,
        train_seconds=train_seconds,
        env_steps=int(state.global_step),
        curve=progress.thinned_curve(),
        solved_at=progress.solved_at,
        evaluation={
            "policy": "sampled",
            "episodes": settings.eval_episodes,
            "mean_return": float(final.mean()),
        },
        stopped_by="env_steps",
        notes=f"{ppo.num_epochs} epochs over each batch in {ppo.num_minibatches} minibatches; "
        "its curve is of 128 evaluation episodes, not of finished training episodes",
    ).send("rejax", "gymnax", "jax", "flax")


if __name__ == "__main__":
    main(read_settings(sys.argv[1:]))
