"""The doctor calls a sound machine sound, and names what is wrong with a broken one."""

import math
import re

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np
import pytest

from purejaxrl_reinforce import Config, doctor, train_run
from purejaxrl_reinforce.algorithm import blocks, losses, returns
from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.diagnosis import checks, reference
from purejaxrl_reinforce.diagnosis import doctor as diagnosis
from purejaxrl_reinforce.execution import known_faults
from tests.support.settings import settings_of_jax

FEW = ((3, 7), (3, 10_923))


@pytest.fixture
def few_sizes(monkeypatch):
    monkeypatch.setattr(checks, "SIZES", FEW)
    jax.clear_caches()  # `learn` would not see what a test breaks
    yield
    jax.clear_caches()


def wrong(lines):
    return {line.subject for line in lines if line.verdict == "wrong"}


def test_a_network_in_numpy_has_the_gradient_of_its_differences():
    rng = np.random.default_rng(0)
    layers = [
        {"kernel": rng.normal(size=shape), "bias": rng.normal(size=shape[1])}
        for shape in ((4, 5), (5, 3), (3, 2))
    ]
    x, cotangent = rng.normal(size=(7, 4)), rng.normal(size=(7, 2))
    for activation in ("relu", "tanh"):
        grads = reference.gradient(layers, activation, x, cotangent)
        for layer, grad in zip(layers, grads, strict=True):
            for name, values in layer.items():
                at = (0,) * values.ndim
                results = []
                for step in (1e-6, -2e-6):
                    values[at] += step
                    outputs = reference.forward(layers, activation, x)[-1]
                    results.append((outputs * cotangent).sum())
                values[at] += 1e-6
                assert grad[name][at] == pytest.approx((results[0] - results[1]) / 2e-6, rel=1e-6)


def test_the_command_shows_a_sound_machine(few_sizes, capsys):
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "gradients of the policy (cpu)" in out
    assert "the notebook's update (cpu)" in out
    assert not re.search("^.* {2}wrong {2}", out, re.MULTILINE)
    is_known = jaxlib.__version__ == "0.10.2"
    assert ("jax#39103" in out) == is_known
    assert ("off by" in out.partition("fused sums of rows (cpu, plain jax)")[2][:40]) == is_known


@pytest.mark.slow
def test_all_sizes_are_right_here():
    lines = doctor()
    assert not wrong(lines)
    assert {"right", "fact"} <= {line.verdict for line in lines}


def without_the_last_block(body, carry, split, num_blocks):
    return blocks.fold_blocks(body, carry, split, num_blocks - 1)


def shifted_returns(*args, **options):
    return returns.lambda_returns(*args, **options) * 1.001


threefry = jax.extend.random.threefry_2x32


@pytest.mark.parametrize(
    ("module", "name", "replacement", "subject"),
    [
        (losses, "fold_blocks", without_the_last_block, "gradients of the policy"),
        (losses, "lambda_returns", shifted_returns, "returns"),
        (losses, "batch_statistics", lambda a, g, v, kind, axis: returns.batch_statistics(
            a[:, :-1], g[:, :-1], v[:, :-1], kind, axis), "valid steps"),
        (jax.extend.random, "threefry_2x32", lambda *x: threefry(*x) ^ 1,
         "Threefry's published vectors"),
        (checks.optimizer, "apply_gradients", lambda c, state, _: state, "parameters after a step"),
    ],
)  # fmt: skip
def test_a_wrong_result_is_named(few_sizes, monkeypatch, module, name, replacement, subject):
    monkeypatch.setattr(module, name, replacement)
    lines = doctor()
    assert f"{subject} (cpu)" in wrong(lines)
    assert all(line.advice for line in lines if line.verdict == "wrong")


def test_a_primitive_that_loses_rows_is_named(few_sizes, monkeypatch):
    whole = jnp.sum

    def sum_of_some(x, *args, **options):
        few = jnp.ndim(x) < 1 or x.shape[0] <= 32_768
        return whole(x if few else x[:32_768], *args, **options)

    monkeypatch.setattr(jnp, "sum", sum_of_some)
    found = {line.subject: line.verdict for line in doctor()}
    assert found["sum of all (cpu, plain jax)"] == "note"


def test_a_check_that_raises_is_wrong(few_sizes, monkeypatch):
    def fail(*args):
        raise RuntimeError("no kernel image is available")

    monkeypatch.setattr(checks.reinforce, "collect", fail)
    assert any("no kernel image" in subject for subject in wrong(doctor()))


def test_errors_are_relative_and_nan_is_wrong():
    assert checks.compare("x", 2, [1.0, 2.0], [1.0, 4.0]).error == 0.5
    assert not checks.Finding("x", 1, math.nan, 1.0).is_right


def test_training_warns_of_known_faults_at_its_sizes(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(jaxlib, "__version__", "0.10.2")
    assert not list(known_faults.warnings_for(Config()))
    large = Config(block_rows=32_769)
    (line,) = known_faults.warnings_for(large)
    assert "jax#39103" in line
    with pytest.warns(RuntimeWarning, match="jax#39103"):
        train_run(large.replace(num_envs=2, num_steps=5, num_updates=1), 0, tmp_path / "run")
    monkeypatch.setattr(jaxlib, "__version__", "0.11.1")
    assert ["jax#40101" in line for line in known_faults.warnings_for(Config())] == [True]


@pytest.mark.parametrize(
    ("setting", "value", "verdict", "words"),
    [
        ("jax_enable_x64", True, "wrong", "unset JAX_ENABLE_X64"),
        ("jax_threefry_partitionable", False, "note", "unset JAX_THREEFRY_PARTITIONABLE"),
        ("jax_default_matmul_precision", "bfloat16", "note", "unset JAX_DEFAULT_MATMUL_PRECISION"),
        ("jax_enable_compilation_cache", False, "note", "unset JAX_ENABLE_COMPILATION_CACHE"),
    ],
)
def test_a_setting_that_changes_results_is_shown(monkeypatch, setting, value, verdict, words):
    monkeypatch.setattr(diagnosis, "findings", lambda device: [])
    with settings_of_jax(**{setting: value}):
        lines = doctor()
    assert [line.advice for line in lines if line.verdict == verdict].count(words) == 1


def test_a_cache_that_cannot_be_used_is_rejected_with_the_reason(monkeypatch, tmp_path):
    monkeypatch.setattr(diagnosis, "findings", lambda device: [])
    file = tmp_path / "file"
    file.touch()
    with settings_of_jax(jax_compilation_cache_dir=str(file / "cache")):
        (line,) = (line for line in doctor() if line.subject == "compilation cache")
    assert line.verdict == "note"
    assert "rejected" in line.detail
    assert "Not a directory" in line.detail
