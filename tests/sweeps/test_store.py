"""What a sweep leaves on disk: what is done is kept, what is damaged is done again."""

import json
import shutil
from types import SimpleNamespace

import jax
import numpy as np
import pandas
import pytest

from purejaxrl_reinforce import Config
from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.execution import machine
from purejaxrl_reinforce.output.directories import LockedDirectory
from purejaxrl_reinforce.output.sealed import load_arrays, read_sealed, save_arrays, write_sealed
from purejaxrl_reinforce.sweeps import outputs
from purejaxrl_reinforce.sweeps import plan as plan_module
from purejaxrl_reinforce.sweeps.command import extract_agent
from purejaxrl_reinforce.sweeps.outputs import log_curves, means_over_seeds, save_results
from purejaxrl_reinforce.sweeps.plan import make_plan
from purejaxrl_reinforce.sweeps.results import load_sweep
from purejaxrl_reinforce.sweeps.store import PLAN_FILE, SweepStore, saved_sweep
from tests.support.runs import FILES, assert_same_run, error_of
from tests.support.sweeps import (
    GRID,
    OPTIONS,
    TINY,
    TRAINING,
    assert_same_results,
    made_up,
    slices_of,
    sweep_into,
)


@pytest.fixture
def sweep_dir(finished_sweep, tmp_path):
    """A copy of a finished sweep."""
    return shutil.copytree(finished_sweep, tmp_path / "copy")


