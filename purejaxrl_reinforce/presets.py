"""Presets: measured configurations, each with its purpose.

docs/pages/presets.md has their results.
"""

from dataclasses import dataclass

from purejaxrl_reinforce.config import Config, nearest


@dataclass(frozen=True)
class Preset:
    """A named configuration and its purpose.

    Attributes:
        tuned: whether it is meant to solve its environment, and so what `--env` alone starts from.
    """

    config: Config
    purpose: str
    tuned: bool = True


# Standardized advantages keep their size while rewards are rare. Rates and entropy are the best of
# those that were swept over 8 seeds.
_STANDARDIZED = Config(advantage_norm="standardize", policy_lr=1e-2)
# Streams whose short segments are bootstrapped, and everything normalized: for many small rewards.
_STREAM = Config(
    rollout="stream",
    num_steps=32,
    num_updates=1_000,
    advantage_norm="standardize",
    normalize_obs=True,
    normalize_rewards=True,
    baseline_steps=4,
    gamma=0.95,
    trace_lambda=0.95,
    policy_lr=3e-3,
    baseline_lr=1e-2,
)

# Boards are zeros and ones already. On a CPU an MLP is five times as fast as the CNN.
_MINATAR = _STREAM.replace(
    num_updates=300,
    hidden_sizes=(128,),
    network="mlp",
    normalize_obs=False,
    baseline_steps=1,
    gamma=0.99,
    entropy_coef=0.01,
    baseline_lr=3e-3,
)

PRESETS: dict[str, Preset] = {
    # A batch of equal returns has advantages that are the baseline's errors and nothing else.
    # Standardizing would blow these up and drive a solved policy off; left as they are, and small
    # because the baseline bootstraps across the time limit and learns fast, they hardly move it.
    # With gamma 0.99 a slow drift costs too little: played greedily, seven of 1,024 seeds fell
    # early in so many of 100 episodes that they averaged below 495.
    "cartpole": Preset(Config(), "solve CartPole-v1 with every seed and stay there (the default)"),
    "cartpole-efficient": Preset(
        Config(num_envs=8, num_updates=200), "solve CartPole-v1 in the fewest environment steps"
    ),
    "acrobot": Preset(
        _STANDARDIZED.replace(env="Acrobot-v1", entropy_coef=0.01), "swing Acrobot-v1 up"
    ),
    "catch": Preset(
        _STANDARDIZED.replace(env="Catch-bsuite", num_updates=200), "catch every ball of Catch"
    ),
    # The reward is at the end of one path in 256, which some lane must find by chance.
    "deepsea": Preset(
        _STANDARDIZED.replace(env="DeepSea-bsuite", num_envs=2_048, policy_lr=3e-3),
        "find the treasure of DeepSea",
    ),
    "fourrooms": Preset(
        _STANDARDIZED.replace(env="FourRooms-misc", policy_lr=3e-3, entropy_coef=0.01),
        "reach the goal of FourRooms",
    ),
    "pendulum": Preset(
        _STREAM.replace(env="Pendulum-v1", initial_std=0.5), "swing Pendulum-v1 up and hold it"
    ),
    "reacher": Preset(
        _STREAM.replace(
            env="Reacher-misc",
            num_steps=25,
            num_updates=1_500,
            gamma=0.97,
            trace_lambda=0.97,
            initial_std=0.5,
        ),
        "move the arm of Reacher to its goal and hold it there",
    ),
    # With wide noise, clipped to full throttle either way, one episode in twelve gets up the hill;
    # a batch of 64 whole ones has enough of these to learn before its noise shrinks to save fuel.
    "mountaincar-continuous": Preset(
        Config(
            env="MountainCarContinuous-v0",
            advantage_norm="standardize",
            normalize_obs=True,
            normalize_rewards=True,
            baseline_steps=10,
            gamma=0.99,
            policy_lr=3e-2,
            baseline_lr=1e-2,
            initial_std=3.0,
        ),
        "reach the top of MountainCarContinuous-v0",
    ),
    "metamaze": Preset(
        _STREAM.replace(
            env="MetaMaze-misc",
            num_steps=50,
            num_updates=600,
            baseline_steps=2,
            gamma=0.9,
            policy_lr=1e-2,
        ),
        "find the goal of MetaMaze again and again, without a memory",
    ),
    "breakout-minatar": Preset(
        _MINATAR.replace(env="Breakout-MinAtar"), "break bricks of MinAtar's Breakout"
    ),
    "space-invaders-minatar": Preset(
        _MINATAR.replace(env="SpaceInvaders-MinAtar"), "shoot aliens of MinAtar's Space Invaders"
    ),
    "classic": Preset(
        Config(
            env="CartPole-v0",
            rollout="stream",
            num_envs=1,
            num_steps=2_000,
            num_updates=300,
            reset_each_update=True,
            bootstrap=False,
            advantage_norm="unit",
            gamma=0.99,
            policy_lr=3e-2,
            baseline_lr=3e-2,
            anneal=False,
            keras_adam=True,
            adam_epsilon=1e-7,
        ),
        "reproduce the TensorFlow notebook: one lane, 2,000 steps per update",
        tuned=False,
    ),
    "throughput": Preset(
        Config(
            num_envs=65_536,
            bootstrap=False,
            advantage_norm="standardize",
            gamma=0.99,
            policy_lr=3e-2,
            baseline_lr=3e-2,
        ),
        "the largest sensible batch for an accelerator",
        tuned=False,
    ),
}


def preset_for(env: str) -> str | None:
    """Return the name of the preset that was tuned for an environment, if there is one."""
    tuned = (name for name, preset in PRESETS.items() if preset.tuned and preset.config.env == env)
    return next(tuned, None)


def preset(name: str) -> Config:
    """Return the configuration of a preset.

    Raises:
        ValueError: there is no preset of that name.

    Example:
        >>> from purejaxrl_reinforce import preset
        >>> preset("acrobot").env
        'Acrobot-v1'
    """
    if name not in PRESETS:
        raise ValueError(
            f"unknown preset {name!r}; there are {', '.join(PRESETS)}{nearest(name, PRESETS)}"
        )
    return PRESETS[name].config
