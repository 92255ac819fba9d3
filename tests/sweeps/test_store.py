"""What a sweep leaves on disk: what is done is kept, what is damaged is done again."""

import dataclasses
import shutil

import jax
import numpy as np
import pandas
import pytest

from purejaxrl_reinforce import Config
from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.output.checksums import read_sealed, write_sealed
from purejaxrl_reinforce.output.files import LockedLog
from purejaxrl_reinforce.output.json_text import json_value
from purejaxrl_reinforce.sweeps import results as results_module
from purejaxrl_reinforce.sweeps.agents import extract_agent
from purejaxrl_reinforce.sweeps.plan import make_plan
from purejaxrl_reinforce.sweeps.results import load_sweep, save_table
from purejaxrl_reinforce.sweeps.store import (
    SETTINGS_FILE,
    SweepStore,
    load_agent_slice,
    load_origin,
    load_plan,
    load_slices,
    plan_facts,
)
from tests.support.runs import FILES, assert_same_run, error_of
from tests.support.sweeps import GRID, OPTIONS, made_up, slices_of, sweep_into


@pytest.fixture
def sweep_dir(finished_sweep, tmp_path):
    """A copy of a finished sweep."""
    return shutil.copytree(finished_sweep, tmp_path / "copy")


def log_of(path):
    return (path / "sweep.log").read_text()


def assert_same_results(path, other):
    for name in ("metrics", "evaluation"):
        a, b = (getattr(load_sweep(p), name) for p in (path, other))
        jax.tree.map(np.testing.assert_array_equal, a, b)


def test_what_a_sweep_leaves(finished_sweep):
    names = {path.name for path in finished_sweep.iterdir()}
    assert {"sweep.json", "sweep.log", "slices", "results.npz", "table.parquet"} <= names
    assert len(slices_of(finished_sweep)) == 6
    with np.load(finished_sweep / "results.npz") as arrays:
        assert arrays["mean_return"].shape == (4, 3, 4)


def test_the_table_is_tidy(finished_sweep):
    table, results = (
        pandas.read_parquet(finished_sweep / "table.parquet"),
        load_sweep(finished_sweep),
    )
    assert len(table) == 4 * 3 * 4
    swept = ["policy_lr", "hidden_sizes"]
    assert list(table.columns[:6]) == ["setting", *swept, "seed", "update", "env_steps"]
    row = table[(table.setting == 1) & (table.seed == 6) & (table["update"] == 3)].iloc[0]
    assert (row.policy_lr, row.hidden_sizes) == (0.01, "8x8")
    for name, values in results.metrics.items():
        np.testing.assert_equal(row[name], values[1, 1, 2], name)


def test_swept_fields_with_the_name_of_a_metric_or_without_a_value(tmp_path):
    axes = {"num_steps": (None, 5), "block_steps": (None, 3)}
    configs = [
        Config(num_updates=1, num_steps=steps, block_steps=block)
        for steps in axes["num_steps"]
        for block in axes["block_steps"]
    ]
    results = made_up(axes, configs, np.zeros((4, 1, 1)), 0, 10)
    results.metrics["num_steps"] = results.metrics["env_steps"].astype(np.int32)
    table = pandas.read_parquet(save_table(tmp_path, results))
    assert table.config_num_steps.tolist() == ["None", "None", "5", "5"]
    assert table.block_steps.tolist() == ["None", "3", "None", "3"]
    assert table.num_steps.tolist() == [10] * 4


def test_without_pyarrow_the_table_is_csv(finished_sweep, tmp_path, monkeypatch):
    monkeypatch.setattr(results_module.importlib.util, "find_spec", lambda name: None)
    path = save_table(tmp_path, load_sweep(finished_sweep))
    assert path.name == "table.csv"
    pandas.testing.assert_frame_equal(
        pandas.read_csv(path),
        pandas.read_parquet(finished_sweep / "table.parquet"),
        check_dtype=False,
    )


def test_only_missing_agents_are_trained(sweep_dir, finished_sweep):
    (sweep_dir / "results.npz").unlink()
    slices_of(sweep_dir)[1].unlink()
    kept = {f: f.stat().st_mtime_ns for f in slices_of(sweep_dir)}
    # Another width changes nothing but how the rest is cut.
    sweep_into(sweep_dir, GRID, "--width", "1")
    assert "10 agents already trained" in log_of(sweep_dir)
    assert {f: f.stat().st_mtime_ns for f in kept} == kept
    assert_same_results(sweep_dir, finished_sweep)


