"""The configuration of a training run, its validation and the presets.

This module imports neither jax nor numpy, so that `--help` and a mistyped option answer at once;
`purejaxrl_reinforce.reinforce` registers `Config` as a pytree.
"""

import difflib
import math
import numbers
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

Rollout = Literal["episodes", "stream"]
Activation = Literal["relu", "tanh", "gelu", "silu", "elu"]
Baseline = Literal["value", "none", "mean", "loo"]
AdvantageNorm = Literal["standardize", "unit", "none"]


def nearest(word: str, choices: Iterable[str]) -> str:
    """Return "; did you mean 'a' or 'b'?" for the choices that resemble `word`, or ""."""
    by_lower = {choice.lower(): choice for choice in choices}
    matches = difflib.get_close_matches(word.lower(), by_lower, n=3, cutoff=0.5)
    if not matches:
        return ""
    if matches[0] == word.lower():
        matches = matches[:1]
    return "; did you mean " + " or ".join(repr(by_lower[match]) for match in matches) + "?"


@dataclass(frozen=True)
class Config:
    """What to train and how.

    Integers, strings, tuples and booleans shape the program and are static. Floats are the leaves
    of a pytree: they can be traced, so a new value never recompiles and `jax.vmap` can map over
    any of them.

    Raises:
        ValueError: a field has a value of the wrong type, out of range or at odds with another
            field; the message is one line. Traced or array-valued floats are not checked.
    """

    env: str = "CartPole-v1"
    """Environment id: any registered with gymnax, and CartPole-v0."""
    rollout: Rollout = "episodes"
    """episodes: each lane plays one whole episode per update; stream: num_steps steps per lane
    with automatic reset."""
    num_envs: int = 64
    """Lanes: episodes played side by side."""
    num_steps: int | None = None
    """Time steps per lane and update; in `episodes` the longest episode. None: the environment's
    time limit."""
    num_updates: int = 100
    """Policy updates."""
    reset_each_update: bool = False
    """stream only: start each update from fresh resets instead of where the last one stopped."""
    hidden_sizes: tuple[int, ...] = (64,)
    """Widths of the hidden layers, for the policy and the baseline network alike."""
    activation: Activation = "relu"
    """Activation of the hidden layers."""
    baseline: Baseline = "value"
    """Subtracted from the returns. value: a learned network V(s); none: 0; mean: mean return of
    the lanes at that time step; loo: the same without the lane itself."""
    advantage_norm: AdvantageNorm = "standardize"
    """standardize: zero mean, unit variance; unit: centred, over the root of the sum of squares of
    the uncentred."""
    bootstrap: bool = False
    """Where the time limit or the end of the batch cuts an episode, add the baseline's value of
    what would have followed."""
    baseline_steps: int = 1
    """Gradient steps of the baseline network per policy step."""
    anneal: bool = True
    """Let both learning rates fall linearly to zero over num_updates."""
    keras_adam: bool = False
    """Add Adam's epsilon before bias correction, as Keras does, instead of after it."""
    block_size: int | None = None
    """Time steps per block of the rollout and of the backward pass; changes speed and memory, not
    results. None: chosen from num_envs."""
    gamma: float = 0.99
    """Discount per step, in [0, 1]."""
    policy_lr: float = 3e-2
    """Adam's learning rate for the policy network."""
    baseline_lr: float = 3e-2
    """Adam's learning rate for the baseline network."""
    adam_epsilon: float = 1e-8
    """Adam's epsilon."""
    entropy_coef: float = 0.0
    """Weight of the mean policy entropy, which is added to the objective."""
    max_grad_norm: float = math.inf
    """Each network's gradient is scaled down to this global norm; inf: never."""

    def __post_init__(self) -> None:
        for name, kind in FIELD_KINDS.items():
            object.__setattr__(self, name, _checked(name, kind, getattr(self, name)))
        if self.reset_each_update and self.rollout != "stream":
            raise ValueError("reset_each_update=True needs rollout='stream'")
        if self.rollout == "stream" and self.num_steps is None:
            raise ValueError("rollout='stream' needs num_steps, the steps per lane and update")
        if self.bootstrap and self.baseline != "value":
            raise ValueError("bootstrap=True needs baseline='value'")
        if self.baseline_steps > 1 and self.baseline != "value":
            raise ValueError("baseline_steps above 1 needs baseline='value'")
        if self.baseline == "loo" and self.num_envs == 1:
            raise ValueError("baseline='loo' needs num_envs of at least 2")


