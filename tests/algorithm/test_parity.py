"""From the notebook's initial weights and batches, training computes what the notebook computed."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purejaxrl_reinforce import init, preset
from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.algorithm.rollout import Trajectory
from tests.support.learning import learn, networks_of, targets_of

DATA = np.load(Path(__file__).parent.parent / "data" / "notebook_run_a.npz")
ATOL = 1e-4


def recorded_params(prefix: str) -> Params:
    def network(kind: str) -> dict:
        def layer(name: str) -> dict:
            parts = "kernel", "bias"
            return {x: jnp.asarray(DATA[f"{prefix}{kind}/{name}_{x}"]) for x in parts}

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
    played = (DATA[f"{prefix}{name}"] for name in ("observations", "actions", "rewards"))
    lane = *played, terminated, np.zeros(600, bool), np.ones(600, bool)
    return Trajectory(*(jnp.asarray(x)[:, None] for x in lane))


@pytest.mark.parametrize("block_rows", [None, 7])
def test_five_updates_match_the_notebook(block_rows):
    config = preset("classic").replace(block_rows=block_rows)
    state = init(config, jax.random.key(0))._replace(params=recorded_params("init/"))
    networks = networks_of(config)
    for i in range(5):
        trajectory = recorded_trajectory(i)
        targets = targets_of(config, state.params, trajectory)
        names = "returns", "values_before", "advantages"
        for ours, name in zip(targets, names, strict=True):
            np.testing.assert_allclose(ours[:, 0], DATA[f"iter{i}/{name}"], rtol=0, atol=ATOL)
        distribution = networks.distribution(state.params, trajectory.obs[:, 0])
        log_probs = distribution.log_prob(trajectory.action[:, 0])
        np.testing.assert_allclose(log_probs, DATA[f"iter{i}/log_probs_before"], rtol=0, atol=ATOL)

        state, metrics = learn(config, state, trajectory)
        for name in ("policy_loss", "baseline_loss"):
            expected = DATA[f"iter{i}/{name}"]
            np.testing.assert_allclose(metrics[name], expected, rtol=1e-6, atol=ATOL)
        jax.tree.map(
            lambda ours, theirs: np.testing.assert_allclose(ours, theirs, rtol=0, atol=ATOL),
            state.params,
            recorded_params(f"iter{i}/"),
        )
