"""Standard workloads: what they are stays, they learn, and what is wrong does not verify."""

import copy
import dataclasses
import hashlib
import json
from pathlib import Path
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from purejaxrl_reinforce import evaluate, init, step, train
from purejaxrl_reinforce.algorithm import reinforce
from purejaxrl_reinforce.algorithm.optimizer import apply_gradients
from purejaxrl_reinforce.algorithm.state import Metrics
from purejaxrl_reinforce.bench import benchmark, standard, verify
from purejaxrl_reinforce.bench.agents import AgentsWorkload
from purejaxrl_reinforce.bench.learning import (
    NO_SEED,
    Seed,
    dollars_per_solved_seed,
    energy_figures,
    energy_of_seeds,
    learning,
)
from purejaxrl_reinforce.bench.result_file import estimate, load_result, write_result
from purejaxrl_reinforce.bench.standard import STANDARDS
from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.execution import program
from purejaxrl_reinforce.execution.fingerprint import (
    DIFFERS,
    SAME_BITS,
    SAME_ROUNDED,
    compare_fingerprints,
    fingerprint,
)
from purejaxrl_reinforce.output.json_text import dump_json, json_value, parse_json

NAME = "cartpole-reinforce-v1"
# Of all that a name stands for. Whoever changes one of them makes a v2 instead.
DIGESTS = {
    NAME: "3ea4e75710318c0d",
    f"{NAME}-tanh": "6f9c7fe01ae6cde4",
    "cartpole-reinforce-sweep-v1": "8f855757065ccf98",
}
FROZEN = dict(STANDARDS)  # which other tests shrink
# Fields that came after these workloads, and are off in them.
NEWER = {"stop_at": None, "metrics": "none"}


