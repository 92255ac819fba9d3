"""Benchmark scripts at their smallest sizes; nothing is said about time."""

import importlib
import json
import runpy
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import commits
import documents
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purejaxrl_reinforce.bench.compare import load_result
from purejaxrl_reinforce.output.json_text import json_value, parse_json
from purejaxrl_reinforce.presets import PRESETS, preset

measure_all = importlib.import_module("all")

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
PNG = b"\x89PNG"

TINY = {
    "throughput": ["--lanes", "2", "--steps", "4", "--num-updates", "2", "--repeats", "1"],
    "scaling": [
        *("--lanes", "2", "--agents", "2", "4", "--devices", "1", "--device-lanes", "2"),
        *("--num-updates", "2", "--repeats", "1"),
    ],
    "sweeps": ["--seeds", "2", "--agents", "2", "--num-updates", "2"],
    "time_to_solve": ["--lanes", "2", "--seeds", "2", "--num-updates", "2"],
    "hosting": ["--num-updates", "2", "--repeats", "1"],
    "roofline": ["--lanes", "2", "--num-updates", "2", "--repeats", "1"],
    "startup": ["--num-envs", "2", "--num-updates", "2", "--repeats", "1"],
    "speedup": ["--lanes", "2", "--short", "8", "--slots", "1", "--repeats", "1"],
}


