"""Sizes and devices change neither what is played nor, beyond rounding, what is learned."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import jax
import numpy as np
import pytest

import tests.support.probes  # noqa: F401  registers the probes
from purejaxrl_reinforce import Config, init, train
from purejaxrl_reinforce.algorithm.reinforce import collect

CONFIG = Config(num_envs=24, num_steps=50, num_updates=4, hidden_sizes=(16,), policy_lr=1e-3)
SETTINGS = [
    {"block_steps": 1, "block_rows": 1},
    {"lane_width": 8, "block_steps": 7, "block_rows": 100},
]
KINDS = [
    {"rollout": "stream", "bootstrap": True},
    {"rollout": "stream", "env": "Random-probe"},
    {"env": "Pendulum-v1", "baseline": "loo"},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_sizes_change_nothing_that_is_played(kind, settings):
    config = replace(CONFIG, **kind)
    state = init(config, jax.random.key(0))
    usual, changed = (jax.jit(collect)(c, state) for c in (config, replace(config, **settings)))
    valid = np.asarray(usual[2].valid)
    np.testing.assert_array_equal(changed[2].valid[:50], valid)
    for a, b in zip(jax.tree.leaves(changed), jax.tree.leaves(usual), strict=True):
        if a.ndim > 1 and a.shape[0] >= 50:
            a, b = np.asarray(a)[:50][valid], np.asarray(b)[:50][valid]
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_sizes_change_nothing_that_is_learned(settings):
    usual, _ = train(CONFIG, jax.random.key(0))
    changed, _ = train(replace(CONFIG, **settings), jax.random.key(0))
    for a, b in zip(*map(jax.tree.leaves, (changed.params, usual.params)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


SHARDED = """
import json, sys
import jax
jax.config.update("jax_num_cpu_devices", int(sys.argv[1]))
import tests.support.probes
from purejaxrl_reinforce import Config
from purejaxrl_reinforce.runner import Program

results = []
for settings in json.loads(sys.argv[2]):
    program = Program(Config(**settings), jax.random.key(0))
    (*_, last), = [list(program.run())]
    leaves = [x.ravel().tolist() for x in jax.tree.leaves(last.state.params)]
    steps, metrics = int(last.state.env_steps[1]), [float(x[-1]) for x in last.metrics]
    results.append([program.mesh.size, leaves, steps, metrics])
print(json.dumps(results))
"""
LEARNERS = [
    {"bootstrap": True},
    {"baseline": "loo", "rollout": "stream", "env": "Random-probe", "max_grad_norm": 0.5},
    {"rollout": "stream", "bootstrap": True, "baseline_steps": 2, "advantage_norm": "unit"},
]


def trained_on(num_devices):
    settings = [
        {"num_envs": 12, "num_steps": 30, "num_updates": 4, "hidden_sizes": [8],
         "policy_lr": 1e-3, "baseline_lr": 1e-3, **learner}
        for learner in LEARNERS
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", SHARDED, str(num_devices), json.dumps(settings)],
        capture_output=True, text=True, timeout=400, check=True, env=os.environ,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def test_lanes_shared_out_over_devices_learn_what_one_device_learns():
    """5 devices cannot have equal numbers of 12 lanes, so 4 of them are used."""
    one, five = (trained_on(n) for n in (1, 5))
    assert [result[0][0] for result in (one, five)] == [1, 4]
    for (_, leaves, steps, metrics), (_, leaves1, steps1, metrics1) in zip(five, one, strict=True):
        assert steps == steps1
        np.testing.assert_allclose(metrics, metrics1, rtol=2e-3, atol=1e-4)
        for a, b in zip(leaves, leaves1, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
