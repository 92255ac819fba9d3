"""The verb bench: what it writes, how two results compare, how it fails."""

import copy
import json
import math
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purejaxrl_reinforce import Config, init, train
from purejaxrl_reinforce.algorithm.networks.mlp import MLP
from purejaxrl_reinforce.algorithm.optimizer import apply_gradients
from purejaxrl_reinforce.algorithm.reinforce import collect, state_shapes
from purejaxrl_reinforce.bench.compare import compare, differences
from purejaxrl_reinforce.bench.flops import backward_flops, forward_flops, layer_sizes, phase_costs
from purejaxrl_reinforce.bench.idiomatic import against
from purejaxrl_reinforce.bench.result_file import load_result
from purejaxrl_reinforce.bench.workload import Workload, compile_phases
from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.output.json_text import dump_json
from purejaxrl_reinforce.statistics import Interval
from tests.support.configs import TEXTBOOK
from tests.support.processes import Command, wait_until
from tests.support.runs import error_of

TINY = ["--num-envs", "4", "--num-updates", "3", "--num-steps", "20", "--hidden-sizes", "8"]
WORKLOAD = "cartpole-reinforce-v1"
PHASES = ["rollout", "targets", "gradient", "optimizer", "update"]
ROWS_OF_A_RESULT = ["environment", "rollout", "training", *PHASES[1:]]


@pytest.fixture(scope="module")
def result_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "tiny.json"
    options = ["--baseline-steps", "2", "--seed", "5", "--repeats", "2", "--out", str(path)]
    assert main(["bench", *TINY, *options]) == 0
    return path


@pytest.fixture
def result(result_path):
    return load_result(result_path)


def _with(**parts):
    """Return the function that changes these parts of a result, to be written as a file."""
    return lambda result: json.dumps(result | parts)


WRONG_ROWS = [
    1,
    {"samples": [1]},
    {"name": [1], "samples": [1]},
    *({"name": "a", "samples": x} for x in (["nan"], [0], [-1], "12")),
    {"name": "a", "samples": [1], "statuses": ["perhaps"]},
    {"name": "a", "samples": [1], "median": "fast"},
]


def noisy(result, factor=1.0, sigma=0.01, seed=0, samples=5):
    """Return `result` with times of 10 ms, times `factor` and noise."""
    random = np.random.default_rng(seed)
    result = copy.deepcopy(result)
    for row in result["rows"]:
        row["samples"] = (0.01 * factor * random.lognormal(0, sigma, samples)).tolist()
    return result


def written(path, result):
    path.write_text(dump_json(result))
    return str(path)


def test_a_result_holds_what_is_needed_to_judge_it(result, result_path):
    assert (result["benchmark"], result["seed"], result["repeats"]) == ("bench", 5, 2)
    assert result["config"]["num_envs"] == 4
    assert {"cpu", "cores", "memory_gib", "backend", "devices"} <= result["machine"].keys()
    assert {"jax", "jaxlib", "numpy", "gymnax", "python"} <= result["versions"].keys()
    assert [row["name"] for row in result["rows"]] == ROWS_OF_A_RESULT
    for row in result["rows"]:
        assert len(row["samples"]) == 2
        assert row["min"] == min(row["samples"])
        assert row["sps"] == pytest.approx(row["valid_steps"] / row["median"])
        assert 0 < row["fraction_of_matmul_peak"] < 1
    # Nobody's directories are published with the figures.
    assert str(result_path.parent) not in result_path.read_text()


def test_the_learning_outcome_is_that_of_training(result):
    config = Config(num_envs=4, num_updates=3, num_steps=20, hidden_sizes=(8,), baseline_steps=2)
    _, metrics = train(config, jax.random.key(5))
    assert result["valid_steps"] == int(metrics.num_steps.sum())
    assert result["slots"] == 3 * 20 * 4
    assert result["last_mean_return"] == pytest.approx(float(metrics.mean_return[-1]), rel=1e-5)
    assert result["best_mean_return"] == pytest.approx(float(metrics.mean_return.max()), rel=1e-5)
    assert result["first_solved_update"] is None


