"""Tianshou's REINFORCE (no baseline) with the settings of its discrete CartPole example."""

import sys

import numpy as np
import torch
from gymnasium_run import GymnasiumRun, play
from protocol import Result, Settings, read_settings
from tianshou.algorithm import Reinforce
from tianshou.algorithm.modelfree.reinforce import DiscreteActorPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Batch, Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.trainer import OnPolicyTrainerParams
from tianshou.utils.net.common import Net

NUM_ENVS = 8
BUFFER_SIZE = 20_000
LONGEST_EPISODE = 500
REPETITIONS = 2
MINIBATCH = 64


def make_algorithm(envs: DummyVectorEnv) -> Reinforce:
    """Return REINFORCE on two hidden layers of 64, initialized orthogonally."""
    net = Net(state_shape=4, action_shape=2, hidden_sizes=[64, 64], softmax=True)
    for layer in net.modules():
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.orthogonal_(layer.weight, gain=np.sqrt(2))
            torch.nn.init.zeros_(layer.bias)
    policy = DiscreteActorPolicy(
        actor=net,
        dist_fn=torch.distributions.Categorical,
        deterministic_eval=True,
        action_space=envs.action_space[0],
    )
    optim = AdamOptimizerFactory(lr=1e-3)
    return Reinforce(policy=policy, optim=optim, gamma=0.95, return_standardization=True)


def training_params(collector: Collector, num_envs: int) -> OnPolicyTrainerParams:
    """Return a training whose update plays one whole episode per environment; it has no end."""
    return OnPolicyTrainerParams(
        training_collector=collector,
        max_epochs=10**6,
        epoch_num_steps=40_000,
        collection_step_num_env_steps=None,
        collection_step_num_episodes=num_envs,
        update_step_num_repetitions=REPETITIONS,
        batch_size=MINIBATCH,
        verbose=False,
        show_progress=False,
    )


def main(settings: Settings) -> None:
    """Train, evaluate, print the result. An equal batch is as many whole episodes as ours."""
    np.random.seed(settings.seed)
    torch.manual_seed(settings.seed)
    num_envs = settings.num_envs or NUM_ENVS
    run = GymnasiumRun(settings)
    envs = DummyVectorEnv([run.make_env for _ in range(num_envs)])
    envs.seed(settings.seed)
    algorithm = make_algorithm(envs)
    size = max(BUFFER_SIZE, 2 * LONGEST_EPISODE * num_envs)
    collector = Collector(algorithm, envs, VectorReplayBuffer(size, num_envs))
    run.train(lambda: algorithm.run_training(training_params(collector, num_envs)))
    with torch.no_grad():
        mean_return = play(
            lambda obs: algorithm.policy(Batch(obs=obs, info=Batch())).act.numpy(), settings
        )
    Result(
        peer="tianshou",
        algorithm="REINFORCE without a baseline",
        batch={"num_envs": num_envs, "num_steps": LONGEST_EPISODE, "gradient_steps": None},
        compile_seconds=0.0,
        evaluation={
            "policy": "greedy",
            "episodes": settings.eval_episodes,
            "mean_return": mean_return,
        },
        notes=f"whole episodes, {REPETITIONS} epochs over each batch in minibatches of "
        f"{MINIBATCH}; returns standardized",
        **run.outcome(),
    ).send("tianshou", "torch", "gymnasium", "numpy")


if __name__ == "__main__":
    main(read_settings(sys.argv[1:]))
