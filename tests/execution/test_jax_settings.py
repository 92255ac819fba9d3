"""What a command sets before jax starts: a device per core, a cache; the user's word wins."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from purejaxrl_reinforce.execution.jax_settings import CUDA_GRAPHS, usable_cores, use_cuda_graphs

REPORT = """
from purejaxrl_reinforce import setup
setup()
import jax
print(len(jax.devices()), jax.config.jax_compilation_cache_dir)
"""


def launched(code, home, **environ):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "XLA_", "XDG_"))}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**kept, "XDG_CACHE_HOME": str(home), **environ},
        capture_output=True, text=True, timeout=200, check=True,
    )  # fmt: skip
    return done.stdout.split()


def test_one_device_per_core_and_a_cache_of_our_own(tmp_path):
    devices, cache = launched(REPORT, tmp_path)
    assert int(devices) == usable_cores()
    assert cache == str(tmp_path / "purejaxrl_reinforce" / "compiled")


def test_the_users_number_of_devices_and_cache_stay(tmp_path):
    mine, flags = str(tmp_path / "mine"), "--xla_force_host_platform_device_count=3"
    variables = {"XLA_FLAGS": flags, "JAX_COMPILATION_CACHE_DIR": mine}
    assert launched(REPORT, tmp_path, **variables) == ["3", mine]
    assert not (tmp_path / "purejaxrl_reinforce").exists()


CHOSEN = """
import jax
from purejaxrl_reinforce import setup
setup(sys.argv[1])
print(jax.config.jax_compilation_cache_dir)
try:
    setup("/dev/null")
except OSError as error:
    print(type(error).__name__)
"""
IDLE = """
import warnings
import jax
from purejaxrl_reinforce import Config, make_train, setup
jax.devices()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    config = Config(num_envs=4, num_steps=5, num_updates=1)
    make_train(config)
    make_train(config)
    setup()
print(*("setup()" in str(x.message) for x in caught))
"""


@pytest.mark.skipif(usable_cores() == 1, reason="one core is never idle")
def test_idle_cores_are_warned_of_once(tmp_path):
    assert launched(IDLE, tmp_path) == ["True", "True"]  # of training, and of a setup too late
    assert launched(IDLE, tmp_path, JAX_NUM_CPU_DEVICES="1") == []


def test_a_script_chooses_its_cache_which_is_its_own(tmp_path):
    chosen = tmp_path / "made" / "chosen"
    code = CHOSEN.replace("sys.argv[1]", repr(str(chosen)))
    other = launched(code, tmp_path, JAX_COMPILATION_CACHE_DIR=str(tmp_path / "other"))
    assert other == [str(chosen), "FileExistsError"]
    assert chosen.stat().st_mode & 0o777 == 0o700


def test_no_place_for_a_cache_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    assert launched(REPORT, tmp_path / "file")[1] == "None"


TRAIN = """
from purejaxrl_reinforce import Config, setup, train_run
setup()
for number in (2, 3):
    config = Config(num_updates=number, num_envs=2, num_steps=5)
    train_run(config, 0, f"RUNS/{number}", force=True)
"""


def test_training_fills_the_cache_once_for_any_number_of_updates(tmp_path):
    """What is damaged is replaced, without a word."""
    train = TRAIN.replace("RUNS", str(tmp_path))
    launched(train, tmp_path / "cache")
    directory = tmp_path / "cache" / "purejaxrl_reinforce" / "compiled"
    (compiled,) = directory.glob("*run_updates*-cache")
    size = compiled.stat().st_size
    os.truncate(compiled, size // 2)
    launched(f"import warnings; warnings.simplefilter('error'){train}", tmp_path / "cache")
    assert compiled.stat().st_size > 0.9 * size


@pytest.mark.parametrize(
    ("driver", "given", "expected"),
    [
        ("/", "", CUDA_GRAPHS),
        ("/", "--xla_dump_to=x", f"--xla_dump_to=x {CUDA_GRAPHS}"),
        ("/", "--xla_gpu_enable_command_buffer=", "--xla_gpu_enable_command_buffer="),
        ("/", "--xla_disable_hlo_passes=dce", "--xla_disable_hlo_passes=dce"),
        ("/nowhere", "", ""),
    ],
)
def test_loops_are_cuda_graphs_where_there_is_a_driver(driver, given, expected, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", given)
    use_cuda_graphs(Path(driver))
    assert os.environ["XLA_FLAGS"] == expected


@pytest.mark.parametrize("variables", [{"JAX_PLATFORMS": "nonsense"}, {"JAX_NUM_CPU_DEVICES": "0"}])
def test_without_devices_a_command_says_so_in_a_line(variables, tmp_path):
    code = "import sys; from purejaxrl_reinforce.cli.main import main; sys.stderr = sys.stdout"
    words = launched(f"{code}; print(main(['describe']))", tmp_path, **variables)
    assert " ".join(words[:5]) == "error: jax has no devices,"
    assert words[-1] == "2"
