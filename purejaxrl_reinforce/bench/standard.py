"""Standard workloads: each has a name, and computes the same wherever and whenever it runs.

docs/pages/benchmark.md is their specification. A change of what one computes is a new name, -v2:
`tests/bench/test_standard.py` holds the digest of every table below.
"""

from typing import Any, NamedTuple

from purejaxrl_reinforce.config import Config, nearest

# Fields that change the time of a training and not what it computes: free in every workload.
FREE_FIELDS = ("engine", "platform", "block_steps", "lane_width", "block_rows")


class Standard(NamedTuple):
    """What is measured.

    Attributes:
        name: with its version.
        config: of each training.
        num_agents: that are trained side by side; 1: one, whose lanes are sharded over all devices.
        num_seeds: that are trained until the mean return of an update reaches `target`; of many
            agents, as many as these are, each through all updates and then played greedily.
        target: the mean return that solves it.
        least_solved: share of the seeds below which a result does not count.
    """

    name: str
    config: Config
    num_agents: int = 1
    num_seeds: int = 32
    target: float = 475.0
    least_solved: float = 0.9


# Every field but the free ones is written out, so that another default of the package changes
# nothing here.
_CARTPOLE: dict[str, Any] = {
    "env": "CartPole-v1",
    "env_params": {},
    "rollout": "episodes",
    "num_envs": 64,
    "num_steps": 500,
    "num_updates": 100,
    "reset_each_update": False,
    "hidden_sizes": (64,),
    "activation": "relu",
    "network": "mlp",
    "layer_norm": False,
    "orthogonal": False,
    "action": "clip",
    "log_std": "free",
    "baseline": "value",
    "baseline_network": "same",
    "advantage_norm": "none",
    "bootstrap": True,
    "normalize_obs": False,
    "normalize_rewards": False,
    "baseline_steps": 1,
    "gradient_noise": False,
    "eval_every": 0,
    "eval_episodes": 64,
    "anneal": True,
    "keras_adam": False,
    "precision": "float32",
    "gamma": 0.995,
    "trace_lambda": 1.0,
    "policy_lr": 0.02,
    "baseline_lr": 0.3,
    "initial_std": 1.0,
    "obs_clip": 10.0,
    "adam_epsilon": 1e-8,
    "entropy_coef": 0.0,
    "baseline_coef": 0.5,
    "max_grad_norm": float("inf"),
}
# Fields that every result of a workload has to have.
FIXED_FIELDS = tuple(_CARTPOLE)
# Streams, so that every agent takes exactly 500,000 steps.
_AGENTS = {
    "rollout": "stream",
    "num_envs": 8,
    "num_steps": 250,
    "num_updates": 250,
    "policy_lr": 0.01,
}

# Lower rates, since with the others one seed in some fifty loses what it has learned.
_TANH = {
    "hidden_sizes": (64, 64),
    "activation": "tanh",
    "policy_lr": 0.01,
    "baseline_lr": 0.1,
}

STANDARDS = {
    standard.name: standard
    for standard in (
        Standard("cartpole-reinforce-v1", Config(**_CARTPOLE)),
        Standard("cartpole-reinforce-v1-tanh", Config(**_CARTPOLE | _TANH)),
        Standard(
            "cartpole-reinforce-sweep-v1",
            Config(**_CARTPOLE | _AGENTS),
            num_agents=2_048,
            num_seeds=2_048,
        ),
    )
}


def standard(name: str) -> Standard:
    """Return a workload by its name.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in STANDARDS:
        raise ValueError(
            f"unknown workload {name!r}; there are {', '.join(STANDARDS)}{nearest(name, STANDARDS)}"
        )
    return STANDARDS[name]