@pytest.fixture
def run_script(tmp_path, monkeypatch):
    """Run a script of benchmarks/ in this process; return the directory of its results."""

    def run(name, *arguments, results=True):
        kept = ("--results", str(tmp_path)) if results else ()
        monkeypatch.setattr(sys, "argv", [name, *arguments, *kept])
        # As in a process of its own: checks of keys trace, and the idiomatic program mixes ranks.
        with jax.debug_key_reuse(False), jax.numpy_rank_promotion("allow"):
            runpy.run_path(str(BENCHMARKS / f"{name}.py"), run_name="__main__")
        return tmp_path

    return run


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cartpole", "classic", "pendulum"])
def test_presets(name, run_script):
    # Of Pendulum's streams of 32 steps the seventh update is the first in which episodes end.
    results = run_script("presets", name, "--seeds", "2", "--num-updates", "7")
    result = json.loads((results / f"{name}.json").read_text())
    assert (result["preset"], result["seeds"]) == (name, 2)
    assert (results / f"{name}.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize("name", PRESETS)
def test_the_kept_result_of_a_preset_is_of_its_configuration(name):
    path = BENCHMARKS / "results" / f"{name}.json"
    measured = parse_json(path.read_text()) if path.is_file() else {}
    config = json_value(asdict(preset(name)))
    if "purpose" in measured:  # that of throughput is another benchmark's
        kept = {field: value for field, value in measured["config"].items() if field in config}
        assert json_value(kept) == {field: config[field] for field in kept}


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_benchmarks_leave_a_result_and_a_figure(name, run_script):
    results = run_script(name, *TINY[name])
    result = load_result(results / f"{name}.json")
    assert result["benchmark"] == name
    assert result["rows"]
    for row in result["rows"]:
        assert row["samples"]
    assert (results / f"{name}.png").read_bytes().startswith(PNG)
    if name == "time_to_solve":  # two updates solve nothing: infinite, not left out
        assert result["rows"][0]["samples"] == [np.inf] * 2
        assert result["rows"][0]["quartiles"] == [np.inf] * 3


@pytest.mark.slow
def test_a_controller_knows_what_reacher_returns(run_script, capsys):
    run_script("reacher_reference", "--episodes", "1000", results=False)
    assert float(capsys.readouterr().out.split()[0]) > 65


@pytest.mark.slow
def test_variances_are_compared(run_script):
    sizes = ("--num-envs", "4", "--num-updates", "2", "--every", "1", "--seeds", "2")
    results = run_script("variance", *sizes, "--num-steps", "10")
    result = load_result(results / "variance.json")
    relative = {row["name"]: row.get("relative_variance") for row in result["rows"]}
    assert relative["none, none"]["value"] == [1, 1]
    assert relative["value, standardize"] is None
    assert all(len(row["snr"]["low"]) == 2 for row in result["rows"])
    assert (results / "variance.png").read_bytes().startswith(PNG)


@pytest.mark.slow
@pytest.mark.parametrize("path", documents.DOCUMENTS, ids=lambda path: str(path.parent.name))
def test_tables_of_the_documents_are_those_of_their_results(path):
    assert documents.filled(path.read_text()) == path.read_text()


class Results(dict):
    """Kept results by name, with _ instead of -."""

    def __missing__(self, name):
        path = BENCHMARKS / "results" / f"{name.replace('_', '-')}.json"
        path = path if path.exists() else path.with_name(f"{name}.json")
        return json.loads(path.read_text())


# What documents say of results outside of their tables.
README, FIGURES = "README.md", "benchmarks/README.md"
SENTENCES = {
    "Every one of {sweeps[rows][0][solved]:,} seeds solves the task": README,
    "a run needs {time_to_solve[rows][0][quartiles][1]:.2f} seconds of training": README,
    "and {startup[rows][0][median]:.1f} seconds from the command to the picture the first": README,
    "picture the first time, {startup[rows][1][median]:.1f} from then on": README,
    "`sweep --num-seeds 1024` took {sweeps[rows][0][command_seconds]:.0f} seconds": README,
    "{sweeps[rows][1][command_seconds]:.0f} seconds on these cores": README,
    "{sweeps[rows][1][solved]:,} of {sweeps[rows][1][agents]:,} agents end solved": README,
    "greedy return at least 475 of 500 (lowest {sweeps[rows][0][worst]:.1f})": README,
    "{cartpole_efficient[seeds_solved_greedy]:,} of {cartpole_efficient[seeds]:,} seeds (lowest"
    " {cartpole_efficient[lowest_greedy_return]:.1f}); first update at 475 after"
    " {cartpole_efficient[median_steps_to_threshold]:,.0f} steps": README,
    "| {acrobot[greedy_return][value]:.1f}, {pendulum[greedy_return][value]:.1f},"
    " {mountaincar_continuous[greedy_return][value]:.1f}, {reacher[greedy_return][value]:.1f},"
    " over {reacher[seeds]} seeds each |": README,
    "| {catch[greedy_return][value]:.3g}, {deepsea[greedy_return][value]:.3g},"
    " {fourrooms[greedy_return][value]:.3g}, {metamaze[greedy_return][value]:.3g},"
    " {breakout_minatar[greedy_return][value]:.1f},"
    " {space_invaders_minatar[greedy_return][value]:.1f}, over {catch[seeds]} seeds each |": README,
    "{classic[seeds]} seeds: {classic[training_return_at_the_end][value]:.1f} of 200 over the last"
    " 15 updates, {classic[seeds_solved_greedy]} end solved": README,
    "{time_to_solve[seeds_solved]} of {time_to_solve[seeds]} seeds; compiling, apart,"
    " {time_to_solve[compile_seconds]:.1f} s with cold caches": FIGURES,
    "training of 100 updates reaches {roofline[rows][0][fraction_of_matmul_peak]:.0%} of": FIGURES,
    "tanh units it reaches {roofline[rows][6][fraction_of_matmul_peak]:.0%}, where": FIGURES,
}


@pytest.mark.parametrize(("sentence", "document"), SENTENCES.items())
def test_figures_in_sentences_are_those_of_their_results(sentence, document):
    text = " ".join((BENCHMARKS.parent / document).read_text().split())
    assert sentence.format_map(Results()) in text


def test_a_table_follows_its_result(tmp_path):
    result = json.loads((BENCHMARKS / "results" / "time_to_solve.json").read_text())
    result["rows"][0]["quartiles"][1] = 1234.5
    (tmp_path / "time_to_solve.json").write_text(json.dumps(result))
    text = "before\n<!-- table: time_to_solve -->\nold\n<!-- end -->\nafter\n"
    new = documents.filled(text, tmp_path)
    assert new.startswith("before\n<!-- table: time_to_solve -->\n| until mean return 475 |")
    assert "| 1234.500 |" in new
    assert "old" not in new
    assert new.endswith("<!-- end -->\nafter\n")
    assert documents.filled(new, tmp_path) == new


def test_results_of_other_package_code_are_measured_again(tmp_path):
    def git(*arguments):
        known = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        command = ["git", "-C", str(tmp_path), *known, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    result, code = tmp_path / "x.json", tmp_path / "purejaxrl_reinforce" / "code.py"
    assert not measure_all.is_current(result, tmp_path)
    git("init")
    code.parent.mkdir()
    code.write_text("1")
    git("add", ".")
    git("commit", "-m", "code")
    result.write_text(json.dumps({"commit": git("rev-parse", "HEAD")}))
    assert measure_all.is_current(result, tmp_path)
    git("commit", "--allow-empty", "-m", "a document")
    assert measure_all.is_current(result, tmp_path)
    code.write_text("2")
    assert not measure_all.is_current(result, tmp_path)
    result.write_text(json.dumps({"commit": "of code that nobody has"}))
    assert not measure_all.is_current(result, tmp_path)
    result.write_text(json.dumps({"commit": None}))
    assert not measure_all.is_current(result, tmp_path)


def test_an_unknown_result_is_refused():
    with pytest.raises(ValueError, match="no result is called 'sped'; there are speedup, "):
        measure_all.measure(["sped"])


def test_commits_are_compared_row_by_row():
    old = [{"update": 1.0, "rollout": 1.0, "gone": 1.0}, {"update": 2.0, "rollout": 2.0}]
    new = [{"update": 1.5, "rollout": 1.02, "new": 1.0}, {"update": 3.0, "rollout": 2.0}]
    found = commits.changes(old, new)
    assert list(found) == ["update"]
    assert found["update"] == (1.5, 1.5, 1.5)


def test_an_unknown_commit_is_refused(tmp_path):
    if not (BENCHMARKS.parent / ".git").exists():
        pytest.skip("not in a repository")
    with (
        pytest.raises(ValueError, match="invalid reference: nowhere"),
        commits.checked_out("nowhere", tmp_path / "x"),
    ):
        pass


@pytest.mark.slow
def test_two_checkouts_are_measured_in_turn(tmp_path, capsys):
    if not (BENCHMARKS.parent / ".git").exists():
        pytest.skip("not in a repository")
    commits.main("HEAD", "HEAD", rounds=2, num_envs=2, num_updates=2)
    out = capsys.readouterr().out
    assert "times as long" in out or "no row of bench changed" in out


def test_figures_of_kept_results_are_drawn_again(tmp_path, run_script):
    kept = BENCHMARKS / "results"
    for name in ("hosting", "peers", "pendulum", "roofline", "scaling", "speedup", "throughput"):
        (tmp_path / f"{name}.json").write_bytes((kept / f"{name}.json").read_bytes())
    run_script("draw")
    assert all(path.with_suffix(".png").is_file() for path in tmp_path.glob("*.json"))


def test_a_result_without_what_is_drawn_is_named(tmp_path, run_script, capsys):
    (tmp_path / "sweeps.json").write_text(
        '{"config": {"env": "CartPole-v1"}, "rows": [{"name": "old"}]}'
    )
    with pytest.raises(SystemExit):
        run_script("draw", "sweeps")
    assert "sweeps.json has no 'curves': measure it again" in capsys.readouterr().err


@pytest.mark.slow
def test_coverage_is_simulated(run_script, capsys):
    results = run_script("coverage", "--repeats", "20", "--seeds", "3", "5")
    rows = json.loads((results / "coverage.json").read_text())["rows"]
    ours = [row for row in rows if row["method"] == "ours"]
    assert len(ours) * 2 == len(rows) == 108
    assert all(row["coverage"] >= 0.7 for row in ours)
    few = [
        row["unbounded"] for row in ours if row["seeds"] == 3 and "profile" not in row["statistic"]
    ]
    assert set(few) == {1}
    assert "coverage in percent" in capsys.readouterr().out


def test_bad_input_is_one_line():
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "time_to_solve.py"), "--seeds", "0"],
        capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "error: seeds must be at least 1, not 0\n")


