"""What is traced and compiled is counted: nothing is compiled twice without a word."""

import contextlib
from collections import Counter

import jax
import pytest

from purejaxrl_reinforce import Config, evaluate, resume_run, sweep, train, train_run

CONFIG = Config(num_envs=4, num_steps=20, num_updates=3, hidden_sizes=(8,))
# Floats do not shape programs.
OTHER_FLOATS = CONFIG.replace(policy_lr=0.1, baseline_lr=0.2, gamma=0.9)


@contextlib.contextmanager
def compilations():
    """Yield a counter of the programs that jax compiles, by the name of the function."""
    compiled = Counter()

    def listen(event, _seconds, fun_name="", **_):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled[fun_name.removeprefix("jit(").removesuffix(")")] += 1

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield compiled
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


@pytest.fixture(scope="module", autouse=True)
def _no_programs_of_other_files():
    jax.clear_caches()


def test_train_compiles_one_program_for_all_floats_and_seeds():
    keys = [jax.random.key(seed) for seed in range(2)]
    with compilations() as compiled:
        state, _ = train(CONFIG, keys[0])
    assert compiled["train"] == 1
    with compilations() as compiled:
        train(OTHER_FLOATS, keys[1])
    assert not compiled
    evaluate(CONFIG, state.params, keys[0], num_episodes=3)
    with compilations() as compiled:
        evaluate(OTHER_FLOATS, state.params, keys[1], num_episodes=3)
    assert not compiled


def test_runs_share_one_program_for_all_floats_seeds_and_numbers_of_updates(tmp_path):
    with compilations() as compiled:
        train_run(CONFIG, 0, tmp_path / "run")
    assert compiled["run_updates"] == compiled["init"] == 1
    with compilations() as compiled:
        train_run(OTHER_FLOATS.replace(num_updates=5), 1, tmp_path / "other")
        resume_run(tmp_path / "run", 7)
    assert not compiled


def test_a_sweep_compiles_three_programs_whatever_its_seeds_and_floats():
    sweep(CONFIG, range(2), {"policy_lr": [0.1, 0.2]})  # with what only a first call compiles
    with compilations() as compiled:
        sweep(
            OTHER_FLOATS,
            range(5),
            {"policy_lr": [0.1, 0.3, 0.4], "gamma": [0.9, 0.99]},
            slice_size=4,
        )
    assert compiled["of_device"] == 3  # start, train, evaluate; eight slices
    with compilations() as compiled:
        sweep(CONFIG, range(1), {"hidden_sizes": [(4,), (5,)]})
    assert compiled["of_device"] == 6
