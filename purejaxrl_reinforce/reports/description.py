"""Description of a configuration: environment, networks, batch, memory, operations."""

import dataclasses
import math
from typing import Any

import jax
from flax.traverse_util import flatten_dict
from rich.filesize import decimal

from purejaxrl_reinforce.algorithm import reinforce, rollout
from purejaxrl_reinforce.algorithm.networks.mlp import FILTER_SIZE, NUM_FILTERS
from purejaxrl_reinforce.bench.flops import phase_costs
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.environments import environment
from purejaxrl_reinforce.environments.environment import Environment
from purejaxrl_reinforce.execution.memory import tree_bytes
from purejaxrl_reinforce.output.text import count


def describe(config: Config) -> dict[str, str]:
    """Describe a configuration by topic: spaces, networks, batch, memory, operations.

    Raises:
        ValueError: the environment is unknown or its spaces are not supported.

    Example:
        >>> from purejaxrl_reinforce import Config, describe
        >>> describe(Config())["actions"]
        'Discrete: 2 values, 0 to 1'
    """
    env = environment.make(config.env, config.env_params)
    return {
        "environment": f"{env.name}, at most {env.time_limit:,} steps per episode",
        **({"parameters": str(config.env_params)} if config.env_params else {}),
        "observations": env.obs_space,
        "actions": env.action_space,
        **_networks(config),
        **_batch(config, env),
        "memory": _memory(config),
        **_operations(config),
    }


def _networks(config: Config) -> dict[str, str]:
    params = reinforce.state_shapes(config).params
    own = config.network if config.baseline_network == "same" else config.baseline_network
    return {
        "policy network": _network(params.policy, config, config.network),
        "baseline network": "the policy's"
        if params.baseline == {}
        else _network(params.baseline, config, own),
    }


def _network(params: Any, config: Config, name: str) -> str:
    if params is None:
        return "none"
    size = sum(math.prod(x.shape) for x in jax.tree.leaves(params))
    return f"{_layers(params['params'], config, name)}: {size:,} parameters"


def _layers(network: dict[str, object], config: Config, name: str) -> str:
    """Return the sizes of a network's layers, inputs to outputs, or the name of a user's own."""
    flat = flatten_dict(network)
    others = "".join(f", and {path[-1]}" for path in flat if len(path) == 1)
    kernels = {path[-2]: x.shape for path, x in flat.items() if path[-1] == "kernel"}
    if "own" in network:
        return name + others
    out, conv = kernels.pop("out"), kernels.pop("conv", None)
    hidden = [kernels[f"hidden_{i}"] for i in range(len(kernels))]
    widths = [*(shape[0] for shape in [*hidden, out]), out[1]]
    text = " x ".join(str(width) for width in widths)
    text += f", {config.activation}" if hidden or conv else ", linear"
    text += ", layer norm" if config.layer_norm else ""
    text = f"{NUM_FILTERS} filters of {FILTER_SIZE} x {FILTER_SIZE}, {text}" if conv else text
    return text + others


def _batch(config: Config, env: Environment) -> dict[str, str]:
    num_steps = rollout.steps_per_update(config, env)
    steps = config.num_envs * num_steps
    most = "" if config.rollout == "stream" else "at most "
    lanes = "whole episode" if config.rollout == "episodes" else "lane"
    return {
        "batch": f"{count(config.num_envs, lanes)} of {most}{num_steps:,} steps:"
        f" {most}{steps:,} steps per update",
        "training": f"{config.num_updates:,} updates: {most}{config.num_updates * steps:,} steps",
    }


def _memory(config: Config) -> str:
    """Return a lower bound of the memory of training; the compiled program takes more.

    That is parameters, optimizer states and gradients, and one batch with its targets, which are
    counted for two lanes, or one: the batch is linear in the lanes.
    """
    few = dataclasses.replace(config, num_envs=min(config.num_envs, 2))
    state = reinforce.state_shapes(few)
    once = 2 * tree_bytes((state.params, state.opt_state))  # and as much again while they change
    num_steps = rollout.steps_per_update(config, environment.make(config.env, config.env_params))
    targets = 3 * 4 * num_steps  # returns, values and advantages in float32
    per_lane = tree_bytes(reinforce.trajectory_shapes(few)) // few.num_envs + targets
    return (
        f"at least {decimal(once + config.num_envs * per_lane)}: {decimal(per_lane)} per lane and"
        f" {decimal(once)} besides"
    )


def _operations(config: Config) -> dict[str, str]:
    costs = phase_costs(config)
    optimizer = costs.pop("optimizer").flops
    phases = ", ".join(f"{name} {cost.flops:,.0f}" for name, cost in costs.items() if cost.flops)
    if not phases:
        return {"operations": "not counted, as the networks are your own"}
    total = sum(cost.flops for cost in costs.values())
    return {
        "operations": f"at least {total:,.0f} floating-point operations per environment step:"
        f" {phases}; and {optimizer:,.0f} per update in the optimizers"
    }
