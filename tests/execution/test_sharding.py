"""Sharded lanes learn, beyond rounding, what lanes on one device learn."""

import json

import numpy as np
import pytest

from tests.support.processes import run_python

SHARDED = """
import json, sys
import jax
import numpy as np
jax.config.update("jax_num_cpu_devices", int(sys.argv[1]))
import tests.support.probes
from purejaxrl_reinforce import make_train
from purejaxrl_reinforce.execution.program import Program
from tests.support.configs import TEXTBOOK

results = []
for settings in json.loads(sys.argv[2]):
    program = Program(TEXTBOOK.replace(**settings), jax.random.key(0))
    *_, last = (chunk for chunk in program.run() if len(chunk.metrics.finite))
    leaves = [x.ravel().tolist() for x in jax.tree.leaves(last.state.params)]
    steps, metrics = int(last.state.env_steps[1]), last.metrics.by_name()
    results.append([program.mesh.size, leaves, steps, [float(x[-1]) for x in metrics.values()]])
    state, _ = make_train(program.config)(jax.random.key(0))  # the same without a host loop
    memory = [x.ravel().tolist() for x in jax.tree.leaves(state.params)]
    assert all(np.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(memory, leaves, strict=True))
    assert {x.sharding.num_devices for x in jax.tree.leaves(state.params)} == {program.mesh.size}
print(json.dumps(results))
"""
COMMUNICATION = """
import json, re, sys
import jax
jax.config.update("jax_num_cpu_devices", 4)
from purejaxrl_reinforce.algorithm.reinforce import init, step
from purejaxrl_reinforce.execution.sharding import *
from tests.support.configs import TEXTBOOK

config = TEXTBOOK.replace(num_envs=8, num_steps=10, hidden_sizes=(4,), **json.loads(sys.argv[1]))
mesh = lane_mesh(config.num_envs, jax.devices())
update = shard_lanes(
    lambda c, s: step(c, s, LANES), mesh, (REPLICATED, STATE), (STATE, REPLICATED)
)
state = shard_state(init(config, jax.random.key(0)), mesh)
program = jax.jit(update).lower(config, state).compile().as_text()
print(len(re.findall(r" all-(?:reduce|gather)(?:-start)?\\(", program)))
"""
LEARNERS = [
    {"bootstrap": True, "stop_at": 20},
    {"baseline": "loo", "rollout": "stream", "env": "Random-probe", "max_grad_norm": 0.5},
    {"rollout": "stream", "bootstrap": True, "baseline_steps": 2, "advantage_norm": "unit"},
    {"rollout": "stream", "normalize_obs": True, "normalize_rewards": True, "trace_lambda": 0.9,
     "metrics": "tests.runs.test_own_metrics:choices"},
    {"engine": "interpret", "rollout": "stream", "bootstrap": True, "baseline_steps": 2,
     "num_steps": 9, "num_updates": 2},
]  # fmt: skip


def printed(code, *arguments):
    done = run_python("-c", code, *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def trained_on(num_devices):
    settings = [
        {"num_envs": 12, "num_steps": 30, "num_updates": 4, "hidden_sizes": [8],
         "policy_lr": 1e-3, "baseline_lr": 1e-3, **learner}
        for learner in LEARNERS
    ]  # fmt: skip
    return printed(SHARDED, str(num_devices), json.dumps(settings))


@pytest.mark.slow
def test_lanes_sharded_over_devices_learn_what_one_device_learns():
    """5 devices cannot have equal numbers of 12 lanes, so 4 of them are used."""
    one, five = (trained_on(n) for n in (1, 5))
    assert [result[0][0] for result in (one, five)] == [1, 4]
    for (_, leaves, steps, metrics), (_, leaves1, steps1, metrics1) in zip(five, one, strict=True):
        assert steps == steps1
        np.testing.assert_allclose(metrics, metrics1, rtol=2e-3, atol=1e-4)
        for a, b in zip(leaves, leaves1, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "most"),
    [
        ({"advantage_norm": "standardize"}, 3),
        pytest.param({"baseline": "loo"}, 4, marks=pytest.mark.slow),
    ],
)
def test_devices_communicate_few_times_per_update(settings, most):
    """Statistics, gradients and episodes; and sums over lanes for a baseline without a network."""
    assert 0 < printed(COMMUNICATION, json.dumps(settings)) <= most
