"""What a sweep leaves on disk: what is done is kept, what is damaged is done again."""

import json

import jax
import numpy as np
import pandas
import pytest

from purejaxrl_reinforce import Config, sweep, train
from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.sweeps import store as store_module
from purejaxrl_reinforce.sweeps.results import load_sweep, save_table
from tests.support.runs import FILES, assert_same_run, error_of

# With one lane a run has one device, like an agent of a sweep, on any machine.
OPTIONS = ["--num-envs", "1", "--num-steps", "30", "--num-updates", "4", "--hidden-sizes", "8"]
SWEEP = [
    "sweep", *OPTIONS, "--axis", "policy_lr=0.01,0.1", "--num-seeds", "3", "--seed", "5",
    "--width", "2", "--episodes", "5",
]  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = tmp_path_factory.mktemp("sweeps") / "sweep"
    assert main([*SWEEP, "--quiet", "--sweep-dir", str(path)]) == 0
    return path


@pytest.fixture
def sweep_dir(finished, tmp_path):
    """A copy of a finished sweep."""
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "slices").mkdir()
    for file in finished.rglob("*"):
        if file.is_file():
            (copy / file.relative_to(finished)).write_bytes(file.read_bytes())
    return copy


def log_of(path):
    return (path / "sweep.log").read_text()


def assert_same_results(path, other):
    for name in ("metrics", "evaluation"):
        a, b = (getattr(load_sweep(p), name) for p in (path, other))
        jax.tree.map(np.testing.assert_array_equal, a, b)


def test_what_a_sweep_leaves(finished):
    names = {path.name for path in finished.iterdir()}
    assert {"sweep.json", "sweep.log", "slices", "results.npz", "table.parquet"} <= names
    assert len(list((finished / "slices").iterdir())) == 3
    with np.load(finished / "results.npz") as arrays:
        assert arrays["mean_return"].shape == (2, 3, 4)


def test_the_table_is_tidy(finished, monkeypatch):
    table, results = pandas.read_parquet(finished / "table.parquet"), load_sweep(finished)
    assert len(table) == 2 * 3 * 4
    assert list(table.columns[:5]) == ["setting", "policy_lr", "seed", "update", "env_steps"]
    row = table[(table.setting == 1) & (table.seed == 6) & (table["update"] == 3)].iloc[0]
    assert row.policy_lr == 0.1
    for name, values in results.metrics.items():
        assert row[name] == values[1, 1, 2], name


def test_swept_fields_that_are_called_like_metrics_or_none(tmp_path):
    config = Config(num_envs=2, num_updates=1, hidden_sizes=(4,), env="CartPole-v0")
    axes = {"num_steps": [None, 5], "block_steps": [None, 3], "hidden_sizes": [[4]]}
    sweep(config, [0], axes, path=tmp_path / "s", num_episodes=1)
    table = pandas.read_parquet(save_table(tmp_path, load_sweep(tmp_path / "s")))
    assert table.config_num_steps.tolist() == ["None", "None", "5", "5"]
    assert table.block_steps.tolist() == ["None", "3", "None", "3"]
    assert table.num_steps.max() <= 400


def test_without_pyarrow_the_table_is_csv(finished, tmp_path, monkeypatch):
    from purejaxrl_reinforce.sweeps import results as sweep_table

    monkeypatch.setattr(sweep_table.importlib.util, "find_spec", lambda name: None)
    path = sweep_table.save_table(tmp_path, load_sweep(finished))
    assert path.name == "table.csv"
    pandas.testing.assert_frame_equal(
        pandas.read_csv(path), pandas.read_parquet(finished / "table.parquet"), check_dtype=False
    )


def test_what_is_done_is_not_trained_again(sweep_dir, finished):
    (sweep_dir / "results.npz").unlink()
    lost = sorted((sweep_dir / "slices").iterdir())[1]
    lost.unlink()
    kept = {f: f.stat().st_mtime_ns for f in (sweep_dir / "slices").iterdir()}
    # Another width changes nothing but how the rest is cut.
    assert main([*SWEEP, "--quiet", "--sweep-dir", str(sweep_dir), "--width", "1"]) == 0
    assert "4 agents were done before" in log_of(sweep_dir)
    assert {f: f.stat().st_mtime_ns for f in kept} == kept
    assert_same_results(sweep_dir, finished)


def test_a_damaged_slice_is_trained_again(sweep_dir, finished):
    file = sorted((sweep_dir / "slices").iterdir())[0]
    file.write_bytes(file.read_bytes()[:-50])
    assert main([*SWEEP, "--quiet", "--sweep-dir", str(sweep_dir)]) == 0
    assert f"{file.name} is damaged" in log_of(sweep_dir)
    assert_same_results(sweep_dir, finished)


