"""Benchmark scripts at their smallest sizes; nothing is said about time."""

import importlib
import json
import runpy
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import accelerator
import commits
import documents
import harness
import jax
import jax.numpy as jnp
import pytest

from purejaxrl_reinforce import Config
from purejaxrl_reinforce.bench.idiomatic import program as idiomatic
from purejaxrl_reinforce.output.json_text import json_value, parse_json
from purejaxrl_reinforce.presets import PRESETS, preset
from tests.support.processes import run_python

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
PNG = b"\x89PNG"

# Of each script that writes results/NAME.json, the options that make it small.
TINY = {
    "coverage": ["--repeats", "20", "--seeds", "3", "5"],
    "hosting": ["--num-updates", "2", "--repeats", "1"],
    "scaling": [
        *("--lanes", "2", "--agents", "2", "4", "--devices", "1", "--device-lanes", "2"),
        *("--num-updates", "2", "--repeats", "1"),
    ],
    "speedup": ["--lanes", "2", "--short", "8", "--slots", "1", "--repeats", "1"],
    "studies": ["--studies", "4", "--seeds", "10"],
    "startup": ["--num-envs", "2", "--num-updates", "2", "--repeats", "1"],
    "sweeps": ["--seeds", "2", "--agents", "2", "--num-updates", "2"],
    "variance": [
        *("--num-envs", "4", "--num-updates", "2", "--every", "1", "--seeds", "2"),
        *("--num-steps", "10"),
    ],
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
@pytest.mark.parametrize("name", TINY)
def test_scripts_leave_a_result_and_a_figure_if_they_draw_one(name, run_script):
    results = run_script(name, *TINY[name])
    rows = parse_json((results / f"{name}.json").read_text())["rows"]
    assert rows
    if hasattr(importlib.import_module(name), "draw"):
        assert (results / f"{name}.png").read_bytes().startswith(PNG)
    if name == "coverage":
        assert all(row["coverage"] >= 0.7 for row in rows if row["method"] == "ours")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["classic", "pendulum"])
def test_presets(name, run_script):
    # Of Pendulum's streams of 32 steps the seventh update is the first in which episodes end.
    results = run_script("presets", name, "--seeds", "2", "--num-updates", "7")
    result = json.loads((results / f"{name}.json").read_text())
    assert (result["preset"], result["seeds"]) == (name, 2)
    assert (results / f"{name}.png").read_bytes().startswith(PNG)


@pytest.mark.slow
def test_a_controller_knows_what_reacher_returns(run_script, capsys):
    run_script("reacher_reference", "--episodes", "1000", results=False)
    assert float(capsys.readouterr().out.split()[0]) > 65


@pytest.mark.parametrize("name", PRESETS)
def test_the_kept_result_of_a_preset_is_of_its_configuration(name):
    path = BENCHMARKS / "results" / f"{name}.json"
    if not path.is_file():
        pytest.skip("not measured")
    config = json_value(asdict(preset(name)))
    kept = parse_json(path.read_text())["config"]
    kept = {field: value for field, value in kept.items() if field in config}
    assert json_value(kept) == {field: config[field] for field in kept}


@pytest.mark.parametrize("path", documents.DOCUMENTS, ids=lambda path: str(path.parent.name))
def test_tables_of_the_documents_are_those_of_their_results(path):
    assert documents.filled(path.read_text()) == path.read_text()


# What documents say of results outside of their tables: words, and from where the numbers are.
SENTENCES = {
    "{fast[slowest]:.0f} to {fast[fastest]:.0f} million CartPole steps per second": "README.md",
    "units, {fast[least]:.0f} to {fast[most]:.0f} times an idiomatic JAX program": "README.md",
    "losses ({deep[least]:.1f} to {deep[most]:.1f} times with two tanh layers": "README.md",
    "all of {sweeps[rows][0][solved]:,} seeds solve CartPole-v1": "README.md",
    "takes {workload[learning][seconds_to_solve][median]:.2f} of them (median seed)": "README.md",
    "takes {startup[rows][0][median]:.1f} seconds from launch to learning curve": "README.md",
    "learning curve, {startup[rows][1][median]:.1f} from then on": "README.md",
    "default preset took {sweeps[rows][0][command_seconds]:.0f} seconds": "README.md",
    "500,000 steps each {sweeps[rows][1][command_seconds]:.0f} seconds": "README.md",
    "take {ms[rollout]:.2f} + {ms[targets]:.2f} + {ms[gradient]:.2f} + {ms[optimizer]:.2f} ="
    " {ms[parts]:.1f} ms, all of it in one program {ms[update]:.1f} ms": "docs/pages/benchmark.md",
    "in the whole training of 100 updates {ms[of_training]:.1f} ms": "docs/pages/benchmark.md",
    "a training of 40 updates reaches {wide[rows][2][fraction_of_matmul_peak]:.0%} of the peak of"
    " matrix products (goal: 45%)": "benchmarks/README.md",
    "; with 2 x 64 tanh units {wide-tanh[rows][2][fraction_of_matmul_peak]:.0%} (goal: 50%)": (
        "benchmarks/README.md"
    ),
    "that update reaches {wide[rows][6][fraction_of_matmul_peak]:.0%}": "benchmarks/README.md",
}