def digest(workload):
    facts = workload._asdict() | {"config": dataclasses.asdict(workload.config)}
    for name, value in NEWER.items():
        assert facts["config"].pop(name) == value
    text = json.dumps(json_value(facts), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def test_a_name_always_stands_for_the_same():
    assert {name: digest(workload) for name, workload in FROZEN.items()} == DIGESTS


def measured(first_seed=0, **changes):
    """Return a result of a smaller workload, as it would be in a file."""
    workload = STANDARDS[NAME]._replace(num_seeds=8, **changes)
    found = benchmark.benchmark_standard(workload, 0, 6, first_seed=first_seed)
    return parse_json(dump_json(found))


@pytest.fixture(scope="module", autouse=True)
def _few_seeds():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(standard.STANDARDS, NAME, STANDARDS[NAME]._replace(num_seeds=8))
        yield


@pytest.fixture(scope="module")
def results():
    """Two results of this machine."""
    return measured(), measured(first_seed=verify.FRESH)


@pytest.fixture
def recorded(results):
    return copy.deepcopy(results[0])


def verdicts(recorded, here):
    """Return what does not agree, speed apart: other processes disturb it here."""
    return [
        line.subject
        for line in verify.verify(recorded, here)
        if line.verdict == verify.DIFFER and "seconds" not in line.subject
    ]


def test_two_results_of_a_machine_verify_each_other(results):
    assert not verdicts(*results)
    assert not verdicts(*reversed(results))
    found = {line.subject: line.verdict for line in verify.verify(*results)}
    assert found["fingerprint: same bits"] == verify.AGREE
    assert results[0]["learning"]["solved"] == [True] * 8
    assert results[0]["learning"]["env_steps"] != results[1]["learning"]["env_steps"]


def test_a_result_has_all_that_the_schema_asks_for(recorded, tmp_path):
    write_result(tmp_path / "a.json", recorded | {"repeats": 6.0})
    assert load_result(tmp_path / "a.json") == recorded
    assert isinstance(load_result(tmp_path / "a.json")["repeats"], int)
    for name in ("fingerprint", "learning", "energy", "conditions", "peaks", "command"):
        lacking = {key: value for key, value in recorded.items() if key != name}
        write_result(tmp_path / "b.json", lacking)
        with pytest.raises(ValueError, match=rf"data must contain \[.*'{name}'"):
            load_result(tmp_path / "b.json")
    assert all(0 < row["roofline_share"] < 1 for row in recorded["rows"])


def row_of(result, name):
    return next(row for row in result["rows"] if row["name"] == name)


def times(part, factor, *names):
    part |= {name: factor * part[name] for name in names}


def energy_of(env_steps, solved):
    facts = {"source": "RAPL", "joules": 9.0, "calls": 1, "seeds": 8}
    counts = {"env_steps": env_steps, "solved": solved}
    return {"energy": facts | counts | energy_figures(9.0, solved, env_steps)}


COUNTED = "valid_steps", "sps", "sps_best"
DOCTORED = {
    "a rate": lambda x: row_of(x, "training").update(sps=1e9),
    "a median": lambda x: row_of(x, "rollout").update(median=1e-6),
    "a sample": lambda x: row_of(x, "rollout")["samples"].__setitem__(0, 1e-6),
    "a row that is gone": lambda x: x["rows"].pop(0),
    "a row twice": lambda x: x["rows"].append(x["rows"][0]),
    "peaks": lambda x: x["peaks"].update(matmul_flops=1e20),
    "slots": lambda x: x.update(slots=x["valid_steps"]),
    "a field that is gone": lambda x: x["config"].pop("gamma"),
    "more agents": lambda x: x.update(agents_at_once=2, slots=2 * x["slots"]),
    "a seed without steps": lambda x: x["learning"]["env_steps"].__setitem__(3, None),
    "a sample of nothing": lambda x: row_of(x, "rollout")["samples"].__setitem__(0, None),
    "energy": lambda x: (x.update(energy_of(1e6, 8)), x["energy"].update(joules=1.0)),
    "a price": lambda x: x.update(dollars_per_solved_seed=1e-9),
    "steps of no episode": lambda x: times(row_of(x, "environment"), 9, *COUNTED),
    "energy of more seeds": lambda x: x.update(energy_of(1e6, 9)),
    "energy of more steps": lambda x: x.update(energy_of(1e9, 8)),
    "steps of a training": lambda x: x.update(valid_steps=x["slots"]),
    "more steps than slots": lambda x: (
        x.update(valid_steps=2 * x["slots"]),
        row_of(x, "training").update(valid_steps=2 * x["slots"]),
    ),
    "seconds to solve": lambda x: x["learning"]["seconds_to_solve"].update(median=1e-6),
    "steps to solve": lambda x: x["learning"]["env_steps"].__setitem__(0, 10),
    "the share": lambda x: x["learning"].update(solved=[False] * 8),
    "few seeds": lambda x: x["learning"].update(solved=[True]),
    "an unfinished seed": lambda x: x["learning"]["statuses"].__setitem__(7, "interrupted"),
    "another target": lambda x: x["learning"].update(target=100.0),
    "another network": lambda x: x["config"].update(hidden_sizes=[32]),
}


@pytest.mark.parametrize("change", DOCTORED)
def test_a_doctored_result_does_not_verify(change, recorded):
    assert not verify.contradictions(recorded)
    DOCTORED[change](recorded)
    assert verify.contradictions(recorded)


def make_faster(row):
    row["samples"] = [x / 10 for x in row["samples"]]
    row |= estimate(row["samples"])
    row["min"] /= 10
    rates = ("sps", "sps_best", "flops_per_second", "fraction_of_matmul_peak", "roofline_share")
    times(row, 10, *rates)


def test_consistent_lies_are_found_by_running_it_again(results):
    lies = {}
    for name in ("env_steps", "seconds", "fingerprint", "rate", "counts"):
        lies[name] = copy.deepcopy(results[0])
    for name, divisor in (("env_steps", 2), ("seconds", 10)):
        learned = lies[name]["learning"]
        learned[name] = [x / divisor for x in learned[name]]
        learned[f"{name}_to_solve"] = estimate(learned[name])
    lies["fingerprint"]["fingerprint"]["sha256"] = "0" * 64
    make_faster(row_of(lies["rate"], "training"))
    times(row_of(lies["counts"], "rollout"), 0.01, *COUNTED)
    lines = {
        name: {x.subject for x in verify.verify(lie, results[1]) if x.verdict == verify.DIFFER}
        for name, lie in lies.items()
    }
    assert "environment steps to solve" in lines["env_steps"]
    assert "seconds to solve" in lines["seconds"]
    assert "fingerprint: same to 1e-4" in lines["fingerprint"]
    assert "training, nanoseconds per step" in lines["rate"]
    assert "rollout, nanoseconds per step" in lines["counts"]


def test_speed_and_bits_of_other_machines_have_no_verdict(results):
    other = copy.deepcopy(results[0])
    other["machine"]["cpu"] = "another one"
    other["fingerprint"]["sha256"] = "0" * 64
    for row in other["rows"]:
        make_faster(row)
    lines = verify.verify(other, results[1])
    assert {x.verdict for x in lines} == {verify.AGREE, verify.NO_VERDICT}
    assert "fingerprint: same to 1e-4" in {x.subject for x in lines}
    other["fingerprint"]["num_parameters"] = 7
    assert verdicts(other, results[1]) == ["fingerprint: differs"]


def test_agents_side_by_side_are_at_most_those_of_the_workload(recorded):
    forged = {"agents_at_once": 4_096, "slots": 500_000 * 4_096}
    lines = verify.contradictions(recorded | {"benchmark": "cartpole-reinforce-sweep-v1"} | forged)
    assert any("slots are" in line.recorded for line in lines)


def test_a_verification_has_the_sizes_of_blocks_and_ends_at_ctrl_c(recorded, tmp_path, monkeypatch):
    sizes = []

    def interrupted(workload, *_, **__):
        sizes.append(workload.config.block_steps)
        return recorded | {"learning": recorded["learning"] | {"statuses": ["interrupted"]}}

    recorded["config"]["block_steps"] = 5
    write_result(tmp_path / "a.json", recorded)
    monkeypatch.setattr(benchmark, "benchmark_standard", interrupted)
    assert main(["bench", "--verify", str(tmp_path / "a.json")]) == 130
    assert sizes == [5]


def test_a_verification_says_that_others_disturbed_it(recorded, tmp_path, monkeypatch, capsys):
    write_result(tmp_path / "a.json", recorded)
    recorded["conditions"]["before"]["load"] = 99.0
    monkeypatch.setattr(benchmark, "benchmark_standard", lambda *_, **__: recorded)
    assert main(["bench", "--verify", str(tmp_path / "a.json")]) == 0
    assert "warning: load 99.0" in capsys.readouterr().out


def test_what_is_timed_comes_last_so_that_ctrl_c_loses_nothing(monkeypatch):
    order, names = mock.Mock(), ["Workload", "make_solve", "measure_peaks", "measure"]
    for name in names:
        monkeypatch.setattr(benchmark, name, getattr(order, name))
    order.measure.side_effect = KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        benchmark.benchmark_standard(STANDARDS[NAME])
    assert [call[0] for call in order.mock_calls if call[0] in names] == names


def negated_policy(config, state, grads, num_updates):
    worse = jax.tree.map(jnp.negative, grads.policy)
    return apply_gradients(config, state, grads._replace(policy=worse), num_updates)


def padded_metrics(**fields):
    slots = STANDARDS[NAME].config.num_envs * STANDARDS[NAME].config.num_steps
    return Metrics(**fields | {"num_steps": jnp.full_like(fields["num_steps"], slots)})


BROKEN = {"apply_gradients": negated_policy, "Metrics": padded_metrics}
FOUND = {
    "apply_gradients": {"rules and arithmetic"},
    "Metrics": {"environment steps to solve", "valid steps of a training"},
}


@pytest.fixture
def _compiled_anew():
    def clear():
        jax.clear_caches()
        program._chunk.cache_clear()

    clear()
    yield
    clear()


@pytest.mark.slow
@pytest.mark.usefixtures("_compiled_anew")
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_trainer_does_not_verify(name, results, monkeypatch):
    monkeypatch.setattr(reinforce, name, BROKEN[name])
    broken = measured()
    assert set(verdicts(broken, results[1])) == FOUND[name]
    # Nor does a right result where the trainer is broken.
    assert verdicts(results[1], broken)


@pytest.mark.slow
def test_another_network_does_not_verify(results):
    config = STANDARDS[NAME].config.replace(hidden_sizes=(32,))
    other = measured(config=config)
    assert verdicts(other, results[1]) == ["rules and arithmetic"]
    other["config"] = results[0]["config"]
    assert "fingerprint: differs" in verdicts(other, results[1])


def test_the_fingerprint_is_of_the_first_updates(recorded):
    config = STANDARDS[NAME].config
    state = init(config, jax.random.key(0))
    for _ in range(10):
        state, _ = step(config, state)
    expected = json_value(fingerprint(state.params, 10, 0))
    assert compare_fingerprints(recorded["fingerprint"], expected) != DIFFERS


def test_fingerprints_compare_by_bits_and_then_to_1e_4():
    params = {"a": np.linspace(-1, 1, 1000, dtype=np.float32), "b": np.float32([0.5])}
    one = fingerprint(params, 10, 0)
    for change, expected in ((0, SAME_BITS), (3e-5, SAME_ROUNDED), (3e-4, DIFFERS)):
        other = fingerprint({"a": params["a"] + np.float32(change), "b": params["b"]}, 10, 0)
        assert compare_fingerprints(one, other) == expected
    assert fingerprint(dict(reversed(params.items())), 10, 0) == one
    assert compare_fingerprints(one, fingerprint({"a": params["a"]}, 10, 0)) == DIFFERS


def test_many_agents_have_the_same_rates_and_prove_that_they_learn():
    workload = STANDARDS["cartpole-reinforce-sweep-v1"]
    config = workload.config.replace(num_updates=12)
    workload = workload._replace(config=config, num_agents=3, num_seeds=3)
    agents = AgentsWorkload(workload, 0)
    assert set(agents.calls) == {"environment", "rollout", "training"}
    for call in agents.calls.values():
        jax.block_until_ready(call())
    steps = 8 * 250 * 3
    assert {name: work[0] for name, work in agents.work.items() if name in agents.calls} == {
        "environment": steps,
        "rollout": steps,
        "training": 12 * steps,
    }
    rolled = agents.calls["rollout"]()[2]
    assert int(np.asarray(rolled.valid).sum()) >= steps
    seeds = agents.solve(5, 3)
    assert [seed.env_steps for seed in seeds] == [8 * 250 * 12] * 3
    state = train(config, jax.random.key(6))[0]
    score = float(evaluate(config, state.params, jax.random.key(0), 100).episode_return.mean())
    assert seeds[1].solved == (score >= 475)


def test_a_seed_that_is_not_solved_takes_for_ever():
    workload = STANDARDS[NAME]
    seeds = [Seed(True, 1.0, 100), Seed(False, 2.0, 900), Seed(False, None, None, "failed")]
    found = learning(workload, 7, [*seeds, Seed(False, None, None, "interrupted")])
    assert found["solved_share"] == pytest.approx(1 / 3)
    assert found["seconds_to_solve"]["median"] == np.inf
    assert found["statuses"] == ["done", "done", "failed", "interrupted"]
    assert dollars_per_solved_seed(seeds, 3600.0) == pytest.approx(3.0)
    assert dollars_per_solved_seed(seeds[1:], 1.0) == np.inf
    assert dollars_per_solved_seed(seeds, None) is None


def test_energy_is_that_of_a_solved_seed_and_of_a_billion_steps():
    calls = []

    def solve(first, number):
        calls.append(first)
        return [Seed(True, 1.0, 100)] * number

    def measure(work):
        for _ in range(3):
            work()
        return {"source": "RAPL", "seconds": 60.0, "joules": 12.0, "calls": 3}

    found = energy_of_seeds(measure, solve, first_seed=10, number=2)
    assert calls == [10, 12, 14]
    assert found["joules_per_solved_seed"] == 2.0
    assert found["joules_per_billion_steps"] == pytest.approx(12.0 / 600 * 1e9)
    assert energy_of_seeds(lambda _: None, solve, 0, 1) == {"source": None}
    stopped = energy_of_seeds(measure, lambda *_: [NO_SEED], 0, 1)
    assert benchmark.exit_code({"rows": [], "energy": stopped}) == 130


@pytest.mark.parametrize(("number", "low", "high"), [(1, 0, 0), (5, 0, 4), (9, 1, 7), (40, 13, 26)])
def test_intervals_of_a_median_are_ordered_samples(number, low, high):
    found = estimate(np.random.default_rng(0).permutation(number).tolist())
    assert found == {"median": (number - 1) / 2, "interval": [low, high]}
    # By the binomial distribution: so many of the samples are below the median.
    if number > 5:
        assert stats.binom.cdf(low, number, 0.5) <= 0.025 < stats.binom.cdf(low + 1, number, 0.5)


def test_compare_says_whether_bits_are_the_same(results, tmp_path, capsys):
    paths = [str(tmp_path / f"{name}.json") for name in "ab"]
    for path, result in zip(paths, results, strict=True):
        write_result(Path(path), result)
    assert main(["bench", "--compare", *paths]) in (0, 1)
    captured = capsys.readouterr()
    assert "parameters after 10 updates: same bits" in captured.out
    assert "warning" not in captured.out + captured.err
    assert main(["report", paths[0], "--out", str(tmp_path / "page.html")]) == 0
    assert "8 of 8 seeds reached 475" in (tmp_path / "page.html").read_text()
