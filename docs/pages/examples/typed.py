"""Environments, networks and metrics as objects, and what mypy and pyright know of the results."""

import functools
from typing import assert_type

import flax.linen as nn
import jax
import numpy as np
from gymnax.environments.classic_control.cartpole import CartPole

import purejaxrl_reinforce
from purejaxrl_reinforce import (
    Config,
    Evaluation,
    Metrics,
    SavedRun,
    SweepResults,
    TrainState,
    Trajectory,
    evaluate,
    init,
    load_run,
    make_train,
    policy,
    resume_run,
    step,
    sweep,
    train,
)


class Slippery(CartPole):  # type: ignore[misc]  # gymnax has no types
    def __init__(self, grip: float = 0.5) -> None:
        self.grip = grip


class Wide(nn.Module):
    num_outputs: int
    width: int = 8

    @nn.compact
    def __call__(self, obs: jax.Array) -> jax.Array:
        return nn.Dense(self.num_outputs)(nn.tanh(nn.Dense(self.width)(obs)))


def make_slippery() -> Slippery:
    return Slippery(grip=0.1)


def reached(config: Config, state: TrainState, trajectory: Trajectory) -> dict[str, jax.Array]:
    return {"steps": trajectory.valid.sum(), "cost": config.gamma * state.update}


key = jax.random.key(0)
Config(env=Slippery, network=Wide, baseline_network="mlp")
Config(env=make_slippery, network=Wide(num_outputs=0)).replace(env="CartPole-v1", stop_at=400)
config = Config(env=Slippery(grip=0.1), network=functools.partial(Wide, width=4), num_envs=2)
name: str = config.env

params = init(config, key).params
assert_type(Config(num_envs=2, env_params={"gravity": 12.0}), Config)
assert_type(init(config, key), TrainState)
assert_type(train(config.replace(metrics=reached), key)[1].own["steps"], jax.Array)
assert_type(step(config, init(config, key)), tuple[TrainState, Metrics])
assert_type(train(config, key), tuple[TrainState, Metrics])
assert_type(make_train(config)(key), tuple[TrainState, Metrics])
assert_type(evaluate(config, params, key, num_episodes=3, greedy=False), Evaluation)
assert_type(policy(config, params)(init(config, key).lanes.obs), jax.Array)

run = load_run("run")
assert_type(run.state, TrainState)
assert_type(run.metrics, dict[str, "np.ndarray"])
assert_type(resume_run(run, num_updates=9), SavedRun)

results = sweep(config, [1, 2], {"policy_lr": [0.1]}, progress=True)
assert_type(results, SweepResults)
assert_type(results.best, Config)
assert_type(results.to_latex(), str)
agents: "np.ndarray" = results.scores[results.updates > 10]
iqm: list[float] = results.ranking()["iqm"].tolist()
print(purejaxrl_reinforce.__version__, results.to_pandas().columns, results.confirmed)