@pytest.mark.parametrize(("sentence", "document"), SENTENCES.items())
def test_figures_in_sentences_are_those_of_their_results(sentence, document):
    results = {path.stem: parse_json(path.read_text()) for path in harness.RESULTS.glob("*.json")}
    board = documents.BOARD / "epyc-2-cores-cartpole-reinforce-v1.json"
    results["workload"] = parse_json(board.read_text())
    ms = {row["name"]: 1e3 * row["median"] for row in results["workload"]["rows"]}
    parts = sum(ms[name] for name in ("rollout", "targets", "gradient", "optimizer"))
    results["ms"] = ms | {"parts": parts, "of_training": ms["training"] / 100}
    for name, network in (("fast", "64 ReLU"), ("deep", "2 x 64 tanh")):
        ours = [x for x in results["speedup"]["rows"] if "times_same_batch" in x]
        ours = [x for x in ours if x["network"] == network]
        speeds, times = zip(
            *((x["sps"] / 1e6, x["times_same_batch"][0]) for x in ours), strict=True
        )
        results[name] = {
            **{"slowest": min(speeds), "fastest": max(speeds)},
            **{"least": min(times), "most": max(times)},
        }
    text = " ".join((harness.ROOT / document).read_text().split())
    assert sentence.format_map(results) in text


def test_a_table_follows_its_result(tmp_path):
    result = json.loads((BENCHMARKS / "results" / "sweeps.json").read_text())
    result["rows"][0]["sps"] = 1234.5e6
    (tmp_path / "sweeps.json").write_text(json.dumps(result))
    text = "before\n<!-- table: sweeps -->\nold\n<!-- end -->\nafter\n"
    new = documents.filled(text, tmp_path)
    assert new.startswith("before\n<!-- table: sweeps -->\n| ")
    assert "1234.5 million" in new
    assert "old" not in new
    assert new.endswith("<!-- end -->\nafter\n")


def test_kept_results_are_drawn_again():
    for path in (harness.RESULTS / f"{name}.json" for name in ("pendulum", "peers", "speedup")):
        assert documents.figure_of(path.stem, parse_json(path.read_text())).axes