def test_a_damaged_slice_is_trained_again(sweep_dir, finished_sweep, capsys):
    file = slices_of(sweep_dir)[0]
    file.write_bytes(file.read_bytes()[:-50])
    damaged = file.read_bytes()
    capsys.readouterr()
    sweep_into(sweep_dir, GRID)
    warning = f"warning: {file} is damaged; its agents are trained again"
    assert capsys.readouterr().err.startswith(warning)
    assert warning in log_of(sweep_dir)
    assert (file.parent / f"damaged-{file.name}").read_bytes() == damaged
    assert_same_results(sweep_dir, finished_sweep)


@pytest.mark.parametrize("content", [b"", b"hello"])
def test_another_file_is_no_slice(sweep_dir, content):
    slices_of(sweep_dir)[0].write_bytes(content)
    assert [part is None for _, part in load_slices(sweep_dir, load_plan(sweep_dir))] == [
        True, *[False] * 5,
    ]  # fmt: skip


def test_a_slice_of_another_sweep_is_none(sweep_dir, finished_sweep):
    """Nor is one under another's name."""
    first, second, *_ = slices_of(sweep_dir)
    first.write_bytes(second.read_bytes())
    plan = load_plan(sweep_dir)
    assert [part is None for _, part in load_slices(sweep_dir, plan)] == [True, *[False] * 5]
    shorter = dataclasses.replace(plan, num_episodes=4)
    assert all(part is None for _, part in load_slices(finished_sweep, shorter))


def damages(whole):
    """Flip a bit of every 64th byte; cut at every 256th."""
    for i in range(0, len(whole), 64):
        yield whole[:i] + bytes([whole[i] ^ 1 << i // 64 % 8]) + whole[i + 1 :]
    for i in range(0, len(whole), 256):
        yield whole[:i]


def read_or_error(read):
    try:
        return read()
    except ValueError as error:
        return error


def assert_right_or_refused(read, file):
    """`read` gives what it gives of the whole file, or one line that names a file."""
    whole, expected = file.read_bytes(), read()
    right = refused = 0
    for damaged in damages(whole):
        file.write_bytes(damaged)
        found = read_or_error(read)
        if isinstance(found, ValueError):
            refused += 1
            assert "damaged" in str(found)
            assert "\n" not in str(found)
        else:
            right += 1
            jax.tree.map(np.testing.assert_array_equal, found, expected)
    assert refused > 2 * right  # dates and gaps in a zip file change no result


def test_damaged_settings_are_refused_or_right(sweep_dir):
    def read():
        origin = load_origin(sweep_dir)
        return json_value((plan_facts(load_plan(sweep_dir)), origin))

    assert_right_or_refused(read, sweep_dir / SETTINGS_FILE)


def test_damaged_results_are_refused_or_right(sweep_dir):
    def read():
        results = load_sweep(sweep_dir)
        return results.metrics, results.evaluation, results.key_data

    assert_right_or_refused(read, sweep_dir / "results.npz")


@pytest.mark.parametrize("number", [0, 3])
def test_damaged_slices_are_refused_or_right(sweep_dir, number):
    """For `extract`, and for a sweep that goes on."""
    plan, file = load_plan(sweep_dir), slices_of(sweep_dir)[number]
    for other in set(slices_of(sweep_dir)) - {file}:
        other.unlink()

    def read():
        ((_, part),) = load_slices(sweep_dir, plan)
        row, same_part = load_agent_slice(sweep_dir, plan, int(file.stem))
        assert row == 0
        jax.tree.map(np.testing.assert_array_equal, part, same_part)
        return part

    assert_right_or_refused(read, file)


def reseal(path, **changes):
    """Change facts of a sweep and seal them again: a mistake of ours, or an attack."""
    facts = read_sealed(path / SETTINGS_FILE)
    write_sealed(path / SETTINGS_FILE, facts | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"key_data": [[2**32, 0], [0, 1], [0, 2]]},
        {"key_data": [[-1, 0], [0, 1], [0, 2]]},
        {"key_data": [0, 1, 2]},
        {"key_data": []},
        {"key_data": "many"},
        {"num_seeds": 4},
        {"num_seeds": 10**30},
        {"num_episodes": -1},
        {"num_episodes": 2.5},
        {"settings": []},
        {"axes": {"policy_lr": [0.01, 0.02]}},
        {"axes": {name: list(range(1, 5001)) for name in ("policy_lr", "baseline_lr")}},
        {"config": None},
    ],
    ids=lambda changes: " ".join(f"{key}={str(value)[:20]}" for key, value in changes.items()),
)
def test_inconsistent_settings_are_damaged(sweep_dir, changes, capsys):
    reseal(sweep_dir, **changes)
    for command in ("extract", "report"):
        assert "sweep.json is damaged" in error_of([command, str(sweep_dir)], capsys)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--num-updates", "5"], "its num_updates is 4, here it is 5"),
        (["--gamma", "0.9"], "its gamma is 0.995, here it is 0.9"),
        (["--axis", "gamma=0.9,0.99"], "its gamma is 0.995, here it is 0.9, 0.99"),
        (["--num-seeds", "4"], "its num_seeds is 3, here it is 4"),
        (["--seed", "6"], "its seeds differ"),
        (["--episodes", "6"], "its num_episodes is 5, here it is 6"),
    ],
)
def test_another_sweep_is_refused(finished_sweep, changes, message, capsys):
    before = {f: f.read_bytes() for f in finished_sweep.rglob("*") if f.is_file()}
    error = error_of([*GRID, "--sweep-dir", str(finished_sweep), *changes], capsys)
    assert message in error
    assert {f: f.read_bytes() for f in finished_sweep.rglob("*") if f.is_file()} == before


