"""The configuration of a training run and its validation.

Imports neither jax nor numpy, so that `--help` and a mistyped option answer at once;
`purejaxrl_reinforce.algorithm` registers `Config` as a pytree.
"""

import difflib
import functools
import math
import numbers
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, get_args

from purejaxrl_reinforce.named import Named, named

LogStd = Literal["free", "fixed", "state"]
Engine = Literal["auto", "xla", "kernel", "interpret"]
AdvantageNorm = Literal["standardize", "unit", "none"]

# What fits into the program's int32 and float32 (normal numbers).
LARGEST_SIZE = 2**31 - 1
LARGEST_FLOAT = 3.4028234e38
SMALLEST_FLOAT = 1.1754944e-38
# Deeper networks take minutes to compile, and plain ones do not learn.
MOST_LAYERS = 32
# Built-in networks, and how a user's own are named.
NETWORKS = ("auto", "mlp", "cnn")
_IMPORT_PATH = re.compile(r"\w+(\.\w+)*:\w.*")
# Fields whose value names an object, or is one, of which it then has the name.
OBJECT_FIELDS = ("env", "network", "baseline_network", "metrics")
NO_METRICS = "none"
# The name of a parameter of the environment, as a field that can be swept, begins so.
ENV_PARAM = "env_params."


def nearest(word: str, choices: Iterable[str], cutoff: float = 0.5) -> str:
    """Return "; did you mean 'a' or 'b'?" for the choices that resemble `word`, or "".

    A `cutoff` of 0 always finds three, however far.
    """
    by_lower = {choice.lower(): choice for choice in choices}
    matches = difflib.get_close_matches(word.lower(), by_lower, n=3, cutoff=cutoff)
    if not matches:
        return ""
    if matches[0] == word.lower():
        matches = matches[:1]
    return "; did you mean " + " or ".join(repr(by_lower[match]) for match in matches) + "?"


class EnvParams(dict[str, Any]):
    """Parameters of an environment by name, immutable and hashable."""

    def __init__(self, values: Mapping[str, Any] = {}) -> None:
        super().__init__(sorted(dict(values).items()))

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self.items()))

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.items()) or "none"

    def __reduce__(self) -> Any:
        return EnvParams, (dict(self),)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("env_params cannot be changed; make another Config")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse


NO_PARAMS = EnvParams()


