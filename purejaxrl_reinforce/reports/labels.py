"""Names of fields and measurements in words."""

from collections.abc import Mapping
from typing import Any

_LABELS = {
    "env": "environment",
    "env_params": "parameters of the environment",
    "num_envs": "lanes",
    "num_steps": "steps per lane and update",
    "num_updates": "updates",
    "reset_each_update": "resets before each update",
    "hidden_sizes": "widths of the hidden layers",
    "agents_how": "trained",
    "advantage_norm": "normalization of advantages",
    "bootstrap": "bootstrapping where truncated",
    "baseline_steps": "baseline steps per policy step",
    "eval_every": "updates between evaluations",
    "eval_episodes": "episodes of an evaluation",
    "anneal": "learning rates fall to 0",
    "keras_adam": "Adam as in Keras",
    "precision": "precision of products",
    "platform": "program for",
    "block_steps": "steps between checks for the end",
    "lane_width": "lanes played at once",
    "block_rows": "rows of a gradient at once",
    "gamma": "discount",
    "trace_lambda": "lambda of returns",
    "policy_lr": "policy's learning rate",
    "baseline_lr": "baseline's learning rate",
    "adam_epsilon": "Adam's epsilon",
    "entropy_coef": "weight of the entropy",
    "max_grad_norm": "largest gradient norm",
    "calls_per_sample": "calls per sample",
    "compile_seconds": "compilation, s",
    "flops": "least FLOP",
    "bytes": "least bytes",
    "flops_per_second": "FLOP/s",
    "fraction_of_matmul_peak": "of the peak of matrix products",
    "matmul_flops": "peak of matrix products, FLOP/s",
    "last_mean_return": "last training return",
    "best_mean_return": "best training return",
    "first_solved_update": "solved in update",
    "median": "median, s",
    "memory_gib": "memory, GiB",
    "peak_process_bytes": "most memory of the process, bytes",
    "peak_device_bytes": "most memory of a device, bytes",
    "trajectory_bytes": "the trajectory, bytes",
    "memory_bytes": "peak of main memory, B/s",
    "min": "shortest, s",
    "name": "",
    "program_bytes": "memory of the program, bytes",
    "sps": "SPS",
    "sps_best": "best SPS",
}


def label(name: str) -> str:
    """Return a name in words."""
    return _LABELS.get(name, name.replace("_", " "))


def labeled(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return measurements by their names in words."""
    return {label(name): value for name, value in values.items()}


def labeled_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of a configuration by their names in words, with those of their options."""
    words = {name: label(name) for name in values}
    return {
        word if word == name else f"{word} ({name})": values[name] for name, word in words.items()
    }
