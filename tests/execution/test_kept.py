"""Programs that are kept whole: what a later run loads, and what it never runs."""

import pickle

import jax
import numpy as np
import pytest

from purejaxrl_reinforce import Config, RunOptions, load_run, step, train_run
from purejaxrl_reinforce.execution import kept
from purejaxrl_reinforce.execution.program import Program
from tests.support import probes  # noqa: F401  registers environments
from tests.support.processes import Command
from tests.support.settings import settings_of_jax

CONFIG = Config(num_envs=4, num_steps=20, num_updates=3, hidden_sizes=(8,))
KEEP = RunOptions(keep_program=True)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    jax.clear_caches()  # none of what other tests have from a cache
    with settings_of_jax(jax_compilation_cache_dir=str(tmp_path_factory.mktemp("cache"))):
        yield


@pytest.fixture(scope="module")
def program():
    kept.from_cache.clear()
    program = Program(CONFIG, jax.random.key(0))
    compiled = program._compile(jax.random.key(0))
    kept.save(compiled, CONFIG, program.state)
    return compiled, CONFIG, program.state


@pytest.fixture
def path(program):
    path = kept._path(CONFIG)
    content = path.read_bytes()
    yield path
    path.write_bytes(content)
    path.chmod(0o600)


def test_a_run_with_a_kept_program_is_the_same_run(tmp_path, program):
    compiled = train_run(CONFIG, 1, tmp_path / "compiled")
    config = CONFIG.replace(policy_lr=0.5, num_updates=4)  # neither shapes the program
    loaded = train_run(CONFIG, 1, tmp_path / "loaded", KEEP)
    other = train_run(config, 1, tmp_path / "other", KEEP)
    assert kept.find(CONFIG) == kept.find(config) is not None
    assert kept.find(CONFIG.replace(stop_at=9.0)) is None  # which shapes it
    assert {"params", "state"}.isdisjoint(vars(loaded))
    assert other.num_updates == 4
    states = (run.state._replace(key=None) for run in (compiled, loaded))
    jax.tree.map(np.testing.assert_array_equal, *states)
    assert compiled.state.key == loaded.state.key
    jax.tree.map(np.testing.assert_array_equal, compiled.params, loaded.params)
    assert step(CONFIG, loaded.state)[0].update == 4
    assert (tmp_path / "loaded" / "rewards.png").exists()


def damaged(name, content):
    return {
        "truncated": content[:-1],
        "one bit": content[:-1] + bytes([content[-1] ^ 1]),
        "empty": b"",
        "older": bytes(32) + content[32:],
    }[name]


@pytest.mark.parametrize("name", ["truncated", "one bit", "empty", "older"])
def test_a_damaged_or_older_program_is_not_read(path, monkeypatch, name):
    monkeypatch.setattr(pickle, "loads", lambda _: pytest.fail("it was read"))
    path.write_bytes(damaged(name, path.read_bytes()))
    assert kept.find(CONFIG) is None


@pytest.mark.parametrize("mode", [0o660, 0o602])
def test_a_program_that_others_can_write_is_not_read(path, mode):
    path.chmod(mode)
    assert kept.find(CONFIG) is None
    path.chmod(0o600)
    path.parent.chmod(0o777)
    assert kept.find(CONFIG) is None
    path.parent.chmod(0o700)
    assert kept.find(CONFIG) is not None


def test_a_program_of_another_user_is_not_read(path, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 12_345)
    assert kept.find(CONFIG) is None


def test_a_program_of_another_configuration_or_setting_is_not_read(path, monkeypatch):
    other = CONFIG.replace(activation="tanh")  # of equal shapes
    kept._path(other).write_bytes(path.read_bytes())
    assert kept.find(other) is None
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    assert kept.find(CONFIG) is None


def test_an_environment_that_a_user_registered_is_not_kept(program):
    config = CONFIG.replace(env="NanReward-probe")
    kept.save(program[0], config, program[2])
    assert kept._path(config) is not None
    assert kept.find(config) is None


def test_an_executable_that_cannot_be_loaded_is_compiled(path):
    found = kept.find(CONFIG)._replace(run=b"no executable")
    assert not Program(CONFIG, jax.random.key(0), found=found).is_kept


def test_what_comes_from_the_cache_of_jax_is_not_kept(path, monkeypatch, program):
    monkeypatch.setattr(kept, "from_cache", ["/jax/compilation_cache/cache_hits"])
    before = path.stat().st_mtime_ns
    kept.save(*program)
    assert path.stat().st_mtime_ns == before


def test_what_depends_on_other_files_is_not_kept():
    for config in (
        CONFIG.replace(env="tests.support.environments:Mine"),
        CONFIG.replace(network="tests.support.networks:Tanh"),
        CONFIG.replace(env_params={"gravity": 12.0}),
    ):
        assert kept._path(config) is None


def test_the_second_command_imports_nothing_that_only_tracing_needs(tmp_path):
    code = (
        "import sys; from purejaxrl_reinforce.__main__ import main; code = main();"
        "print({'flax', 'optax', 'gymnax'} & set(sys.modules)); sys.exit(code)"
    )
    sizes = "--num-envs", 4, "--num-steps", 20, "--num-updates", 2, "--hidden-sizes", 8
    for run in ("first", "second"):
        command = Command(
            "train", "--quiet", "--run-dir", run, *sizes, directory=tmp_path, code=code,
            JAX_COMPILATION_CACHE_DIR=str(tmp_path / "cache"),
        )  # fmt: skip
        assert command.wait()[0] == 0
    assert command.output == "set()\n"
    runs = [load_run(tmp_path / run).metrics["mean_return"] for run in ("first", "second")]
    np.testing.assert_array_equal(*runs)