@dataclass(frozen=True)
class Config:
    """The configuration of a training run; `Config()` is the preset cartpole.

    Integers, strings, tuples and booleans shape the program and are static. Floats are the leaves
    of a pytree: they can be traced, so a new value never recompiles and `jax.vmap` can map over
    any of them. The same holds for the numbers in `env_params`, by name in a mapping: `12.0` is
    traced, `12` is static. `purejaxrl-reinforce train --help` describes each field.

    Raises:
        ValueError: a field has a value of the wrong type, out of range or at odds with another
            field; the message is one line. Traced or array-valued floats are not checked.

    Example:
        >>> from purejaxrl_reinforce import Config
        >>> Config(env="Acrobot-v1").replace(gamma=0.9)
        Config(env='Acrobot-v1', gamma=0.9)
    """

    env: str | Any = "CartPole-v1"
    """Environment: registered with gymnax, CartPole-v0, or your own, as package.module:Class or
    package.module:Class(size=3). In Python also the class, a function or an instance."""
    env_params: Mapping[str, Any] = NO_PARAMS
    """Parameters of the environment that differ from its defaults: gravity=12 length=0.7."""
    rollout: Literal["episodes", "stream"] = "episodes"
    """episodes: one whole episode per lane and update; stream: num_steps steps, with resets."""
    num_envs: int = 64
    """Lanes: episodes played side by side."""
    num_steps: int | None = None
    """Steps per lane and update; for episodes their limit. None: the environment's time limit."""
    num_updates: int = 100
    """Policy updates."""
    stop_at: float | None = None
    """End training after the first update with a training return of at least this. None: never."""
    reset_each_update: bool = False
    """stream: start each update from fresh resets, not where the last one ended."""
    hidden_sizes: tuple[int, ...] = (64,)
    """Widths of the hidden layers, of the policy and the baseline network alike."""
    activation: Literal["relu", "tanh", "gelu", "silu", "elu"] = "relu"
    """Activation of the hidden layers."""
    network: str | Any = "auto"
    """mlp; cnn: 16 filters of 3 x 3 before the hidden layers; auto: cnn for observations of three
    dimensions, else mlp; or your own flax module, as package.module:Class."""
    layer_norm: bool = False
    """Normalize each hidden layer before its activation."""
    orthogonal: bool = False
    """Orthogonal initialization: gain sqrt(2), at the outputs 0.01 (policy) and 1 (baseline)."""
    action: Literal["clip", "squash"] = "clip"
    """Continuous actions outside their bounds are clipped; squash: tanh into the bounds instead."""
    log_std: LogStd = "free"
    """Standard deviation of continuous actions: one learned vector, fixed, or by state."""
    baseline: Literal["value", "none", "mean", "loo"] = "value"
    """value: learned V(s); mean: mean return of all lanes at that step; loo: of the other lanes
    (leave-one-out); none: 0."""
    baseline_network: str | Any = "same"
    """Network of the baseline, if it differs from the policy's."""
    advantage_norm: AdvantageNorm = "none"
    """standardize: (A - mean) / std; unit: (A - mean) / sqrt(sum(A^2)); none: A."""
    bootstrap: bool = True
    """Where an episode is truncated, not terminated, add the value of the next state."""
    normalize_obs: bool = False
    """Normalize observations by the running mean and standard deviation of earlier steps."""
    normalize_rewards: bool = False
    """Divide rewards by the running standard deviation of the discounted return."""
    baseline_steps: int = 1
    """Gradient steps of the baseline network per policy step."""
    gradient_noise: bool = False
    """Report variance and signal-to-noise ratio of the policy gradient (one extra gradient)."""
    eval_every: int = 0
    """Updates between evaluations, whose mean greedy return is the metric eval_return; 0: none."""
    eval_episodes: int = 64
    """Greedy episodes of each of these evaluations, which do not change training."""
    metrics: str | Any = NO_METRICS
    """Further metrics of each update: your own function, as package.module:function."""
    anneal: bool = True
    """Lower both learning rates linearly to zero over num_updates."""
    keras_adam: bool = False
    """Add Adam's epsilon before the bias correction, as Keras does, instead of after it."""
    precision: Literal["float32", "tensorfloat32", "bfloat16"] = "float32"
    """Precision of matrix products on accelerators; lower is faster."""
    platform: Literal["auto", "cpu", "gpu", "tpu"] = "auto"
    """Kind of device that the program is shaped for; auto: the one it runs on."""
    block_steps: int | None = None
    """Time steps between checks for the end of all episodes. None: tuned default."""
    lane_width: int | None = None
    """Largest number of lanes played at once; affects speed and memory. None: tuned default."""
    block_rows: int | None = None
    """Largest number of rows (steps of one lane) per block of the gradient. None: tuned default."""
    engine: Engine = "auto"
    """auto: the faster one, so far always xla; kernel: few launches (NVIDIA GPUs); interpret: the
    same kernels on any device, slowly."""
    gamma: float = 0.995
    """Discount per step, in [0, 1]."""
    trace_lambda: float = 1.0
    """Lambda of the lambda-return, in [0, 1]; 1: no bootstrapping within an episode."""
    policy_lr: float = 2e-2
    """Learning rate of the policy network's Adam."""
    baseline_lr: float = 0.3
    """Learning rate of the baseline network's Adam."""
    initial_std: float = 1.0
    """Standard deviation of continuous actions at the start."""
    obs_clip: float = 10.0
    """Normalized observations are clipped to [-obs_clip, obs_clip]."""
    adam_epsilon: float = 1e-8
    """Adam's epsilon."""
    entropy_coef: float = 0.0
    """Weight of the mean policy entropy in the objective."""
    baseline_coef: float = 0.5
    """Weight of the baseline's loss, where one network of your own gives both."""
    max_grad_norm: float = math.inf
    """Global norm to which each network's gradient is clipped; inf: no clipping."""

    def __post_init__(self) -> None:
        for name in OBJECT_FIELDS:
            object.__setattr__(self, name, named(getattr(self, name)))
        for name, kind in FIELD_KINDS.items():
            object.__setattr__(self, name, _checked(name, kind, getattr(self, name)))
        if self.reset_each_update and self.rollout != "stream":
            raise ValueError("reset_each_update=True needs rollout='stream'")
        if self.rollout == "stream" and self.num_steps is None:
            raise ValueError("rollout='stream' needs num_steps, the steps per lane and update")
        if self.bootstrap and self.baseline != "value":
            raise ValueError("bootstrap=True needs baseline='value'; set bootstrap=False")
        if self.baseline_steps > 1 and self.baseline != "value":
            raise ValueError("baseline_steps above 1 needs baseline='value'")
        bootstraps = isinstance(self.trace_lambda, float) and self.trace_lambda < 1
        if bootstraps and self.baseline != "value":
            raise ValueError("trace_lambda below 1 needs baseline='value'")
        for name, built_in in (
            ("network", NETWORKS),
            ("baseline_network", (*NETWORKS, "same")),
            ("metrics", (NO_METRICS,)),
        ):
            own = (value := getattr(self, name)) not in built_in
            if own and not (isinstance(value, Named) or _IMPORT_PATH.fullmatch(value)):
                raise ValueError(
                    f"{name} must be one of {', '.join(built_in)} or your own as"
                    f" package.module:Name, not {value!r}{nearest(value, built_in)}"
                )
            if own and name != "metrics" and (self.layer_norm or self.orthogonal):
                raise ValueError("layer_norm and orthogonal need a built-in network: mlp or cnn")
        if self.num_envs == 1 and (self.baseline == "loo" or self.gradient_noise):
            field = "gradient_noise=True" if self.gradient_noise else "baseline='loo'"
            raise ValueError(f"{field} needs num_envs of at least 2")

    if not TYPE_CHECKING:  # which would take it for the signature

        def __new__(cls, *_: Any, **given: Any) -> "Config":
            for name in given.keys() - FIELD_KINDS.keys():
                raise TypeError(f"Config has no {name!r}{field_hint(name)}")
            return super().__new__(cls)

    def __repr__(self) -> str:
        """Return the fields that differ from the defaults, as Python takes them."""
        own = ((f.name, getattr(self, f.name), f.default) for f in fields(self))
        changed = (f"{n}={x!r}" for n, x, default in own if hasattr(x, "dtype") or x != default)
        return f"Config({' '.join(', '.join(changed).split())})"

    def replace(self, **changes: Any) -> "Config":
        """Return a copy with some fields changed, checked again."""
        return replace(self, **changes)