def test_the_order_of_axes_numbers_the_settings(finished_sweep, capsys):
    first, second = (i for i, word in enumerate(GRID) if word == "--axis")
    swapped = [*GRID[:first], *GRID[second : second + 2], *GRID[first:second], *GRID[second + 2 :]]
    error = error_of([*swapped, "--sweep-dir", str(finished_sweep)], capsys)
    assert "is of another sweep: its axes' order differs" in error


@pytest.mark.parametrize(
    "content",
    ["", "{", "null", '{"format": 2}', "[" * 100_000 + "]" * 100_000, "\xff"],
    ids=["empty", "cut", "null", "unsealed", "deep", "latin"],
)
def test_other_settings_are_damaged(sweep_dir, content, capsys):
    (sweep_dir / SETTINGS_FILE).write_bytes(content.encode("latin-1"))
    assert "sweep.json is damaged" in error_of([*GRID, "--sweep-dir", str(sweep_dir)], capsys)


def test_files_of_others_stay(tmp_path, capsys):
    mine = tmp_path / "unfinished-thesis.txt"
    mine.write_text("mine")
    error = error_of([*GRID, "--sweep-dir", str(tmp_path)], capsys)
    assert "is not the directory of a sweep" in error
    assert mine.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [mine]


def test_a_sweep_that_cannot_go_on_keeps_its_settings(sweep_dir, capsys):
    """Nothing goes but what this process has made."""
    shutil.rmtree(sweep_dir / "slices")
    (sweep_dir / "slices").write_text("mine")
    before = {f: f.read_bytes() for f in sweep_dir.iterdir() if f.name != "sweep.log"}
    assert "cannot write to" in error_of([*GRID, "--sweep-dir", str(sweep_dir)], capsys)
    assert {f: f.read_bytes() for f in sweep_dir.iterdir() if f.name != "sweep.log"} == before
    assert "sweep.log" in {f.name for f in sweep_dir.iterdir()}


def test_what_a_sweep_that_cannot_begin_has_made_is_removed(tmp_path):
    """And a file that somebody has put there meanwhile stays."""
    plan = make_plan(Config(), range(2), {}, False, 5)
    for number in range(2):
        store = SweepStore(tmp_path / f"{number}" / "sweep", plan)
        mine = store.path / "notes.txt"
        if number:
            mine.write_text("mine")
        store.discard_if_empty()
    assert list(tmp_path.iterdir()) == [tmp_path / "1"]
    assert list(mine.parent.iterdir()) == [mine]


def test_force_replaces_another_sweep_once_it_has_a_slice(sweep_dir):
    plan, part = load_plan(sweep_dir), next(load_slices(sweep_dir, load_plan(sweep_dir)))[1]
    before = {file.relative_to(sweep_dir) for file in sweep_dir.rglob("*")}
    other = make_plan(plan.configs[0], range(5, 8), {}, False, plan.num_episodes)
    SweepStore(sweep_dir, other, force=True).close()  # interrupted, without a slice
    assert {file.relative_to(sweep_dir) for file in sweep_dir.rglob("*")} == before
    assert load_plan(sweep_dir).num_agents == plan.num_agents
    store = SweepStore(sweep_dir, other, force=True)
    store.add(part)
    store.close()
    assert {file.name for file in sweep_dir.iterdir()} == {"sweep.json", "sweep.log", "slices"}
    assert [path for path in sweep_dir.parent.iterdir() if "replaced" in path.name] == []