@pytest.mark.parametrize("damage", ["empty", "foreign", "flips"])
def test_damage_is_seen(sweep_dir, damage):
    """A flipped bit is seen, or it is in one of the places that mean nothing."""
    plan = store_module.load_plan(sweep_dir)
    file = sorted((sweep_dir / "slices").iterdir())[0]
    content = file.read_bytes()
    ((_, whole),) = [
        loaded for loaded in store_module.load_slices(sweep_dir, plan) if loaded[0] == file
    ]
    seen = 0
    for i in range(0, len(content), 101):
        flipped = content[:i] + bytes([content[i] ^ 0x10]) + content[i + 1 :]
        file.write_bytes({"empty": b"", "foreign": b"hello", "flips": flipped}[damage])
        (_, part), *_ = store_module.load_slices(sweep_dir, plan)
        if part is None:
            seen += 1
        else:
            assert damage == "flips"
            jax.tree.map(np.testing.assert_array_equal, part, whole)
    assert seen > 0.5 * len(content) / 101


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--num-updates", "5"], "its num_updates is 4, here it is 5"),
        (["--gamma", "0.9"], "its gamma is 0.995, here it is 0.9"),
        (["--axis", "gamma=0.9,0.99"], "its gamma is None, here it is 0.9, 0.99"),
        (["--num-seeds", "4"], "its num_seeds is 3, here it is 4"),
        (["--seed", "6"], "its seeds differ"),
        (["--episodes", "6"], "its num_episodes is 5, here it is 6"),
    ],
)
def test_another_sweep_is_refused(finished, changes, message, capsys):
    before = {f: f.read_bytes() for f in finished.rglob("*") if f.is_file()}
    error = error_of([*SWEEP, "--sweep-dir", str(finished), *changes], capsys)
    assert message in error
    assert {f: f.read_bytes() for f in finished.rglob("*") if f.is_file()} == before


@pytest.mark.parametrize("content", ['{"format": 1}', '{"format": 1, "config": {}, "axes": []}'])
def test_incomplete_settings_are_damaged(sweep_dir, content, capsys):
    (sweep_dir / "sweep.json").write_text(content)
    assert "sweep.json is damaged" in error_of([*SWEEP, "--sweep-dir", str(sweep_dir)], capsys)


def test_files_of_others_stay(tmp_path, capsys):
    mine = tmp_path / "unfinished-thesis.txt"
    mine.write_text("mine")
    error = error_of([*SWEEP, "--sweep-dir", str(tmp_path)], capsys)
    assert "is not the directory of a sweep" in error
    assert mine.read_text() == "mine"


def test_other_directories_are_refused(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    error = error_of([*SWEEP, "--sweep-dir", str(tmp_path)], capsys)
    assert "is not the directory of a sweep" in error
    error = error_of([*SWEEP, "--sweep-dir", str(tmp_path / "notes.txt")], capsys)
    assert "is not a directory" in error
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_sweep_in_use_is_refused(sweep_dir, capsys):
    lock = store_module.LockedLog(sweep_dir / "sweep.log")
    error = error_of([*SWEEP, "--sweep-dir", str(sweep_dir)], capsys)
    lock.close()
    assert "another process is sweeping in" in error


def test_formats_of_other_releases_are_refused(sweep_dir, capsys):
    file = sweep_dir / "sweep.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 99}))
    error = error_of([*SWEEP, "--sweep-dir", str(sweep_dir)], capsys)
    assert "sweep format 99" in error
    file.write_text("{")
    error = error_of([*SWEEP, "--sweep-dir", str(sweep_dir)], capsys)
    assert "sweep.json is damaged" in error


def test_unfinished_results_are_said(sweep_dir):
    (sweep_dir / "results.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"results\.npz is damaged"):
        load_sweep(sweep_dir)
    (sweep_dir / "results.npz").unlink()
    with pytest.raises(ValueError, match="is not finished"):
        load_sweep(sweep_dir)
    with pytest.raises(ValueError, match="is not the directory of a sweep"):
        load_sweep(sweep_dir / "slices")


def test_an_agent_taken_out_is_the_run_of_its_seed(finished, tmp_path):
    """It evaluates, and resumes to the same bits as the run that was never part of a sweep."""
    taken, alone = tmp_path / "taken", tmp_path / "alone"
    assert main(["extract", str(finished), "--setting", "1", "--seed", "7",
                 "--run-dir", str(taken)]) == 0  # fmt: skip
    assert main(["train", *OPTIONS, "--policy-lr", "0.1", "--seed", "7", "--quiet",
                 "--run-dir", str(alone)]) == 0  # fmt: skip
    assert {path.name for path in taken.iterdir()} == FILES
    assert_same_run(taken, alone)
    for run in (taken, alone):
        assert main(["train", "--resume", str(run), "--num-updates", "7", "--quiet"]) == 0
    assert_same_run(taken, alone)
    assert main(["evaluate", str(taken), "--episodes", "3"]) == 0


def test_keys_that_are_no_seeds_stay_in_their_sweep(tmp_path, capsys):
    config = Config(num_envs=2, num_steps=10, num_updates=1, hidden_sizes=(4,))
    keys = jax.random.split(jax.random.key(1), 2)
    results = sweep(config, keys, path=tmp_path / "s", num_episodes=1)
    np.testing.assert_array_equal(
        results.metrics["mean_return"][0, 1], train(config, keys[1])[1].mean_return
    )
    assert "the sweep has no seed 0" in error_of(["extract", str(tmp_path / "s")], capsys)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--setting", "2"], "setting must lie between 0 and 1, not 2"),
        (["--seed", "4"], "the sweep has no seed 4"),
    ],
)
def test_agents_that_are_not_there(finished, arguments, message, tmp_path, capsys):
    run = tmp_path / "run"
    command = ["extract", str(finished), "--seed", "5", "--run-dir", str(run), *arguments]
    assert message in error_of(command, capsys)
    assert not run.exists()
