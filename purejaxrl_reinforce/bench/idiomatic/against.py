"""Speed against the idiomatic JAX program, which has the same losses, timed in turn.

SPS counts valid steps: all of the idiomatic program's, those of living lanes of ours. Ours does its
first updates, from scratch, when episodes are short, which is its slowest time. The other's speed
does not depend on its policy.
"""

import functools
from typing import Any, NamedTuple

import jax
import numpy as np

from purejaxrl_reinforce.algorithm.state import TrainState
from purejaxrl_reinforce.bench.idiomatic.program import make_train
from purejaxrl_reinforce.bench.timing import Call, measure, paired_ratio
from purejaxrl_reinforce.config import NO_PARAMS, Config
from purejaxrl_reinforce.execution.program import Program
from purejaxrl_reinforce.statistics import Interval

FIRST_UPDATES = 30
# About how many steps a timed call of the idiomatic program takes.
_STEPS = 1_000_000
# The fastest batches on a CPU of those that benchmarks/speedup.py tries. No accelerator has been
# measured: there, as many lanes as keep one busy.
_BEST_LANES = {"cpu": (1_024, 256)}
_MANY_LANES = 65_536, 65_536
_BEST_STEPS, _LONGEST_EPISODE = 32, 500
# What the idiomatic program can do, where ours could do something else or less.
_KNOWN: dict[str, tuple[Any, ...]] = {
    "env": ("CartPole-v1",),
    "env_params": (NO_PARAMS,),
    "rollout": ("episodes",),
    "network": ("auto", "mlp"),
    "baseline": ("value",),
    "baseline_network": ("same", "auto", "mlp"),
}


class Speeds(NamedTuple):
    """Valid steps per second of both programs; `ratio` is ours over the idiomatic one's."""

    batch: str
    ours: float
    idiomatic: float
    ratio: Interval

    def line(self) -> str:
        """Return these figures as a sentence."""
        return (
            f"{self.batch}: ours {self.ours / 1e6:.2f} million SPS, idiomatic"
            f" {self.idiomatic / 1e6:.2f}, "
            "ratio {:.1f} (95% interval {:.1f} to {:.1f})".format(*self.ratio)
        )


def against_idiomatic(config: Config, seed: int = 0, repeats: int = 5) -> list[Speeds]:
    """Compare with the idiomatic program: with the batch of `config`, and with the best of each.

    Takes less than a minute on two cores, compiling included, with the preset cartpole.

    Raises:
        ValueError: the idiomatic program cannot do what `config` says.
    """
    key, programs = jax.random.key(seed), {}
    batches = _batches(config)
    for batch, (own, other) in batches.items():
        programs[f"{batch}, ours"] = first_updates(own, key)
        programs[f"{batch}, idiomatic"] = idiomatic(other, key)
    timings = measure({name: call for name, (call, _) in programs.items()}, repeats)

    def speeds(batch: str) -> Speeds:
        ours, other = f"{batch}, ours", f"{batch}, idiomatic"
        per_call = programs[ours][1] / programs[other][1]
        pairs = zip(timings[other].samples, timings[ours].samples, strict=False)  # until Ctrl-C
        ratio = paired_ratio(*zip(*pairs, strict=True))
        return Speeds(
            batch,
            ours=programs[ours][1] / timings[ours].median,
            idiomatic=programs[other][1] / timings[other].median,
            ratio=Interval(*(per_call * x for x in ratio)),
        )

    return [speeds(batch) for batch in batches]


def _batches(config: Config) -> dict[str, tuple[Config, Config]]:
    """Return what both programs are told, by a name: the batch of `config`, and their best."""
    for name, values in _KNOWN.items():
        if (value := getattr(config, name)) not in values:
            raise ValueError(f"the idiomatic program supports only {name}={values[0]}, not {value}")
    steps = config.num_steps or _LONGEST_EPISODE
    lanes, other_lanes = _BEST_LANES.get(jax.default_backend(), _MANY_LANES)

    def of_size(num_envs: int, num_steps: int) -> Config:
        updates = max(2, _STEPS // (num_envs * num_steps))
        return config.replace(num_envs=num_envs, num_steps=num_steps, num_updates=updates)

    return {
        f"same batch ({config.num_envs:,} lanes x {steps} steps)": (
            config,
            of_size(config.num_envs, steps),
        ),
        f"best batches ({lanes:,} x {steps} and {other_lanes:,} x {_BEST_STEPS})": (
            config.replace(num_envs=lanes),
            of_size(other_lanes, _BEST_STEPS),
        ),
    }


def first_updates(config: Config, key: jax.Array, updates: int = FIRST_UPDATES) -> tuple[Call, int]:
    """Return a call that does the first updates of a training, and their valid steps."""
    program = Program(config, key)
    return some_updates(program, program.state, min(updates, config.num_updates))


def some_updates(program: Program, state: TrainState, updates: int) -> tuple[Call, int]:
    """Return a call that does the updates after `state`, and their valid steps."""
    call = functools.partial(program.advance, state, updates)
    return call, int(np.asarray(call()[1].num_steps).sum(dtype=np.int64))


def idiomatic(config: Config, key: jax.Array) -> tuple[Call, int]:
    """Return a call that trains the idiomatic program, and the steps that it takes."""
    program = jax.jit(make_train(config)).lower(key).compile()
    steps = config.num_envs * (config.num_steps or 0) * config.num_updates
    return functools.partial(program, key), steps