def test_results_of_other_package_code_are_measured_again(tmp_path):
    def git(*arguments):
        known = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        command = ["git", "-C", str(tmp_path), *known, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    result, code = tmp_path / "x.json", tmp_path / "purejaxrl_reinforce" / "code.py"
    assert not harness.is_current(result, tmp_path)
    git("init")
    code.parent.mkdir()
    code.write_text("1")
    git("add", ".")
    git("commit", "-m", "code")
    result.write_text(json.dumps({"commit": git("rev-parse", "HEAD")}))
    assert harness.is_current(result, tmp_path)
    git("commit", "--allow-empty", "-m", "a document")
    assert harness.is_current(result, tmp_path)
    code.write_text("2")
    assert not harness.is_current(result, tmp_path)
    result.write_text(json.dumps({"commit": None}))
    assert not harness.is_current(result, tmp_path)


def test_commits_are_compared_row_by_row():
    old = [{"update": 1.0, "rollout": 1.0, "gone": 1.0}, {"update": 2.0, "rollout": 2.0}]
    new = [{"update": 1.5, "rollout": 1.02, "new": 1.0}, {"update": 3.0, "rollout": 2.0}]
    assert commits.table(old, new).rows == [
        ["update", "1,500.0", "2,250.0", "1.50", "1.50 to 1.50", "changed"],
        ["rollout", "1,500.0", "1,510.0", "1.01", "1.00 to 1.02", ""],
    ]


def test_bad_input_is_one_line():
    done = run_python(BENCHMARKS / "all.py", "--names", "speed")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no result is called 'speed'; there are epyc-2-cores-cart")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_peers_run_with_both_networks_and_batches(tmp_path):
    """Those that need no installation, as a user compares them."""
    options = ["--smoke", "--seeds", "1", "--peers", "ours", "idiomatic"]
    done = run_python(BENCHMARKS / "peers" / "compare.py", *options, "--results", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "this package" in done.stdout
    assert (tmp_path / "peers.png").read_bytes().startswith(PNG)
    result = json.loads((tmp_path / "peers.json").read_text())
    small, deep = "64 ReLU", "2 x 64 tanh"
    assert [(run["peer"], run["network"], run["variant"]) for run in result["runs"]] == [
        *(("ours", network, "equal") for network in (small, deep)),
        *(("idiomatic", network, x) for network in (small, deep) for x in ("own", "equal")),
    ]
    equal = [run for run in result["runs"] if run["variant"] == "equal"]
    assert all(0 < run["env_steps"] <= 96 for run in equal)


def finished(title, network, seed, total_seconds):
    """Return a run that solved the task after so many seconds from launch; None: it never did."""
    solved = {"seconds": 1.0, "total_seconds": total_seconds, "env_steps": 1000}
    return {
        "entry": f"{title}, {network}", "peer": title, "title": title, "network": network,
        "variant": "own", "seed": seed, "solved_at": solved if total_seconds else None,
        "batch": {"num_envs": 2, "num_steps": 3}, "algorithm": "A2C", "env_steps": 1000,
        "sps": 100.0, "startup_seconds": 1.0, "compile_seconds": 2.0, "train_seconds": 10.0,
    }  # fmt: skip


def test_peers_are_compared_from_launch_with_our_run_of_the_same_network():
    runs = [
        finished(*entry, seed, seconds[seed])
        for entry, seconds in {
            ("ours", "64 ReLU"): (4.0, 4.0),
            ("ours", "2 x 64 tanh"): (5.0, 5.0),
            ("small", "64 ReLU"): (8.0, 8.0),
            ("large", "256 ReLU"): (10.0, None),
        }.items()
        for seed in range(2)
    ]
    broken = {"peer": "broken", "title": "broken", "network": "64 ReLU", "error": "no"}
    runs += [{"entry": "broken, 64 ReLU", "seed": seed, **broken} for seed in range(2)]
    _, _, rows = importlib.import_module("figure").table({"runs": runs})
    assert {row[0]: (row[2], row[3], row[-1]) for row in rows} == {
        "ours (64 ReLU, 2 x 3)": ("2 of 2", "4.0", "1"),
        "ours (2 x 64 tanh, 2 x 3)": ("2 of 2", "5.0", "1"),
        "small (64 ReLU, 2 x 3)": ("2 of 2", "8.0", "2"),
        "large (256 ReLU, 2 x 3)": ("1 of 2", "", ""),  # the median seed never solved it
        "broken (64 ReLU)": ("0 of 2", "", ""),
    }


def test_solved_needs_a_full_window():
    progress = importlib.import_module("protocol").Progress()
    progress.add(500, 1.0, 500.0, 1)
    assert progress.solved_at is None
    progress.add(50_000, 2.0, 99 * 500.0, 99)
    assert progress.solved_at == {"env_steps": 50_000, "seconds": 2.0}


def test_idiomatic_program_returns_what_the_last_update_learned():
    config = Config(num_envs=4, num_steps=16, num_updates=1)
    # The program is the community's idiom, which reuses no key but broadcasts ranks freely.
    with jax.numpy_rank_promotion("allow"):
        before, *_ = jax.jit(idiomatic.make_init(config))(jax.random.key(0))
        after = jax.jit(idiomatic.make_train(config))(jax.random.key(0)).params
    for old, new, rate in zip(before, after, (2e-2, 0.3), strict=True):
        moved = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), old, new)
        # Adam's first step is the learning rate, wherever there is a gradient.
        assert max(jax.tree.leaves(moved)) == pytest.approx(rate, rel=1e-3)


def fails():
    raise RuntimeError("first line\nsecond line")


def test_a_case_that_fails_is_named_and_the_rest_goes_on():
    written = []
    cases = {"broken": fails, "whole": lambda: [{"name": "a", "sps": 1.0}]}
    rows = []
    missing = accelerator.run_cases(cases, rows, 60, lambda r, m: written.append((len(r), list(m))))
    assert missing == {"broken": "RuntimeError: first line second line"}
    assert rows == [{"case": "whole", "name": "a", "sps": 1.0}]
    assert written == [(0, ["broken", "whole"]), (1, ["broken"])]


@pytest.mark.slow
def test_every_case_runs_on_a_cpu(tmp_path):
    """What needs a GPU says so; the rest leaves rows, and correctness passes."""
    with jax.debug_key_reuse(False), jax.numpy_rank_promotion("allow"):
        accelerator.main(minutes=30, tiny=True, results=tmp_path)
    result = json.loads((tmp_path / "accelerator.json").read_text())
    assert list(result["missing"]) == ["kernels against XLA"]
    failed = [row["failed"] for row in result["rows"] if "failed" in row]
    assert all("GPU" in why for why in [*result["missing"].values(), *failed])
    assert len(failed) == 1
    cases = {*(row["case"] for row in result["rows"]), *result["missing"]}
    assert cases == {*accelerator.cases_of(accelerator.TINY)}
    assert all(row["passed"] for row in result["rows"] if "passed" in row)
    assert (tmp_path / "accelerator.png").read_bytes().startswith(b"\x89PNG")
    assert "| 2 lanes | xla | " in (tmp_path / "accelerator.md").read_text()
