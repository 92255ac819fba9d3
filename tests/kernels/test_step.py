"""Whole updates by the kernels, in interpret mode, against XLA's."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purejaxrl_reinforce import Config, init, step

CONFIG = Config(
    num_envs=5, num_steps=12, hidden_sizes=(5,), bootstrap=True, num_updates=9,
    anneal=True, keras_adam=True, max_grad_norm=0.05, entropy_coef=0.1,
    advantage_norm="standardize", policy_lr=1e-3, baseline_lr=1e-3,
)  # fmt: skip


def after(config, state):
    return step(replace(config, engine="xla"), state), step(
        replace(config, engine="interpret"), state
    )


@pytest.fixture(scope="module")
def state():
    return init(CONFIG, jax.random.key(0))._replace(update=jnp.int32(3))


@pytest.mark.parametrize("baseline_steps", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_an_update(state, baseline_steps):
    """Limits of norms and annealing included."""
    config = replace(CONFIG, baseline_steps=baseline_steps)
    (xla, xla_metrics), (kernels, metrics) = after(config, state)
    for ours, theirs in zip(
        jax.tree.leaves((kernels.params, kernels.opt_state, kernels.update, kernels.env_steps)),
        jax.tree.leaves((xla.params, xla.opt_state, xla.update, xla.env_steps)),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6, strict=True)
    for ours, theirs in zip(metrics, xla_metrics, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5, strict=True)
    assert metrics.policy_grad_norm > CONFIG.max_grad_norm
    moved = jax.tree.map(lambda x, y: np.abs(x - y).max(), kernels.params, state.params)
    assert min(jax.tree.leaves(moved)) > 1e-5


def test_an_update_that_is_not_finite_is_not_applied(state):
    spoilt = jax.tree.map(jnp.copy, state)
    spoilt.params.baseline["params"]["mlp"]["out"]["kernel"] *= jnp.nan
    for new, metrics in after(CONFIG, spoilt):
        assert not metrics.finite
        kept = zip(jax.tree.leaves(new.params), jax.tree.leaves(spoilt.params), strict=True)
        for ours, theirs in kept:
            np.testing.assert_array_equal(ours, theirs)
        assert new.update == 3


SHARDED = """
import json, sys
import jax
jax.config.update("jax_num_cpu_devices", 2)
from purejaxrl_reinforce import Config
from purejaxrl_reinforce.execution.program import Program

results = []
for engine in ("xla", "interpret"):
    program = Program(Config(**json.loads(sys.argv[1]), engine=engine), jax.random.key(0))
    (*_, last), = [list(program.run())]
    leaves = [x.ravel().tolist() for x in jax.tree.leaves(last.state.params)]
    results.append([program.mesh.size, leaves, [float(x[-1]) for x in last.metrics]])
print(json.dumps(results))
"""


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_updates_on_two_devices():
    settings = {
        "num_envs": 6, "num_steps": 9, "num_updates": 2, "hidden_sizes": [4],
        "rollout": "stream", "bootstrap": True, "baseline_steps": 2,
        "advantage_norm": "standardize", "policy_lr": 1e-3, "baseline_lr": 1e-3,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", SHARDED, json.dumps(settings)],
        capture_output=True, text=True, timeout=350, check=True, env=os.environ,
    )  # fmt: skip
    (size, xla, xla_metrics), (same, kernels, metrics) = json.loads(done.stdout.splitlines()[-1])
    assert size == same == 2
    for ours, theirs in zip(kernels, xla, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(metrics, xla_metrics, rtol=1e-3, atol=1e-4)
