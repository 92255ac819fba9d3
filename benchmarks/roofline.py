"""Speed of training, and how near its products of matrices come to the machine's peak.

    python benchmarks/roofline.py

measures steps per second with each number of lanes and both networks, counts the floating-point
operations that they need at least, and measures the rate of a large product. Writes
results/roofline.json.

XLA's own count of a program takes the body of a loop once, whatever its length. So dense layers are
counted by formula. One from `a` to `b` units takes, per row,

    forward:   2ab (product) + b (bias), and b for its activation if it is hidden
    backward:  2ab (kernel's gradient) + b (bias's gradient), and, above a hidden layer,
               2ab (gradient of its input) + 2a (activation's derivative, times)

and the backward pass of a `relu_mlp` with K inputs, H hidden units and O outputs

    2 O (K + 1) H (product) + O (K + 1) (its factor) + H (which units are on) + O (bias)
"""

from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from harness import RESULTS, Table, finish, run
from peers.protocol import NETWORKS

from purejaxrl_reinforce.algorithm.networks.mlp import takes_one_product
from purejaxrl_reinforce.bench.result_file import make_result
from purejaxrl_reinforce.bench.timing import measure
from purejaxrl_reinforce.bench.workload import TRAINING, Workload, result_rows
from purejaxrl_reinforce.config import Config


def step_flops(config: Config) -> int:
    """Return the least operations of a valid step of CartPole."""
    sizes = (4, *config.hidden_sizes, 1)  # of both networks: the last of two logits is 0
    forward, backward = forward_flops(sizes), backward_flops(sizes, config.activation)
    # Actions, values, and both networks again for their gradients, but for the known values.
    return 4 * forward - forward_flops(sizes[-2:]) + 2 * backward


def forward_flops(sizes: tuple[int, ...]) -> int:
    """Return the operations per row of a network with these layer sizes, inputs to outputs."""
    return sum(2 * a * b + b for a, b in pairwise(sizes)) + sum(sizes[1:-1])


def backward_flops(sizes: tuple[int, ...], activation: str) -> int:
    """Return the operations per row of a network's gradient, given the gradient of its outputs."""
    if takes_one_product(sizes, activation):
        num_inputs, width, num_outputs = sizes
        products = num_outputs * (num_inputs + 1)
        return 2 * products * width + products + width + num_outputs
    inputs = sum(2 * a * b + 2 * a for a, b in pairwise(sizes[1:]))
    return inputs + sum(2 * a * b + b for a, b in pairwise(sizes))


def matmul_peak() -> float:
    """Return operations per second of a product on each device at the same time."""
    size, product = 2048 if jax.default_backend() == "cpu" else 8192, jax.jit(jnp.matmul)
    factors = [jnp.ones((size, size), device=device) for device in jax.local_devices()]
    # The best counts: other processes on the machine only lower the rate.
    seconds = measure({"": lambda: [product(x, x) for x in factors]}, repeats=10)[""].min
    return len(factors) * 2 * size**3 / seconds


def table(result: dict[str, Any]) -> Table:
    """Return the operations of each training, and its share of the peak."""

    def cells(row: dict[str, Any]) -> list[str]:
        sps, flops = f"{row['sps'] / 1e6:.2f} million", row["flops"] / row["valid_steps"]
        return [row["name"], sps, f"{flops:,.0f}", f"{row['fraction_of_matmul_peak']:.0%}"]

    title = f"peak {result['peaks']['matmul_flops'] / 1e9:,.0f} GFLOP/s"
    columns = ["", "SPS", "FLOP per step", "of product peak"]
    return Table(title, columns, [cells(row) for row in result["rows"]])


def main(
    lanes: tuple[int, ...] = (64, 256, 1024, 4096),
    num_updates: int = 100,
    repeats: int = 5,
    results: Path = RESULTS,
) -> None:
    """Measure the speed of training, and its share of the machine's product peak.

    Args:
        lanes: numbers of lanes.
        num_updates: of a training.
        repeats: of each training.
        results: directory for the result.
    """
    peak, rows = matmul_peak(), []
    for network, layers in NETWORKS.items():
        for num_envs in lanes:
            config = Config(num_envs=num_envs, num_updates=num_updates, **layers)
            workload = Workload(config, seed=0)
            (row,) = result_rows(workload, measure({TRAINING: workload.calls[TRAINING]}, repeats))
            flops = step_flops(config) * row["valid_steps"]
            row |= {"flops": flops, "fraction_of_matmul_peak": flops / row["median"] / peak}
            rows.append(row | {"name": f"{network}, {num_envs:,} lanes", **workload.facts})
    result = make_result("roofline", config, 0, rows, peaks={"matmul_flops": peak})
    finish(results, "roofline", result, None, table)


if __name__ == "__main__":
    run(main)
