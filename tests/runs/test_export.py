"""An exported policy acts, in NumPy alone, as the run's own does."""

import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from purejaxrl_reinforce import Config
from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.environments import environment
from purejaxrl_reinforce.runs.saved_run import load_run
from tests.support.learning import networks_of
from tests.support.runs import TINY, contents_of, error_of, random_run

ACTIVATIONS = {"relu": lambda x: np.maximum(x, 0), "tanh": np.tanh, None: lambda x: x}
CONFIGS = {
    "CartPole-v1": Config(),
    "Pendulum-v1": Config(
        env="Pendulum-v1", env_params={"g": 9.0}, hidden_sizes=(8, 5), activation="tanh"
    ),
    "DiscountingChain-bsuite": Config(env="DiscountingChain-bsuite"),
    "squash": Config(env="Pendulum-v1", hidden_sizes=(8,), action="squash", log_std="state"),
    "cnn": Config(env="Breakout-MinAtar", hidden_sizes=(8,), layer_norm=True, activation="tanh"),
    "normalize_obs": Config(hidden_sizes=(8,), normalize_obs=True, obs_clip=0.5, layer_norm=True),
    "linear": Config(hidden_sizes=()),
    "SimpleBandit-bsuite": Config(env="SimpleBandit-bsuite", hidden_sizes=(3,)),
}


def output(description, arrays, obs):
    """What the description says: [N, outputs] for observations [N, ...]."""
    values = description["observation"]["num_values"]
    x = obs if values is None else np.eye(values)[obs]
    if normalization := description["observation"]["normalization"]:
        mean, std = (arrays[normalization[name]] for name in ("mean", "std"))
        x = np.clip((x - mean) / std, -normalization["clip"], normalization["clip"])
    for layer in description["layers"]:
        if n := layer["patches"]:
            windows = np.lib.stride_tricks.sliding_window_view(x, (n, n), axis=(1, 2))
            x = np.moveaxis(windows, 3, -1).reshape(*windows.shape[:3], -1)
        else:
            x = x.reshape(len(x), -1)
        kernel = arrays[layer["kernel"]]
        assert list(kernel.shape) == layer["shape"]
        x = x @ kernel + arrays[layer["bias"]]
        if norm := layer["norm"]:
            x = x - x.mean(axis=-1, keepdims=True)
            x = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + norm["epsilon"])
            x = x * arrays[norm["scale"]] + arrays[norm["bias"]]
        x = ACTIVATIONS[layer["activation"]](x)
    return x


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_it_is_the_same_policy(config, suffix, tmp_path):
    run_dir = random_run(tmp_path / "run", config)
    out = tmp_path / "made" / f"policy.{suffix}"
    assert main(["export", str(run_dir), "--out", str(out)]) == 0
    description = json.loads(out.with_suffix(".json").read_text())
    assert description["env_params"] == config.env_params
    arrays = dict(np.load(out)) if suffix == "npz" else load_file(out)
    params = load_run(run_dir).params
    env = environment.make(config.env)
    obs, _ = env.reset(jax.random.split(jax.random.key(0), 32))
    obs = np.asarray(obs) + (0 if env.num_obs else np.random.default_rng(0).normal(size=obs.shape))
    expected = networks_of(config).distribution(params, obs)
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
        mean, log_std = found[:, :1], arrays["log_std"]
        if config.log_std == "state":
            log_std = log_std + 5 * np.tanh(found[:, 1:] / 5)
        np.testing.assert_allclose(mean, expected.mean, atol=1e-5)
        np.testing.assert_allclose(log_std, expected.log_std, atol=1e-5)
        assert description["action"] == {
            "type": "box", "shape": [1], "low": [-2], "high": [2], "bounding": config.action,
            "log_std": config.log_std,
        }  # fmt: skip


def test_nothing_is_overwritten_but_an_export_with_force(tmp_path, capsys):
    run, out = random_run(tmp_path / "run", TINY), tmp_path / "policy.npz"
    command = ["export", str(run), "--out"]
    assert main([*command, str(out)]) == 0
    before = contents_of(tmp_path)
    for path, message in (
        (out, "policy.npz exists"),
        (out.with_suffix(".safetensors"), "policy.json exists"),
    ):
        assert message in error_of([*command, str(path)], capsys)
    assert contents_of(tmp_path) == before
    assert main([*command, str(out), "--force"]) == 0
    assert "out/kernel" in np.load(out)
    out.with_suffix(".json").write_text("{}")
    before = contents_of(tmp_path)
    for path, name in ((out, "policy.json"), (run / "params.npz", "params.npz")):
        error = error_of([*command, str(path), "--force"], capsys)
        assert f"{name} was not written by this command" in error
    assert contents_of(tmp_path) == before


def test_a_network_of_ones_own_is_refused(tmp_path, capsys):
    config = Config(network="tests.support.networks:Tanh")
    run_dir = random_run(tmp_path / "run", config)
    error = error_of(["export", str(run_dir)], capsys)
    assert "built-in networks only, not network='tests.support.networks:Tanh'" in error
    assert not list(run_dir.glob("policy*"))
