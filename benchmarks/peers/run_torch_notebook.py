"""The notebook's way in PyTorch: one environment, one step at a time, an update per 2,000 steps.

Two separate networks, an Adam for each, Monte Carlo returns and a
learned value baseline; advantages centered and divided by the root of their sum of squares, as the
notebook does.
"""

import itertools
import sys

import numpy as np
import torch
from gymnasium_run import GymnasiumRun, WatchedEnv, play
from protocol import NETWORKS, Result, Settings, read_settings

NUM_STEPS = 2_000
GAMMA = 0.99
LEARNING_RATE = 3e-2


def make_network(
    hidden_sizes: tuple[int, ...], activation: str, num_outputs: int
) -> torch.nn.Sequential:
    """Return a network of hidden layers with an activation, and a linear last one."""
    activations = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}
    layers: list[torch.nn.Module] = []
    for size_in, size in itertools.pairwise((4, *hidden_sizes)):
        layers += [torch.nn.Linear(size_in, size), activations[activation]()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(hidden_sizes[-1], num_outputs))


class Trainer:
    """The two networks and how they learn from a batch."""

    def __init__(self, env: WatchedEnv, num_steps: int, network: str) -> None:
        self.env = env
        self.num_steps = num_steps
        layers = NETWORKS[network]
        self.policy = make_network(**layers, num_outputs=2)
        self.baseline = make_network(**layers, num_outputs=1)
        self.optimizers = [
            torch.optim.Adam(net.parameters(), lr=LEARNING_RATE, eps=1e-7)
            for net in (self.policy, self.baseline)
        ]

    def learn(self, seed: int) -> None:
        """Play and learn until the environment ends it."""
        self.env.reset(seed=seed)
        while True:
            self.update(*self.collect())

    @torch.no_grad()
    def collect(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Play `num_steps` steps from a fresh reset; return observations, actions, returns."""
        obs, _ = self.env.reset()
        rows, rewards, ends = [], [], []
        for _ in range(self.num_steps):
            logits = self.policy(torch.from_numpy(obs))
            action = int(torch.distributions.Categorical(logits=logits).sample())
            next_obs, reward, terminated, truncated, _ = self.env.step(action)
            rows.append((obs, action))
            rewards.append(reward)
            ends.append(terminated or truncated)
            obs = self.env.reset()[0] if ends[-1] else next_obs
        returns, ahead = np.zeros(self.num_steps, np.float32), 0.0
        for t in reversed(range(self.num_steps)):
            ahead = rewards[t] + GAMMA * (0.0 if ends[t] else ahead)
            returns[t] = ahead
        observations, actions = zip(*rows, strict=True)
        return (
            torch.from_numpy(np.stack(observations)),
            torch.tensor(actions),
            torch.tensor(returns),
        )

    def update(self, obs: torch.Tensor, actions: torch.Tensor, returns: torch.Tensor) -> None:
        """Take one Adam step in each network."""
        values = self.baseline(obs)[:, 0]
        advantages = (returns - values).detach()
        advantages = (advantages - advantages.mean()) / advantages.norm()
        log_probs = torch.distributions.Categorical(logits=self.policy(obs)).log_prob(actions)
        losses = -(log_probs * advantages).mean(), ((values - returns) ** 2).mean()
        for loss, optimizer in zip(losses, self.optimizers, strict=True):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def main(settings: Settings) -> None:
    """Train, evaluate, print the result. An equal batch has all its environments' steps."""
    torch.manual_seed(settings.seed)
    num_steps = (settings.num_envs or 1) * (settings.num_steps or NUM_STEPS)
    run = GymnasiumRun(settings)
    trainer = Trainer(run.make_env(), num_steps, settings.network)
    run.train(lambda: trainer.learn(settings.seed))
    with torch.no_grad():
        mean_return = play(
            lambda obs: trainer.policy(torch.from_numpy(obs)).argmax(1).numpy(), settings
        )
    Result(
        peer="torch_notebook",
        algorithm="REINFORCE with a value baseline",
        batch={"num_envs": 1, "num_steps": num_steps, "gradient_steps": 1},
        compile_seconds=0.0,
        evaluation={
            "policy": "greedy",
            "episodes": settings.eval_episodes,
            "mean_return": mean_return,
        },
        notes="plays in one environment whatever the batch",
        **run.outcome(),
    ).send("torch", "gymnasium", "numpy")


if __name__ == "__main__":
    main(read_settings(sys.argv[1:]))