@pytest.mark.parametrize(
    "config",
    [
        TEXTBOOK.replace(
            env="Pendulum-v1", rollout="stream", num_envs=2, num_steps=8, baseline="none"
        ),
        TEXTBOOK.replace(num_envs=3, num_steps=9, block_rows=2),
    ],
    ids=["continuous stream without baseline", "blocks"],
)
def test_the_phases_add_up_to_the_update(config):
    calls, valid_steps = compile_phases(config, init(config, jax.random.key(0)))
    assert list(calls) == PHASES
    updated, metrics = calls["update"]()
    assert int(metrics.num_steps) == valid_steps > 0
    apart, whole = calls["optimizer"]().params, updated.params
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6), apart, whole)


def test_a_result_makes_a_page(result, result_path, tmp_path, capsys):
    out = tmp_path / "page.html"
    assert main(["report", str(result_path), "--out", str(out)]) == 0
    text = out.read_text()
    training = result["rows"][2]
    for part in (f"{1e3 * training['median']:,.3f} ms", f"{training['sps']:,.0f}"):
        assert f">{part}<" in text
    assert text.count("<table") == 1
    for part in ("<p>machine: ", "<p>versions: python 3", "num_envs=", "valid steps in"):
        assert part in text
    other = written(tmp_path / "other.json", result | {"rows": []} | {"config": {}})
    assert "other.json is damaged" in error_of(["report", other], capsys)


@pytest.mark.parametrize("name", ["[red]x[/]", "[/]", "\x1b[2Jx"])
def test_names_of_others_are_printed_as_they_are(name, result_path, tmp_path, capsys):
    result = json.loads(result_path.read_text()) | {"rows": [{"name": name, "samples": [1]}]}
    old = written(tmp_path / "old.json", result)
    new = written(tmp_path / "new.json", result | {"flags": result["flags"] | {"x": name}})
    assert main(["bench", "--compare", old, new]) == 0
    assert capsys.readouterr().out.count(name.replace("\x1b", "?")) == 2


def test_a_planted_slowdown_is_found(result, result_path, tmp_path, capsys):
    assert main(["bench", "--compare", str(result_path), str(result_path)]) == 0
    assert "too few samples" in capsys.readouterr().out
    old = written(tmp_path / "old.json", noisy(result, seed=1) | {"date": "2100-01-01T00:00:00"})
    new = written(tmp_path / "new.json", noisy(result, factor=1.2, seed=2))
    assert main(["bench", "--compare", old, old]) == 0
    assert capsys.readouterr().out.count("unchanged") == len(result["rows"])
    assert main(["bench", "--compare", old, new]) == 1
    found = capsys.readouterr().out
    assert found.count("slower") == len(result["rows"])
    assert "warning: the old result is the newer one" in found
    assert main(["bench", "--compare", new, old]) == 0
    assert capsys.readouterr().out.count("faster") == len(result["rows"])


def test_noise_is_no_slowdown(result):
    verdicts = [
        change.verdict
        for seed in range(40)
        for change in compare(noisy(result, seed=seed), noisy(result, seed=1000 + seed))
    ]
    assert verdicts.count("unchanged") >= 0.7 * len(verdicts)
    assert verdicts.count("unchanged") + verdicts.count("unclear") >= 0.97 * len(verdicts)
    # Nor is a difference that separate runs have anyway, however sure.
    precise = noisy(result, sigma=1e-4), noisy(result, factor=1.03, sigma=1e-4)
    assert {change.verdict for change in compare(*precise)} == {"unchanged"}