def contents_of(path):
    return {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_what_a_sweep_leaves(finished_sweep):
    names = {path.name for path in finished_sweep.iterdir()}
    assert {"sweep.json", "sweep.log", "slices", "results.npz", "table.parquet"} <= names
    assert len(slices_of(finished_sweep)) == 6
    with np.load(finished_sweep / "results.npz") as arrays:
        assert arrays["mean_return"].shape == (4, 3, 4)
        assert arrays["evaluation"].shape == (4, 3, 5)


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


def test_swept_fields_with_the_name_of_a_metric_or_without_a_value(tmp_path, monkeypatch):
    """Settings of fewer updates have fewer rows. Without pyarrow the table is CSV."""
    axes = {"num_steps": (None, 5), "num_updates": (1, 2)}
    configs = [
        Config(num_updates=updates, num_steps=steps)
        for steps in axes["num_steps"]
        for updates in axes["num_updates"]
    ]
    results = made_up(axes, configs, np.zeros((4, 1, 1)), 0, 10)
    results.metrics["num_steps"] = results.metrics["env_steps"].astype(np.int32)
    save_results(tmp_path, results)
    table = pandas.read_parquet(tmp_path / "table.parquet")
    assert table.config_num_steps.tolist() == [*["None"] * 3, *["5"] * 3]
    assert table["update"].tolist() == [1, 1, 2] * 2
    assert table.num_steps.tolist() == [10] * 6
    monkeypatch.setattr(outputs.importlib.util, "find_spec", lambda name: None)
    save_results(tmp_path, results)
    found = pandas.read_csv(tmp_path / "table.csv", keep_default_na=False)
    assert found.config_num_steps.tolist() == table.config_num_steps.tolist()


def test_only_missing_agents_are_trained(sweep_dir, finished_sweep):
    """Results are in the slices alone; another slice size changes only how the rest is cut."""
    (sweep_dir / "results.npz").unlink()
    slices_of(sweep_dir)[1].unlink()
    with pytest.raises(ValueError, match=r"is not finished: 2 of 12 agents are missing; rerun"):
        load_sweep(sweep_dir)
    kept = {f: f.stat().st_mtime_ns for f in slices_of(sweep_dir)}
    sweep_into(sweep_dir, GRID, "--slice-size", "1")
    assert "10 agents already trained" in (sweep_dir / "sweep.log").read_text()
    assert {f: f.stat().st_mtime_ns for f in kept} == kept
    assert_same_results(sweep_dir, finished_sweep)


# The first settings of GRID; the others; all.
FIRST = [*TRAINING, "--axis", "policy_lr=0.01", "--axis", "hidden_sizes=[8],[8,8]", "--seed", "5"]
EXTEND = ["sweep", "--slice-size", "2", "--extend"]


def tables_of(path):
    return pandas.read_parquet(path / "table.parquet"), json.loads(
        (path / "summary.json").read_text()
    )


def assert_same_files(path, other):
    """Compare what sweeps leave, but for seconds and the slices' numbers."""
    assert_same_results(path, other)
    (table, facts), (other_table, other_facts) = tables_of(path), tables_of(other)
    pandas.testing.assert_frame_equal(table, other_table)
    assert facts == other_facts


def test_a_sweep_that_grew_is_the_one_of_all_at_once(finished_sweep, tmp_path):
    """First more settings, then more seeds; what was trained stays."""
    path = sweep_into(tmp_path / "sweep", FIRST, "--num-seeds", "2")
    kept = {file: file.read_bytes() for file in slices_of(path)}
    sweep_into(path, EXTEND, "--axis", "policy_lr=1e38")
    assert load_sweep(path).updates.shape == (4, 2)
    sweep_into(path, EXTEND, "--num-seeds", "3")
    assert {file: file.read_bytes() for file in kept} == kept
    assert_same_files(path, finished_sweep)
    sweep_into(path, EXTEND)
    assert "12 agents already trained" in (path / "sweep.log").read_text()
    sweep_into(path, GRID)  # which it is now
    assert_same_files(path, finished_sweep)
    assert len(saved_sweep(path).started["continued"]) == 2  # the last two had nothing to train


def test_sweeps_merge(finished_sweep, tmp_path, capsys):
    """Also where both have the same agents; and nothing is trained."""
    path = sweep_into(tmp_path / "sweep", FIRST, "--num-seeds", "2")
    same = sweep_into(tmp_path / "same", FIRST, "--num-seeds", "3")
    others = tmp_path / "others"
    more = [*GRID[: GRID.index("--num-seeds")], "--num-seeds", "3", "--seed", "5"]
    sweep_into(others, [x.replace("policy_lr=0.01,", "policy_lr=") for x in more])
    before = contents_of(same), contents_of(others)
    numbers = []
    for _ in range(2):
        sweep_into(path, EXTEND[:-1], "--merge", str(same), str(others))
        numbers.append(len(slices_of(path)))
    assert "compiled" not in (path / "sweep.log").read_text().partition("finished")[2]
    assert numbers[0] == numbers[1]
    assert_same_files(path, finished_sweep)
    assert (contents_of(same), contents_of(others)) == before
    other = sweep_into(tmp_path / "other", [*TINY, "--num-episodes", "6"])
    error = error_of([*EXTEND, "--sweep-dir", str(path), "--merge", str(other)], capsys)
    assert f"{other} cannot be merged: episodes=5, here episodes=6" in error


def test_what_a_sweep_cannot_be_extended_by(sweep_dir, tmp_path, capsys):
    before = contents_of(sweep_dir)
    for arguments, message in (
        (["--policy-lr", "0.5", "--gamma", "0.9"], "gamma=0.995, here gamma=0.9: sweep it with"),
        (["--num-episodes", "6"], "has --num-episodes 5"),
        (["--force"], "do not go with --force"),
        (["--preset", "pendulum"], "do not go with"),
        (["--num-seeds", "0"], "at least 1 seed"),
        (["--num-seeds", "1000000"], "at most 1,000,000 agents, not 4,000,000"),
        (["--axis", "policy_lr=0.5", "--policy-lr", "0.4"], "is also swept"),
        (["--axis", "policy_lr=0.5", "--zip"], "not a grid: also sweep hidden_sizes"),
        (["--merge", str(tmp_path)], "is not a sweep directory"),
    ):
        error = error_of([*EXTEND, "--sweep-dir", str(sweep_dir), *arguments], capsys)
        assert message in error
    assert "need --sweep-dir" in error_of(EXTEND, capsys)
    assert "is not a sweep directory" in error_of([*EXTEND, "--sweep-dir", str(tmp_path)], capsys)
    assert contents_of(sweep_dir) == before


def test_another_kind_of_device_is_said(sweep_dir, monkeypatch, capsys):
    slices_of(sweep_dir)[1].unlink()
    monkeypatch.setattr(machine, "result_device", lambda: "TPU v9, jaxlib 1.0")
    sweep_into(sweep_dir, GRID)
    error = capsys.readouterr().err
    assert error.count("warning: agents were trained on") == 1
    assert "others on TPU v9, jaxlib 1.0: bits may differ" in error


def test_a_sweep_that_goes_on_needs_no_room_anew(sweep_dir, monkeypatch):
    nothing = SimpleNamespace(available=0, total=0)
    monkeypatch.setattr(plan_module.psutil, "virtual_memory", lambda: nothing)
    sweep_into(sweep_dir, GRID)


@pytest.mark.parametrize("damage", [lambda old: old[:-50], lambda old: b""])
def test_a_damaged_slice_is_trained_again(sweep_dir, finished_sweep, damage, capsys):
    file = slices_of(sweep_dir)[0]
    file.write_bytes(damage(file.read_bytes()))
    damaged = file.read_bytes()
    error = error_of(["extract", str(sweep_dir), "--seed", "5"], capsys)
    assert error.startswith(f"{file} is damaged")
    assert "rerun the same sweep command" in error
    sweep_into(sweep_dir, GRID)
    warning = f"warning: {file} is damaged; its agents are trained again"
    assert capsys.readouterr().err.startswith(warning)
    assert warning in (sweep_dir / "sweep.log").read_text()
    assert (file.parent / f"damaged-{file.name}").read_bytes() == damaged
    assert_same_results(sweep_dir, finished_sweep)


def test_a_slice_under_the_name_of_another_does_not_stand_for_it(sweep_dir):
    first, second, *_ = slices_of(sweep_dir)
    shutil.copy(second, first)
    with pytest.raises(ValueError, match="2 of 12 agents are missing"):
        load_sweep(sweep_dir)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--axis", "gamma=0.9,0.99"], "gamma=0.995, here gamma=0.9,0.99"),
        (["--num-seeds", "4"], "seeds=5,6,7, here seeds=5,6,7,8"),
        (["--num-episodes", "6"], "episodes=5, here episodes=6"),
    ],
)
def test_another_sweep_is_refused(finished_sweep, changes, message, capsys):
    before = contents_of(finished_sweep)
    error = error_of([*GRID, "--sweep-dir", str(finished_sweep), *changes], capsys)
    assert message in error
    assert contents_of(finished_sweep) == before