def test_compile_apart_runs_and_tells_its_memory():
    x = jnp.ones((8, 256))
    compiled = importlib.import_module("compiled").compile_apart(lambda x: x + 1, x)
    np.testing.assert_array_equal(compiled.call(x), x + 1)
    assert compiled.seconds > 0
    assert compiled.memory_bytes >= 2 * x.nbytes


@pytest.fixture
def compare_peers(tmp_path, capsys):
    """Compare peers at the smallest sizes; return the result and what was printed."""

    def run(*arguments, **options):
        results = tmp_path / "results"
        module = importlib.import_module("compare")
        module.main(["--smoke", "--results", str(results), *arguments], **options)
        return json.loads((results / "peers.json").read_text()), capsys.readouterr().out

    return run


@pytest.fixture(scope="module")
def peers_result(tmp_path_factory):
    """Directory of a comparison of the peers that need no installation, as a user makes it."""
    results = tmp_path_factory.mktemp("peers")
    options = ["--smoke", "--results", str(results), "--peers", "ours,idiomatic"]
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "peers" / "compare.py"), *options],
        capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "this package" in done.stdout
    for name in ("peers", "peers_solving", "peers_curves"):
        assert (results / f"{name}.png").read_bytes().startswith(PNG)
    return json.loads((results / "peers.json").read_text())