def test_differences_of_machine_and_config_are_named(result):
    other = copy.deepcopy(result)
    other["machine"]["cores"] = 128
    other["config"]["num_envs"] = 8
    assert differences(result, result) == []
    assert differences(result, other) == [
        "config.num_envs differs: 4 and 8",
        f"machine.cores differs: {result['machine']['cores']} and 128",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "No such file"),
        ("{", "other.json is not JSON"),
        ("[" * 100_000, "other.json is not JSON"),
        ("[]", "other.json is not a benchmark result of schema 1.0"),
        ('{"schema": "0.9"}', "is not a benchmark result of schema 1.0"),
        ('{"schema": "1.0", "benchmark": "bench"}', "other.json is damaged: data must contain"),
        (_with(benchmark="roofline"), "different benchmarks: bench and"),
        (_with(rows=[]), "other.json is damaged: data.rows must contain at least 1"),
        (_with(rows=[{"name": "else", "samples": [1]}]), "nothing to compare"),
        (_with(seed=2**32), "other.json is damaged: data.seed must be smaller"),
        *((_with(seed=x), "not JSON of numbers that are finite") for x in (10**400, math.nan)),
        *(
            (_with(**{x: {}}), f"data.{x} must contain")
            for x in ("versions", "flags", "conditions")
        ),
        (_with(commit="<b>"), "other.json is damaged: data.commit must match"),
        (_with(date="yesterday"), "other.json is damaged: data.date must match"),
        *((_with(rows=[row]), "other.json is damaged: data.rows[0]") for row in WRONG_ROWS),
        (_with(machine=[1]), "other.json is damaged: data.machine must be object"),
        (_with(seed=-1), "other.json is damaged: data.seed must be bigger"),
    ],
)
def test_a_bad_result_is_one_line(text, message, result_path, tmp_path, capsys):
    path = tmp_path / "other.json"
    if callable(text):
        text = text(json.loads(result_path.read_text()))
    if text is not None:
        path.write_text(text)
    assert message in error_of(["bench", "--compare", str(result_path), str(path)], capsys)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--repeats", "0"], "repeats must be at least 1"),
        (["--env", "CartPole-v9"], "unknown environment"),
        (["--seed", "-1"], "seed must lie between"),
        (["--out", "EXISTING"], "exists; choose another --out"),
        (["--out", "EXISTING/below.json"], "cannot be written to; choose another --out"),
        (["--compare", "EXISTING", "EXISTING", "--num-envs", "3"], "no other option"),
        (["--verify", "EXISTING", "--seed", "3"], "--verify takes no other option"),
        (["--verify", "EXISTING"], "a result of bench cannot be verified, only those of"),
        (["--workload", "cartpole-v1"], "unknown workload 'cartpole-v1'; there are cartpole-re"),
        (["--workload", WORKLOAD, "--num-envs", "3"], f"{WORKLOAD} has a configuration of its own"),
        (["--workload", WORKLOAD, "--price-per-hour", "-1"], "must be at least 0, not -1"),
        (["--workload", WORKLOAD, "--repeats", "0"], "repeats must be at least 1"),
        (["--energy"], "--energy needs --workload"),
        (["--price-per-hour", "2"], "--price-per-hour needs --workload"),
        (["--against", "idiomatic", "--energy"], "--seed and --repeats, nothing else"),
        (["--against", "idiomatic", "--env", "Acrobot-v1"], "supports only env=CartPole-v1"),
    ],
)
def test_bad_input_is_one_line(arguments, message, result_path, capsys):
    arguments = [argument.replace("EXISTING", str(result_path)) for argument in arguments]
    assert message in error_of(["bench", *arguments], capsys)


def test_force_replaces_only_results(result_path, tmp_path, capsys):
    other = tmp_path / "other.json"
    other.write_text("{}")
    command = ["bench", *TINY, "--repeats", "1", "--force", "--out"]
    assert "other.json was not written by this" in error_of([*command, str(other)], capsys)
    other.write_bytes(result_path.read_bytes())
    assert main([*command, str(other)]) == 0
    assert load_result(other)["repeats"] == 1


def test_a_training_that_does_not_stay_finite_is_not_measured():
    with pytest.raises(ValueError, match=r"update \d is not finite: .*: nothing to measure"):
        Workload(Config(num_envs=2, num_steps=9, num_updates=3, policy_lr=3e38), seed=0)


# Counted operations and bytes against XLA's own count, where that has no loop to miscount.
ROWS = 512
SHAPES = [(40, 64, 1), (6, 64, 64, 3), (3, 5)]


def counted(function, *args):
    analysis = jax.jit(function).lower(*args).cost_analysis()
    return analysis["flops"] + analysis.get("transcendentals", 0.0)


def network(sizes):
    mlp = MLP(tuple(sizes[1:-1]), "relu", sizes[-1])
    obs = jnp.ones((ROWS, sizes[0]))
    return mlp, mlp.init(jax.random.key(0), obs), obs


@pytest.mark.parametrize("sizes", SHAPES, ids=str)
def test_forward_and_backward(sizes):
    mlp, params, obs = network(sizes)
    assert counted(mlp.apply, params, obs) == pytest.approx(ROWS * forward_flops(sizes), rel=0.01)

    def loss(params):
        return jnp.sum(mlp.apply(params, obs) ** 2)

    expected = ROWS * (forward_flops(sizes) + backward_flops(sizes, "relu"))
    expected += ROWS * sizes[-1]  # the square's derivative
    assert counted(jax.grad(loss), params) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("sizes", [(4, 64, 2), (4, 64, 1), (6, 33, 3)], ids=str)