FIELD_KINDS: dict[str, Any] = {
    f.name: str if f.name in OBJECT_FIELDS else f.type for f in fields(Config)
}
FLOAT_FIELDS = tuple(name for name, kind in FIELD_KINDS.items() if kind in (float, float | None))
STATIC_FIELDS = tuple(name for name in FIELD_KINDS if name not in (*FLOAT_FIELDS, "env_params"))


def require_config(config: Any) -> None:
    """Raise ValueError unless this is a configuration."""
    if not isinstance(config, Config):
        raise ValueError(f"config must be a Config, not {config!r:.200}")


@functools.cache
def foreign_names() -> dict[str, dict[str, str]]:
    """Return what `fields` and `options` are here, by their names in other libraries."""
    return tomllib.loads(Path(__file__).with_name("foreign.toml").read_text())


def field_hint(name: str) -> str:
    """Return what a name of another library is here, or the fields that resemble it."""
    here = foreign_names()["fields"].get(name.lower())
    return f"; here it is {here}" if here else nearest(name, FIELD_KINDS)


# The smallest and the largest number that each kind of field takes, and the fields that differ.
_LIMITS: dict[Any, tuple[float, float]] = {
    int: (1, LARGEST_SIZE),
    float: (SMALLEST_FLOAT, LARGEST_FLOAT),
    "eval_every": (0, LARGEST_SIZE),
    "stop_at": (-LARGEST_FLOAT, LARGEST_FLOAT),
    "gamma": (0, 1),
    "trace_lambda": (0, 1),
    "entropy_coef": (0, LARGEST_FLOAT),
    "baseline_coef": (0, LARGEST_FLOAT),
    "max_grad_norm": (SMALLEST_FLOAT, math.inf),
}
# What the other kinds of fields take, in words and as a test.
_TESTS: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    bool: ("true or false", lambda x: isinstance(x, bool)),
    str: (
        "a printable name, a class, a function or an instance",
        lambda x: isinstance(x, str) and x.isprintable(),
    ),
    tuple[int, ...]: (
        f"a list of widths such as [64], at most {MOST_LAYERS}",
        lambda x: isinstance(x, list | tuple) and len(x) <= MOST_LAYERS,
    ),
    Mapping[str, Any]: (
        "a table such as {gravity = 12.0}, in Python a mapping",
        lambda x: isinstance(x, Mapping) and all(str(name).isidentifier() for name in x),
    ),
}