FIELD_KINDS: dict[str, Any] = {f.name: f.type for f in fields(Config)}
FLOAT_FIELDS = tuple(name for name, kind in FIELD_KINDS.items() if kind is float)
STATIC_FIELDS = tuple(name for name in FIELD_KINDS if name not in FLOAT_FIELDS)
_OPTIONAL = int | None
_POSITIVE_FLOATS = ("policy_lr", "baseline_lr", "adam_epsilon", "max_grad_norm")


def _checked(name: str, kind: Any, value: Any) -> Any:
    """Return `value` in the type of its field, or raise ValueError with what would be right."""
    if kind is float:
        return _checked_float(name, value)
    if kind is int or (kind == _OPTIONAL and value is not None):
        return _checked_size(name, value)
    if kind is bool and not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, not {value!r}")
    if kind is str and not isinstance(value, str):
        raise ValueError(f"{name} must be a string, not {value!r}")
    if name == "hidden_sizes":
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"hidden_sizes must be a list of widths such as [64], not {value!r}")
        return tuple(_checked_size("hidden_sizes", width) for width in value)
    choices = get_args(kind)
    if choices and kind != _OPTIONAL and value not in choices:
        near = nearest(value, choices) if isinstance(value, str) else ""
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}{near}")
    return value


def _checked_size(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise ValueError(f"{name} must be a whole number, not {value!r}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, not {value}")
    return int(value)


def _checked_float(name: str, value: Any) -> Any:
    if isinstance(value, (str, bool)) or value is None:
        raise ValueError(f"{name} must be a number, not {value!r}")
    if not isinstance(value, numbers.Real):
        return value  # a tracer or an array: its value is not known here
    number = float(value)
    if math.isnan(number) or (math.isinf(number) and name != "max_grad_norm"):
        raise ValueError(f"{name} must be a finite number, not {number}")
    if name == "gamma" and not 0 <= number <= 1:
        raise ValueError(f"gamma must lie between 0 and 1, not {number}")
    if name in _POSITIVE_FLOATS and number <= 0:
        raise ValueError(f"{name} must be above 0, not {number}")
    if name == "entropy_coef" and number < 0:
        raise ValueError(f"entropy_coef must be at least 0, not {number}")
    return number


@dataclass(frozen=True)
class Preset:
    """A named configuration and what it is for."""

    config: Config
    purpose: str


PRESETS: dict[str, Preset] = {
    "cartpole": Preset(Config(), "solve CartPole-v1 with every seed and stay there (the default)"),
    "classic": Preset(
        Config(
            env="CartPole-v0",
            rollout="stream",
            num_envs=1,
            num_steps=2_000,
            num_updates=300,
            reset_each_update=True,
            advantage_norm="unit",
            anneal=False,
            keras_adam=True,
            adam_epsilon=1e-7,
        ),
        "what the TensorFlow notebook does: one lane, 2,000 steps per update",
    ),
    "throughput": Preset(
        Config(num_envs=65_536, num_updates=100),
        "the largest sensible batch for an accelerator",
    ),
}


def preset(name: str) -> Config:
    """Return the configuration of a preset.

    Raises:
        ValueError: there is no preset of that name.
    """
    if name not in PRESETS:
        raise ValueError(
            f"unknown preset {name!r}; there are {', '.join(PRESETS)}{nearest(name, PRESETS)}"
        )
    return PRESETS[name].config