def test_backward_of_one_hidden_layer_of_relus(sizes):
    mlp, params, obs = network(sizes)
    _, pull = jax.vjp(lambda params: mlp.apply(params, obs), params)
    found = counted(pull, jnp.ones((ROWS, sizes[-1])))
    assert found == pytest.approx(ROWS * backward_flops(sizes, "relu"), rel=0.1)


def test_the_optimizer_costs_at_least_what_is_said():
    config = Config(num_envs=2, hidden_sizes=(32, 32))
    state = state_shapes(config)
    found = counted(apply_gradients, config, state, state.params)
    assert 0.75 * found <= phase_costs(config)["optimizer"].flops <= found


def test_bytes_are_those_of_the_trajectory():
    config = Config(num_envs=4, num_steps=8, bootstrap=True)
    trajectory = jax.jit(collect)(config, init(config, jax.random.key(0)))[2]
    size = sum(x.nbytes for x in jax.tree.leaves(trajectory))
    assert phase_costs(config)["rollout"].bytes == size / trajectory.valid.size
    # obs, action, valid, advantages, returns, values
    assert phase_costs(config)["gradient"].bytes == 4 * 4 + 4 + 1 + 4 + 4 + 4


def test_layers_are_those_of_the_networks():
    assert layer_sizes(Config(), "policy") == (4, 64, 1)  # the last of two logits is 0
    assert layer_sizes(Config(hidden_sizes=(8, 16)), "baseline") == (4, 8, 16, 1)
    assert layer_sizes(Config(env="Pendulum-v1", hidden_sizes=()), "policy") == (3, 1)
    assert layer_sizes(TEXTBOOK.replace(baseline="none"), "baseline") == ()
    # Of a convolutional network, the dense layers; of one's own, none.
    assert layer_sizes(Config(env="Breakout-MinAtar"), "policy") == (1024, 64, 2)
    assert layer_sizes(Config(network="tests.support.networks:Tanh"), "policy") == ()


def test_both_programs_take_turns_with_the_same_batch_and_with_their_best(monkeypatch):
    monkeypatch.setattr(against, "_BEST_LANES", {"cpu": (6, 2)})
    monkeypatch.setattr(against, "_STEPS", 1)
    config = Config(num_envs=4, num_steps=20, num_updates=3, hidden_sizes=(8,))
    with jax.numpy_rank_promotion("allow"), jax.debug_key_reuse(False):
        same, best = against.against_idiomatic(config, 0, 2)
    assert same.batch == "same batch (4 lanes x 20 steps)"
    assert best.batch == "best batches (6 x 20 and 2 x 32)"
    for speeds in (same, best):
        assert speeds.ratio.low <= speeds.ours / speeds.idiomatic <= speeds.ratio.high
    assert "ours 2.00 million SPS, idiomatic 0.50, ratio 4.0 (95% interval 3.0 to 5.0)" in (
        same._replace(ours=2e6, idiomatic=5e5, ratio=Interval(4, 3, 5)).line()
    )


def test_the_idiomatic_program_plays_cartpole_alone():
    with pytest.raises(ValueError, match="supports only env=CartPole-v1, not Acrobot-v1"):
        against.against_idiomatic(Config(env="Acrobot-v1"))


# The command, which says that it has timed everything some times.
TIMED = """
import pathlib, sys
from purejaxrl_reinforce.__main__ import main
from purejaxrl_reinforce.bench import timing
calls, seconds = [], timing._seconds
def told(*arguments):
    calls.append(arguments)
    if len(calls) in (9, 120):
        pathlib.Path(f"timed-{len(calls)}").touch()
    return seconds(*arguments)
timing._seconds = told
sys.exit(main())
"""


@pytest.mark.parametrize(("calls", "files"), [(9, set()), (120, {"a.json"})])
def test_what_was_measured_before_ctrl_c_is_kept(calls, files, tmp_path):
    options = ["--repeats", f"{10**15}", "--out", "a.json"]
    process = Command("bench", *TINY, *options, directory=tmp_path, code=TIMED)
    wait_until((tmp_path / f"timed-{calls}").exists, process)
    process.send_signal(signal.SIGINT)
    assert process.wait()[0] == 128 + signal.SIGINT
    assert {path.name for path in tmp_path.glob("*.json")} == files
    if not files:  # these were the peaks
        return
    statuses = [x for row in load_result(tmp_path / "a.json")["rows"] for x in row["statuses"]]
    assert statuses.count("interrupted") == 1
    assert statuses.count("done") >= 7
