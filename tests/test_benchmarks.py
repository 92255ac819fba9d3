"""Every benchmark runs at its smallest size; nothing is said about time."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purejaxrl_reinforce.bench.compare import load_result

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


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
    "speedup": ["--lanes", "2", "--short", "8", "--slots", "1", "--repeats", "1"],
}
QUICK = ("time_to_solve", "hosting")


def run(script, *arguments):
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / f"{script}.py"), *arguments],
        capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cartpole", "classic"])
def test_presets(name, tmp_path):
    done = run("presets", name, "--seeds", "2", "--num-updates", "2", "--results", str(tmp_path))
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / f"{name}.json").read_text())
    assert (report["preset"], report["seeds"]) == (name, 2)
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in TINY]
)
def test_benchmarks_leave_a_report_and_a_picture(name, tmp_path):
    done = run(name, *TINY[name], "--results", str(tmp_path))
    assert done.returncode == 0, done.stderr
    report = load_result(tmp_path / f"{name}.json")
    assert report["benchmark"] == name
    assert report["rows"]
    for row in report["rows"]:
        assert row["samples"]
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    if name == "time_to_solve":  # two updates solve nothing: infinite, not left out
        assert report["rows"][0]["samples"] == ["inf", "inf"]
        assert report["rows"][0]["quartiles"] == ["inf"] * 3


def test_bad_input_is_one_line():
    done = run("time_to_solve", "--seeds", "0")
    assert (done.returncode, done.stderr) == (2, "error: seeds must be at least 1, not 0\n")


def run_peers(tmp_path, *arguments, name="peers.py"):
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / name), "--smoke", "--results", str(tmp_path), *arguments],
        capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_peers_that_need_no_installation(tmp_path):
    done = run_peers(tmp_path, "--peers", "ours,idiomatic")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "peers.json").read_text())
    entries = [(run["peer"], run["variant"]) for run in report["runs"]]
    assert entries == [("ours", "equal"), ("idiomatic", "own"), ("idiomatic", "equal")]
    assert all("error" not in run for run in report["runs"])
    for run in report["runs"]:
        assert 0 < run["env_steps"] <= 96
        assert run["evaluation"]["episodes"] == 2
    assert report["runs"][2]["batch"]["num_envs"] == report["runs"][0]["batch"]["num_envs"] == 2
    assert report["summary"][0]["our_speed_over_its"]["of_medians"] == 1
    assert report["not_measured"] == {}
    assert set(report["not_comparable"]) == {"ours", "idiomatic"}
    assert report["idiomatic_sweep"]["best"] in report["idiomatic_sweep"]["tried"]
    assert (tmp_path / "peers.png").read_bytes().startswith(b"\x89PNG")
    assert "this package" in done.stdout


# A benchmark script with two more peers planted into its catalogue: one whose program fails, one
# whose requirements cannot be installed.
PLANTED = """
import sys
from pathlib import Path
sys.path.insert(0, {benchmarks!r})
from peers_harness import catalogue
here = Path(__file__).parent
catalogue.PEERS.clear()
catalogue.PEERS["broken"] = catalogue.Peer(
    "broken", str(here / "broken.py"), "broken", "It fails.", own_environment=False
)
catalogue.PEERS["absent"] = catalogue.Peer("absent", "", "absent", "", own_environment=True)
catalogue.Peer.requirements = property(lambda peer: here / "requirements.txt")
import peers
peers.main()
"""


def test_a_peer_that_fails_is_reported(tmp_path):
    script = tmp_path / "planted.py"
    script.write_text(PLANTED.format(benchmarks=str(BENCHMARKS)))
    (tmp_path / "broken.py").write_text("raise SystemExit('no such luck')")
    (tmp_path / "requirements.txt").write_text("./no-such-package.whl\n")
    done = run_peers(tmp_path, "--venvs", str(tmp_path / "venvs"), name=script)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "peers.json").read_text())
    assert [run["error"] for run in report["runs"]] == ["exited 1: no such luck"] * 2
    assert [row["failed"] for row in report["summary"]] == [1, 1]
    assert report["not_measured"]["absent"].startswith("could not be installed: ")
    assert "no such luck" in done.stdout
    assert "absent could not be installed" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--peers", "ours,nobody"], "unknown peer 'nobody'"),
        (["--max-seconds", "-1"], "--max-seconds must be above 0"),
        (["--seeds", "many"], "--seeds"),
        (["--sedes", "1"], "unrecognized arguments: --sedes"),
    ],
)
def test_peers_bad_input(tmp_path, arguments, message):
    done = run_peers(tmp_path / "results", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "results").exists()


def test_solved_needs_a_full_window(peer_modules):
    progress = peer_modules("progress").Progress()
    progress.add(500, 1.0, 500.0, 1)
    assert progress.solved_at is None
    progress.add(50_000, 2.0, 99 * 500.0, 99)
    assert progress.solved_at == {"env_steps": 50_000, "seconds": 2.0}
    progress.add(50_010, 3.0, 100 * 10.0, 100)
    assert progress.curve[-1] == (50_010, 3.0, 10.0)


@pytest.fixture
def peer_modules(monkeypatch):
    """Import a module of benchmarks/peers, where a script finds it beside itself."""
    monkeypatch.syspath_prepend(BENCHMARKS / "peers")
    return importlib.import_module


@pytest.fixture
def idiomatic(peer_modules):
    # The program is the community's idiom, which reuses no key but broadcasts ranks freely.
    with jax.numpy_rank_promotion("allow"):
        yield peer_modules("idiomatic")


def test_idiomatic_program_learns(idiomatic):
    settings = idiomatic.Settings(num_envs=16, num_steps=200, num_updates=30)
    outcome = jax.jit(idiomatic.make_train(settings))(jax.random.key(0))
    assert outcome.mean_return.shape == outcome.num_episodes.shape == (30,)
    curve = np.asarray(outcome.mean_return)
    assert np.nanmean(curve[-5:]) > 3 * np.nanmean(curve[:3])


def test_idiomatic_program_returns_what_the_last_update_learned(idiomatic):
    settings = idiomatic.Settings(num_envs=4, num_steps=16, num_updates=1)
    before, *_ = idiomatic.make_init(settings)(jax.random.key(0))
    after = jax.jit(idiomatic.make_train(settings))(jax.random.key(0)).params
    for old, new, rate in zip(before, after, (3e-2, 0.3), strict=True):
        moved = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), old, new)
        # Adam's first step is the learning rate, wherever there is a gradient.
        assert max(jax.tree.leaves(moved)) == pytest.approx(rate, rel=1e-3)
