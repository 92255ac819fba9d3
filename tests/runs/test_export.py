"""An exported policy acts, in NumPy alone, as the trained one does."""

import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from purejaxrl_reinforce.algorithm import environment
from purejaxrl_reinforce.algorithm.networks import make_networks
from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.runs.load import load_run

ACTIVATIONS = {"relu": lambda x: np.maximum(x, 0), "tanh": np.tanh, None: lambda x: x}
RUNS = {
    "CartPole-v1": [],
    "Pendulum-v1": ["--hidden-sizes", "8", "5", "--activation", "tanh"],
    "DiscountingChain-bsuite": [],
    "SimpleBandit-bsuite": ["--hidden-sizes", "3"],
}


@pytest.fixture(scope="module", params=RUNS)
def run_dir(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    size = ["--num-envs", "4", "--num-updates", "2", "--num-steps", "20", "--quiet"]
    options = [*size, "--env", request.param, *RUNS[request.param]]
    assert main(["train", *options, "--policy-lr", "0.1", "--run-dir", str(path)]) == 0
    return path


def output(description, arrays, obs):
    """What the description says: [N, outputs] for observations [N, ...]."""
    values = description["observation"]["num_values"]
    x = obs.reshape(len(obs), -1) if values is None else np.eye(values)[obs]
    for layer in description["layers"]:
        kernel = arrays[layer["kernel"]]
        assert list(kernel.shape) == layer["shape"]
        x = ACTIVATIONS[layer["activation"]](x @ kernel + arrays[layer["bias"]])
    return x


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_it_is_the_same_policy(run_dir, suffix, tmp_path):
    out = tmp_path / "made" / f"policy.{suffix}"
    assert main(["export", str(run_dir), "--out", str(out)]) == 0
    description = json.loads(out.with_suffix(".json").read_text())
    arrays = dict(np.load(out)) if suffix == "npz" else load_file(out)
    config, params = load_run(run_dir)
    env = environment.make(config.env)
    obs, _ = env.reset(jax.random.split(jax.random.key(0), 32))
    obs = np.asarray(obs) + (0 if env.num_obs else np.random.default_rng(0).normal(size=obs.shape))
    expected = make_networks(config).distribution(params.policy, obs)
    assert list(obs.shape[1:]) == description["observation"]["shape"]
    found = output(description, arrays, obs)
    if description["output"] == "logits":
        np.testing.assert_array_equal(found.argmax(axis=1), expected.mode())
        log_probs = found - np.log(np.exp(found).sum(axis=1, keepdims=True))
        action = found.argmax(axis=1)
        np.testing.assert_allclose(
            log_probs[np.arange(32), action], expected.log_prob(action), atol=1e-5
        )
        assert description["action"] == {"type": "discrete", "n": env.num_actions}
    else:
        np.testing.assert_allclose(found, expected.mean, atol=1e-5)
        np.testing.assert_allclose(arrays["log_std"], expected.log_std)
        assert description["action"] == {"type": "box", "shape": [1], "low": [-2], "high": [2]}


def test_nothing_is_overwritten_and_nothing_half_written(run_dir, tmp_path, capsys):
    out = tmp_path / "policy.npz"
    assert main(["export", str(run_dir), "--out", str(out)]) == 0
    before = sorted(tmp_path.iterdir())
    for path, message in (
        (out, "policy.npz exists"),
        (out.with_suffix(".safetensors"), "policy.json exists"),
        (tmp_path / "policy.onnx", "must end in .npz or .safetensors, not 'policy.onnx'"),
    ):
        assert main(["export", str(run_dir), "--out", str(path)]) == 2
        assert message in capsys.readouterr().err
    assert main(["export", str(tmp_path)]) == 2
    assert "is not a run directory" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


def test_the_missing_extra_is_named(run_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["export", str(run_dir), "--out", str(tmp_path / "policy.safetensors")]) == 2
    assert "pip install 'purejaxrl_reinforce[safetensors]'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