@pytest.mark.slow
def test_peers_run_with_both_networks_and_batches(peers_result):
    runs = peers_result["runs"]
    entries = [(run["peer"], run["network"], run["variant"]) for run in runs]
    small, deep = "64 ReLU", "2 x 64 tanh"
    assert entries == [
        ("ours", small, "equal"),
        ("ours", deep, "equal"),
        ("idiomatic", small, "own"),
        ("idiomatic", small, "equal"),
        ("idiomatic", deep, "own"),
        ("idiomatic", deep, "equal"),
    ]
    assert all("error" not in run for run in runs)
    for run in runs:
        assert 0 < run["env_steps"] <= 96
        assert run["evaluation"]["episodes"] == 2
    assert runs[3]["batch"]["num_envs"] == runs[0]["batch"]["num_envs"] == 2


@pytest.mark.slow
def test_peers_are_summarized(peers_result):
    ours = peers_result["summary"][:2]
    assert [row["our_speed_over_its"]["of_medians"] for row in ours] == [1, 1]
    assert peers_result["not_measured"] == {}
    assert set(peers_result["not_comparable"]) == {"ours", "idiomatic"}
    sweeps = peers_result["idiomatic_sweeps"]
    assert [sweeps[name]["best"]["activation"] for name in sweeps] == ["relu", "tanh"]
    assert all(sweep["best"] in sweep["tried"] for sweep in sweeps.values())


@pytest.mark.slow
def test_a_peer_that_fails_is_reported(tmp_path, compare_peers):
    """Two peers of our own: the program of one fails, the other cannot be installed."""
    (tmp_path / "run_broken.py").write_text("raise SystemExit('no such luck')")
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "absent.txt").write_text("./no-such-package.whl\n")
    peer = importlib.import_module("catalog").Peer
    here = {"own_environment": False, "directory": tmp_path}
    peers = {
        "broken": peer("broken", "broken", "It fails.", "its own", **here),
        "absent": peer("absent", "absent", "", directory=tmp_path),
    }
    result, printed = compare_peers("--venvs", str(tmp_path / "venvs"), peers=peers)
    assert [run["error"] for run in result["runs"]] == ["exited 1: no such luck"] * 2
    assert [row["failed"] for row in result["summary"]] == [1, 1]
    assert result["not_measured"]["absent"].startswith("could not be installed: ")
    assert "no such luck" in printed
    assert "absent could not be installed" in printed