def test_a_replaced_sweep_that_came_back_is_not_discarded(sweep_dir):
    """Also one whose slices somebody has removed."""
    shutil.rmtree(sweep_dir / "slices")
    before = {file.name for file in sweep_dir.iterdir()}
    store = SweepStore(sweep_dir, make_plan(Config(), range(2), {}, False, 5), force=True)
    store.discard_if_empty()
    store.close()
    assert {file.name for file in sweep_dir.iterdir()} == before


def test_force_finishes_the_same_sweep(sweep_dir):
    SweepStore(sweep_dir, load_plan(sweep_dir), force=True).close()
    assert len(list(load_slices(sweep_dir, load_plan(sweep_dir)))) == 6


def test_slices_with_names_of_others_are_not_touched(sweep_dir):
    """Whatever is in them: they are none of ours."""
    mine = [sweep_dir / "slices" / name for name in ("2024.npz", "notes.npz", "unfinished-x.npz")]
    for file in mine:
        file.write_text("mine")
    SweepStore(sweep_dir, load_plan(sweep_dir)).close()
    assert len(list(load_slices(sweep_dir, load_plan(sweep_dir)))) == 6
    assert {file.read_text() for file in mine} == {"mine"}


def test_a_file_is_no_directory(tmp_path, capsys):
    mine = tmp_path / "notes.txt"
    mine.write_text("mine")
    error = error_of([*GRID, "--sweep-dir", str(mine)], capsys)
    assert "is not a directory" in error
    assert mine.read_text() == "mine"


def test_a_sweep_in_use_is_refused(sweep_dir, capsys):
    lock = LockedLog(sweep_dir / "sweep.log", "sweeping")
    error = error_of([*GRID, "--sweep-dir", str(sweep_dir)], capsys)
    lock.close()
    assert "another process is sweeping in" in error


def test_formats_of_other_releases_are_refused(sweep_dir, capsys):
    reseal(sweep_dir, format=99)
    error = error_of([*GRID, "--sweep-dir", str(sweep_dir)], capsys)
    assert "sweep format 99" in error


def test_damaged_results_are_refused(sweep_dir):
    (sweep_dir / "results.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"results\.npz is damaged; rerun the same sweep command"):
        load_sweep(sweep_dir)


def test_unfinished_sweeps_are_refused(sweep_dir):
    (sweep_dir / "results.npz").unlink()
    with pytest.raises(ValueError, match=r"is not finished.* rerun the same sweep command"):
        load_sweep(sweep_dir)


def test_directories_of_something_else_are_refused(finished_sweep):
    with pytest.raises(ValueError, match="is not the directory of a sweep"):
        load_sweep(finished_sweep / "slices")


def test_an_extracted_agent_is_the_run_of_its_seed(finished_sweep, tmp_path):
    """It evaluates, and resumes to the same bits as the run that was never part of a sweep."""
    extracted, alone = tmp_path / "extracted", tmp_path / "alone"
    assert main(["extract", str(finished_sweep), "--setting", "1", "--seed", "7",
                 "--run-dir", str(extracted)]) == 0  # fmt: skip
    assert main(["train", *OPTIONS, "--policy-lr", "0.01", "--hidden-sizes", "8", "8", "--seed",
                 "7", "--quiet", "--run-dir", str(alone)]) == 0  # fmt: skip
    assert {path.name for path in extracted.iterdir()} == FILES
    assert_same_run(extracted, alone)
    for run in (extracted, alone):
        assert main(["train", "--resume", str(run), "--num-updates", "7", "--quiet"]) == 0
    assert_same_run(extracted, alone)
    assert main(["evaluate", str(extracted), "--episodes", "5"]) == 0


def test_keys_that_are_no_seeds_stay_in_their_sweep(sweep_dir, tmp_path):
    reseal(sweep_dir, key_data=[[1, seed] for seed in range(3)])
    with pytest.raises(ValueError, match="the sweep has no seed 2"):
        extract_agent(sweep_dir, 0, 2, tmp_path / "run")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--setting", "4"], "setting must lie between 0 and 3, not 4"),
        (["--seed", "4"], "the sweep has no seed 4"),
    ],
)
def test_agents_that_are_not_there(finished_sweep, arguments, message, tmp_path, capsys):
    run = tmp_path / "run"
    command = ["extract", str(finished_sweep), "--seed", "5", "--run-dir", str(run), *arguments]
    assert message in error_of(command, capsys)
    assert not run.exists()