def test_other_settings_of_jax_are_refused(finished_sweep, capsys):
    with jax.threefry_partitionable(not jax.config.jax_threefry_partitionable):
        error = error_of([*GRID, "--sweep-dir", str(finished_sweep)], capsys)
    assert f"{finished_sweep} was trained with jax_threefry_partitionable=True, here it is" in error


def test_the_order_of_axes_numbers_the_settings(finished_sweep, capsys):
    first, second = (i for i, word in enumerate(GRID) if word == "--axis")
    swapped = [*GRID[:first], *GRID[second : second + 2], *GRID[first:second], *GRID[second + 2 :]]
    error = error_of([*swapped, "--sweep-dir", str(finished_sweep)], capsys)
    assert "axes=policy_lr,hidden_sizes, here axes=hidden_sizes,policy_lr" in error


def test_directories_of_something_else_are_refused(tmp_path, capsys):
    mine = tmp_path / "unfinished-thesis.txt"
    mine.write_text("mine")
    error = error_of([*GRID, "--sweep-dir", str(tmp_path)], capsys)
    assert "is not a sweep directory" in error
    assert "is not a sweep directory" in error_of([*GRID, "--sweep-dir", str(mine)], capsys)
    assert mine.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [mine]
    with pytest.raises(ValueError, match="is not a sweep directory"):
        load_sweep(tmp_path)