def _checked(name: str, kind: Any, value: Any) -> Any:
    """Return `value` in the type of its field; the ValueError else says which values are right."""
    if value is None and kind in (int | None, float | None):
        return None
    kind = {int | None: int, float | None: float}.get(kind, kind)
    if kind in (int, float):
        return _checked_number(name, kind, value, _LIMITS.get(name) or _LIMITS[kind])
    if choices := () if kind in _TESTS else get_args(kind):
        in_words, is_right = f"one of {', '.join(choices)}", value in choices
    else:
        in_words, is_right = _TESTS[kind][0], _TESTS[kind][1](value)
    if not is_right:
        near = nearest(str(value), choices)
        if name == "env" and not isinstance(value, str):
            near = "; give a gymnax Environment, the first of the pair that gymnax.make returns"
        raise ValueError(f"{name} must be {in_words}, not {value!r:.200}{near}")
    if kind == tuple[int, ...]:
        return tuple(_checked_number(f"each of {name}", int, x, _LIMITS[int]) for x in value)
    if kind == Mapping[str, Any]:
        return EnvParams({key: _checked_param(f"{name}.{key}", x) for key, x in value.items()})
    return value


def _checked_param(name: str, value: Any) -> Any:
    """Return a parameter of an environment, which alone knows more about it."""
    if isinstance(value, bool):
        return value
    kind = int if isinstance(value, numbers.Integral) else float
    return _checked_number(name, kind, value, (-_LIMITS[kind][1], _LIMITS[kind][1]))


def _checked_number(name: str, kind: Any, value: Any, limits: tuple[float, float]) -> Any:
    if kind is float and hasattr(value, "dtype") and not isinstance(value, numbers.Real):
        return value  # a tracer or an array: its value is not known here
    is_number = isinstance(value, numbers.Integral if kind is int else numbers.Real)
    if isinstance(value, bool) or not is_number:
        in_words = "a whole number" if kind is int else "a number"
        raise ValueError(f"{name} must be {in_words}, not {value!r:.200}")
    if not limits[0] <= value <= limits[1]:  # of NaN neither is true
        raise ValueError(f"{name} must lie between {limits[0]} and {limits[1]}, not {value}")
    return kind(value)


def get_field(config: Config, name: str) -> Any:
    """Return a field, or one of the environment's parameters as `env_params.gravity`."""
    if name.startswith(ENV_PARAM):
        return config.env_params[name.removeprefix(ENV_PARAM)]
    return getattr(config, name)


def with_fields(config: Config, values: Mapping[str, Any]) -> Config:
    """Return `config` with other values of fields, named as for `get_field`."""
    own = {name: value for name, value in values.items() if not name.startswith(ENV_PARAM)}
    params = {name.removeprefix(ENV_PARAM): values[name] for name in values.keys() - own.keys()}
    if params:
        own["env_params"] = {**own.get("env_params", config.env_params), **params}
    return replace(config, **own)


def checked_seed(seed: Any) -> int:
    """Return `seed`, or raise ValueError if keys could not tell it from another seed."""
    return int(_checked_number("seed", int, seed, (0, 2**32 - 1)))
