"""From the notebook's initial weights and batches, training computes what the notebook computed."""

import jax
import numpy as np
import pytest

from purejaxrl_reinforce import init, preset
from tests.support.learning import learn, networks_of, targets_of
from tests.support.notebook import DATA, ITERATIONS, recorded_params, recorded_trajectory

ATOL = 1e-4


@pytest.mark.parametrize("block_rows", [None, 7])
def test_five_updates_match_the_notebook(block_rows):
    from dataclasses import replace

    config = replace(preset("classic"), block_rows=block_rows)
    state = init(config, jax.random.key(0))._replace(params=recorded_params("init/"))
    networks = networks_of(config)
    for i in range(ITERATIONS):
        trajectory = recorded_trajectory(i)
        targets = targets_of(config, state.params, trajectory)
        for ours, name in [
            (targets.returns, "returns"),
            (targets.values, "values_before"),
            (targets.advantages, "advantages"),
        ]:
            np.testing.assert_allclose(ours[:, 0], DATA[f"iter{i}/{name}"], rtol=0, atol=ATOL)
        distribution = networks.distribution(state.params, trajectory.obs[:, 0])
        log_probs = distribution.log_prob(trajectory.action[:, 0])
        np.testing.assert_allclose(log_probs, DATA[f"iter{i}/log_probs_before"], rtol=0, atol=ATOL)

        state, metrics = learn(config, state, trajectory)
        for ours, name in [("policy_loss", "policy_loss"), ("baseline_loss", "baseline_loss")]:
            expected = DATA[f"iter{i}/{name}"]
            np.testing.assert_allclose(metrics[ours], expected, rtol=1e-6, atol=ATOL)
        jax.tree.map(
            lambda ours, theirs: np.testing.assert_allclose(ours, theirs, rtol=0, atol=ATOL),
            state.params,
            recorded_params(f"iter{i}/"),
        )