def test_a_sweep_that_cannot_go_on_keeps_its_plan(sweep_dir, capsys):
    """Nothing goes but what this process has made."""
    shutil.rmtree(sweep_dir / "slices")
    (sweep_dir / "slices").write_text("mine")
    before = contents_of(sweep_dir)
    assert "cannot write to" in error_of([*GRID, "--sweep-dir", str(sweep_dir)], capsys)
    assert contents_of(sweep_dir) == before


def test_what_a_sweep_that_cannot_begin_has_made_is_removed(tmp_path):
    """And a file that somebody has put there meanwhile stays."""
    plan = make_plan(Config(), range(2), {}, False, 5)
    for number in range(2):
        path = tmp_path / f"{number}" / "sweep"
        store = SweepStore(path, plan)
        mine = path / "notes.txt"
        if number:
            mine.write_text("mine")
        store.end()
    assert list(tmp_path.iterdir()) == [tmp_path / "1"]
    assert list(mine.parent.iterdir()) == [mine]


def test_force_replaces_another_sweep_once_it_has_a_slice(sweep_dir):
    saved = saved_sweep(sweep_dir)
    part, before = saved.load(saved.files()[0]), contents_of(sweep_dir)
    other = make_plan(saved.plan.configs[0], range(5, 8), {}, False, saved.plan.num_episodes)
    SweepStore(sweep_dir, other, force=True).end()  # interrupted, without a slice
    assert contents_of(sweep_dir) == before
    store = SweepStore(sweep_dir, other, force=True)
    store.add(part._replace(agents=np.array([[0, 0], [0, 1]])))
    store.end()
    assert {file.name for file in sweep_dir.iterdir()} == {"sweep.json", "sweep.log", "slices"}
    assert [path for path in sweep_dir.parent.iterdir() if "replaced" in path.name] == []


def test_slices_with_names_of_others_are_not_touched(sweep_dir):
    """Nor is the same sweep, with force."""
    mine = [sweep_dir / "slices" / name for name in ("2024.npz", "notes.npz", "unfinished-x.npz")]
    for file in mine:
        file.write_text("mine")
    SweepStore(sweep_dir, saved_sweep(sweep_dir).plan, force=True).end()
    assert len(saved_sweep(sweep_dir).files()) == 6
    assert {file.read_text() for file in mine} == {"mine"}


def test_a_sweep_in_use_is_refused(sweep_dir, capsys):
    directory = LockedDirectory(sweep_dir, "sweep.log", "sweeping")
    directory.lock()
    error = error_of([*GRID, "--sweep-dir", str(sweep_dir)], capsys)
    directory.close()
    assert "another process is sweeping in" in error


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
    assert main(["evaluate", str(extracted), "--num-episodes", "5"]) == 0


def test_keys_that_are_no_seeds_stay_in_their_sweep(tmp_path):
    plan = make_plan(Config(), jax.random.split(jax.random.key(1), 3), {}, False, 5)
    store = SweepStore(tmp_path / "sweep", plan)
    for setting, message in ((0, "the sweep has no seed 2"), (1, "setting must lie between 0 and")):
        with pytest.raises(ValueError, match=message):
            extract_agent(tmp_path / "sweep", setting, 2, tmp_path / "run")
    store.end()
    assert not (tmp_path / "run").exists()


def damaged(content):
    """Yield what is left of nested JSON without each field, and with each of a wrong type."""
    for name in content:
        yield {other: x for other, x in content.items() if other != name}
        yield from (content | {name: wrong} for wrong in (None, -1, "x", [[1]], {"x": 1}))