def test_kept_seeds_are_not_measured_again(tmp_path, compare_peers, monkeypatch, capsys):
    smoke, program = importlib.import_module("compare").SMOKE, tmp_path / "run_broken.py"
    here = {"own_environment": False, "directory": tmp_path}
    broken = importlib.import_module("catalog").Peer("broken", "broken", "", "its own", **here)
    program.write_text("raise SystemExit('one')")
    compare_peers(peers={"broken": broken})
    program.write_text("raise SystemExit('another')")
    monkeypatch.setitem(smoke, "seeds", 2)
    result, _ = compare_peers("--keep", peers={"broken": broken})
    errors = [(run["seed"], run["error"]) for run in result["runs"]]
    assert errors == [(0, "exited 1: one")] * 2 + [(1, "exited 1: another")] * 2
    assert result["settings"]["seeds"] == 2
    with pytest.raises(SystemExit):
        compare_peers("--keep", peers={"another": replace(broken, name="another")})
    assert "peers.json has other peers: broken, not another" in capsys.readouterr().err
    monkeypatch.setitem(smoke, "eval_episodes", 3)
    with pytest.raises(SystemExit):
        compare_peers("--keep", peers={"broken": broken})
    assert "peers.json has other settings: " in capsys.readouterr().err


def test_our_kept_runs_of_another_commit_are_measured_again(tmp_path, compare_peers):
    Peer = importlib.import_module("catalog").Peer
    here = {"network": "its own", "own_environment": False, "directory": tmp_path}
    peers = {name: Peer(name, name, "", **here) for name in ("ours", "broken")}
    for name in peers:
        (tmp_path / f"run_{name}.py").write_text("raise SystemExit('one')")
    before, _ = compare_peers(peers=peers)
    kept = json.loads((tmp_path / "results" / "peers.json").read_text()) | {"commit": "earlier"}
    kept["runs"] = [{**run, "commit": "earlier"} for run in kept["runs"]]
    (tmp_path / "results" / "peers.json").write_text(json.dumps(kept))
    for name in peers:
        (tmp_path / f"run_{name}.py").write_text("raise SystemExit('another')")
    result, _ = compare_peers("--keep", peers=peers)
    found = [(run["peer"], run["error"], run["commit"]) for run in result["runs"]]
    ours, broken = ("ours", "exited 1: another", before["commit"]), ("broken", "exited 1: one")
    assert found == [ours] * 2 + [(*broken, "earlier")] * 2
    assert result["commit"] == before["commit"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--peers", "ours,nobody"], "unknown peer 'nobody'"),
        (["--max-seconds", "-1"], "--max-seconds must be above 0"),
        (["--seeds", "many"], "--seeds"),
        (["--sedes", "1"], "unrecognized arguments: --sedes"),
    ],
)
def test_peers_bad_input(arguments, message, tmp_path, compare_peers, capsys):
    with pytest.raises(SystemExit) as stopped:
        compare_peers(*arguments)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "results").exists()


def run_of(peer, network, seed, **result):
    """Return a run as compare.py keeps it; `result` has what else it found."""
    named = {"entry": f"{peer}, {network}", "peer": peer, "title": peer, "network": network}
    return {**named, "variant": "own", "seed": seed, **result}


def finished(seconds, total_seconds):
    """Return what a run found that solved the task after so many seconds; None: it never did."""
    solved = {"seconds": seconds, "total_seconds": total_seconds, "env_steps": 1000}
    return {
        "solved_at": None if seconds is None else solved,
        "evaluation": {"mean_return": 500.0},
        "batch": {"num_envs": 2, "num_steps": 3},
        "algorithm": "A2C",
        "sps": 100.0,
        "startup_seconds": 1.0,
        "compile_seconds": 2.0,
        "train_seconds": 10.0,
        "env_steps": 1000,
        "curve": [(500, 1.0, 20.0), (1000, 10.0, 480.0)],
    }


