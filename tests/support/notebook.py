"""The notebook's recorded run: initial weights, batches, and what it computed from them."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np

from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.algorithm.rollout import Trajectory

DATA = np.load(Path(__file__).parent.parent / "data" / "notebook_run_a.npz")
ITERATIONS = 5


def recorded_params(prefix: str) -> Params:
    def network(kind: str) -> dict:
        def layer(name: str) -> dict:
            return {
                part: jnp.asarray(DATA[f"{prefix}{kind}/{name}_{part}"])
                for part in ("kernel", "bias")
            }

        return {"params": {"mlp": {"hidden_0": layer("hidden"), "out": layer("out")}}}

    after = "_after" if prefix.startswith("iter") else ""
    return Params(network(f"policy{after}"), network(f"baseline{after}"))


def recorded_trajectory(iteration: int) -> Trajectory:
    """One lane of 600 steps; the last episode is cut unless its return was recorded."""
    prefix = f"iter{iteration}/"
    lengths = DATA[f"{prefix}path_lengths"]
    finished = len(DATA[f"{prefix}episode_rewards"])
    terminated = np.zeros(600, bool)
    terminated[np.cumsum(lengths)[:finished] - 1] = True
    lane = (
        DATA[f"{prefix}observations"],
        DATA[f"{prefix}actions"],
        DATA[f"{prefix}rewards"],
        terminated,
        np.zeros(600, bool),
        np.ones(600, bool),
    )
    return Trajectory(*(jnp.asarray(x)[:, None] for x in lane))