def test_wrong_content_under_a_right_checksum_is_one_line(sweep_dir, tmp_path, capsys):
    """Of the plan: as a whole, of its fields, of a setting. Of a slice: its arrays."""
    facts, identity = read_sealed(sweep_dir / PLAN_FILE)
    extract = ["extract", str(sweep_dir), "--seed", "5", "--run-dir", str(tmp_path / "run")]
    plan = facts["plan"]
    first, *others = plan["settings"]
    plans = [*damaged(plan), *(plan | {"settings": [x, *others]} for x in damaged(first))]
    for content in (None, [], "x", *damaged(facts), *(facts | {"plan": x} for x in plans)):
        write_sealed(sweep_dir / PLAN_FILE, content, "another")
        assert str(sweep_dir) in error_of(extract, capsys)
    write_sealed(sweep_dir / PLAN_FILE, facts | {"format": 99}, identity)
    assert "sweep format 99, of another release" in error_of(extract, capsys)
    write_sealed(sweep_dir / PLAN_FILE, facts, identity)
    file = slices_of(sweep_dir)[0]
    arrays = load_arrays(file, identity)
    wrong = [{**arrays, "keys": x} for x in (arrays["keys"] + 99, np.array([]), np.array("x"))]
    wrong += [{**arrays, name: x[:1]} for name, x in arrays.items()]
    wrong += [{**arrays, name: x.astype("S4")} for name, x in arrays.items()]
    wrong += [{other: arrays[other] for other in arrays if other != name} for name in arrays]
    for content in wrong:
        save_arrays(file, content, identity)
        assert f"{file} is damaged" in error_of(extract, capsys)


@pytest.fixture
def results():
    """Two settings, of 3 and 2 updates, with four seeds: 10, 0, 20 and 60 in the first update."""
    configs = [Config(num_updates=n, policy_lr=n / 100) for n in (3, 2)]
    seeds = np.array([10.0, 0.0, 20.0, 60.0])[:, None]
    axes = {"policy_lr": (0.03, 0.02), "num_updates": (3, 2)}
    return made_up(axes, configs, np.zeros((2, 4, 1)), seeds + np.arange(3), 100)


def test_it_is_the_interquartile_mean_at_each_update(results):
    for setting, updates in enumerate((3, 2)):
        means = means_over_seeds(results, setting)
        np.testing.assert_allclose(means["mean_return"], 15 + np.arange(updates))
        np.testing.assert_array_equal(means["env_steps"], [100] * updates)


def test_updates_that_a_seed_does_not_have_are_left_out(results):
    results.metrics["finite"][0, 3, 1:] = False
    results.metrics["mean_return"][0, :, 2] = np.nan
    np.testing.assert_allclose(means_over_seeds(results, 0)["mean_return"], [15, 11, np.nan])


def test_each_setting_is_a_run(results, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    log_curves(tmp_path, results, ("tensorboard", "wandb"), {"tags": ("a",)})
    directories = sorted((tmp_path / "tensorboard").iterdir())
    assert [x.name.partition(" ")[0] for x in directories] == ["setting0", "setting1"]
    events = [next(x.glob("events.out.tfevents.*")).read_bytes() for x in directories]
    assert [content.count(b"train/mean_return") for content in events] == [3, 2]
    assert len(list((tmp_path / "wandb").glob("offline-run-*/run-*.wandb"))) == 2


def test_a_finished_sweep_can_be_logged_afterwards(finished_sweep, tmp_path):
    path = shutil.copytree(finished_sweep, tmp_path / "sweep")
    assert main([*GRID, "--quiet", "--sweep-dir", str(path), "--tensorboard"]) == 0
    assert len(list((path / "tensorboard").iterdir())) == 4


def test_unequal_steps_are_said_of_agents_that_were_trained_to_the_end():
    configs = [Config(num_updates=2, policy_lr=lr) for lr in (0.1, 0.2)]
    axes, steps = {"policy_lr": (0.1, 0.2)}, np.array([10, 100])[:, None, None]
    results = made_up(axes, configs, np.zeros((2, 3, 1)), 0, steps)
    (line,) = outputs.unequal_steps(results)
    assert "took 10 to 100 environment steps" in line
    results.done[1] = [1, 1, 0]
    assert list(outputs.unequal_steps(results)) == []