@pytest.fixture
def made_up_peers():
    """A result of two seeds: ours with both networks, a peer that solves one, one that fails."""
    runs = [
        run_of(*entry, seed, **found[seed])
        for entry, found in {
            ("ours", "64 ReLU"): [finished(1.0, 4.0)] * 2,
            ("ours", "2 x 64 tanh"): [finished(2.0, 5.0)] * 2,
            ("small", "64 ReLU"): [finished(5.0, 8.0)] * 2,
            ("large", "256 ReLU"): [finished(7.0, 10.0), finished(None, None)],
            ("broken", "64 ReLU"): [{"error": "no"}] * 2,
        }.items()
        for seed in range(2)
    ]
    machine = {"cores": 2, "cpu": "some CPU"}
    summary = importlib.import_module("summary").summarize(runs)
    return {"runs": runs, "summary": summary, "machine": machine}


def test_peers_are_compared_from_launch_with_our_run_of_the_same_network(made_up_peers):
    _, columns, rows = importlib.import_module("table").table(made_up_peers)
    assert columns[-1] == "times ours"
    assert {row[0]: (row[2], row[3], row[-1]) for row in rows} == {
        "ours (64 ReLU, 2 x 3)": ("2 of 2", "4.0", "1"),
        "ours (2 x 64 tanh, 2 x 3)": ("2 of 2", "5.0", "1"),
        "small (64 ReLU, 2 x 3)": ("2 of 2", "8.0", "2"),
        "large (256 ReLU, 2 x 3)": ("1 of 2", "", ""),  # the median seed never solved it
        "broken (64 ReLU)": ("0 of 2", "", ""),
    }


def test_all_figures_of_the_peers_are_drawn(made_up_peers):
    draw = importlib.import_module("draw")
    assert set(draw.figures_of("peers", made_up_peers)) == {
        "peers", "peers_solving", "peers_curves",
    }  # fmt: skip


def test_a_peer_stops_once_it_has_solved_the_task():
    module = importlib.import_module("gymnasium_run")
    run = module.GymnasiumRun(importlib.import_module("protocol").Settings())
    run.train(lambda: [run.stepped(500.0) for _ in range(200)])
    assert (run.env_steps, run.stopped_by) == (100, "solved")


def test_solved_needs_a_full_window():
    progress = importlib.import_module("progress").Progress()
    progress.add(500, 1.0, 500.0, 1)
    assert progress.solved_at is None
    progress.add(50_000, 2.0, 99 * 500.0, 99)
    assert progress.solved_at == {"env_steps": 50_000, "seconds": 2.0}
    progress.add(50_010, 3.0, 100 * 10.0, 100)
    assert progress.curve[-1] == (50_010, 3.0, 10.0)


@pytest.fixture
def idiomatic():
    # The program is the community's idiom, which reuses no key but broadcasts ranks freely.
    with jax.numpy_rank_promotion("allow"):
        yield importlib.import_module("idiomatic")


@pytest.mark.slow
def test_idiomatic_program_learns(idiomatic):
    settings = idiomatic.Settings(num_envs=16, num_steps=200, num_updates=30)
    outcome = jax.jit(idiomatic.make_train(settings))(jax.random.key(0))
    assert outcome.mean_return.shape == outcome.num_episodes.shape == (30,)
    curve = np.asarray(outcome.mean_return)
    assert np.nanmean(curve[-5:]) > 3 * np.nanmean(curve[:3])


def test_idiomatic_program_returns_what_the_last_update_learned(idiomatic):
    settings = idiomatic.Settings(num_envs=4, num_steps=16, num_updates=1)
    before, *_ = jax.jit(idiomatic.make_init(settings))(jax.random.key(0))
    after = jax.jit(idiomatic.make_train(settings))(jax.random.key(0)).params
    for old, new, rate in zip(before, after, (2e-2, 0.3), strict=True):
        moved = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), old, new)
        # Adam's first step is the learning rate, wherever there is a gradient.
        assert max(jax.tree.leaves(moved)) == pytest.approx(rate, rel=1e-3)
