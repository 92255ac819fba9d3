"""The first hour with a new device: does it compute what a CPU computes, and how fast?

    python benchmarks/accelerator.py --minutes 8

runs, in this order: correctness (against float64, against the CPU, kernels against XLA, learning),
steps per second of XLA's program, of the kernels and of the idiomatic program in turn, and peaks.
Writes results/accelerator.json and .md after every case, and a
picture at the end. A case that fails is named with its reason; so is one that the time did not
suffice for. The same command goes on with these: what was measured with today's code is kept.
"""

import functools
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from documents import rows_of
from harness import RESULTS, ROOT, Table, is_current, measured_rows, run
from matplotlib.figure import Figure
from speedup import trained_updates

from purejaxrl_reinforce import Config, init, preset, step, train
from purejaxrl_reinforce.algorithm.reinforce import collect
from purejaxrl_reinforce.bench.idiomatic.against import idiomatic
from purejaxrl_reinforce.bench.result_file import load_result, make_result, write_result
from purejaxrl_reinforce.bench.timing import measure_peaks, paired_ratio
from purejaxrl_reinforce.execution.jax_settings import use_cuda_graphs
from purejaxrl_reinforce.figures.style import save_figure, styled
from purejaxrl_reinforce.output.text import print_table

# Of gradients and metrics, relative to numbers above 1.
TOLERANCE = 1e-4
# Standard errors between two means that are taken for equal.
AGREEMENT = 3.0
SOLVED = 475

Row = dict[str, Any]


class Size(NamedTuple):
    """How much is measured.

    Attributes:
        lanes: the most telling first; kernels are checked with the first.
        num_steps: of an episode, at most.
        slots: about how many steps a timed call takes.
        repeats: of each timing.
        num_updates: of a training.
        seeds: that have to solve the task.
    """

    lanes: tuple[int, ...] = (65_536, 64, 4_096, 1_048_576, 1_024)
    num_steps: int = 500
    slots: int = 300_000_000
    repeats: int = 5
    num_updates: int = 100
    seeds: int = 16


TINY = Size((2,), 8, 1, 1, 2, 2)


def compared(name: str, found: Any, expected: Any) -> Row:
    """Return a row of the largest difference between two trees, relative to numbers above 1."""

    def difference(x: Any, y: Any) -> float:
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        return float(np.nanmax(np.abs(x - y) / np.maximum(1, np.abs(y)), initial=0.0))

    worst = max(jax.tree.leaves(jax.tree.map(difference, found, expected)))
    return {"name": name, "difference": worst, "passed": worst <= TOLERANCE}


def gradients_of(config: Config, state: Any) -> list[Any]:
    """Return both networks' gradients of the update after `state`, the first, from Adam's means."""
    new, _ = jax.device_get(jax.jit(step)(config, state))
    means = optax.tree_utils.tree_get_all_with_path(new.opt_state, "mu")
    return [jax.tree.map(lambda x: x / 0.1, mean) for _, mean in means]


def float64(size: Size, seed: int) -> list[Row]:  # noqa: ARG001
    """Compare gradients of a small batch with numerical ones, from equations in NumPy."""
    from tests.support import reference

    config = Config(
        hidden_sizes=(4,), num_envs=3, num_steps=8, entropy_coef=0.1, gamma=0.9, bootstrap=False,
        advantage_norm="standardize",
    )  # fmt: skip
    state = init(config, jax.random.key(seed))
    played = jax.device_get(jax.jit(collect)(config, state)[2])
    obs, valid = np.float64(played.obs), played.valid
    policy, baseline = jax.tree.map(np.float64, jax.device_get(tuple(state.params[:2])))
    flags = np.float64(played.reward), played.terminated, played.truncated, valid
    returns = reference.returns(*flags, 0.9, None)
    values = reference.mlp(baseline["params"]["mlp"], obs)[..., 0]
    advantages = reference.normalize(returns - values, valid, "standardize")

    def policy_loss(params: Any) -> float:
        return reference.policy_loss(params, obs, played.action, advantages, valid, 0.1)

    def baseline_loss(params: Any) -> float:
        return reference.baseline_loss(params, obs, returns, valid)

    expected = [
        reference.numerical_gradient(loss, params)
        for loss, params in ((policy_loss, policy), (baseline_loss, baseline))
    ]
    names = ("policy's gradient", "baseline's gradient")
    return list(map(compared, names, gradients_of(config, state), expected))


def against_cpu(size: Size, seed: int) -> list[Row]:
    """Play the same lanes here and on the CPU, until rounding tips an action over."""
    num_envs = min(size.lanes[0], 4_096)
    config = Config(num_envs=num_envs, num_steps=size.num_steps, engine="xla")

    def play(config: Config, key: Any) -> Any:
        return collect(config, init(config, key))[2]

    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        key = jax.random.key(seed)
        there = jax.device_get(jax.jit(play)(replace(config, platform="cpu"), key))
    here = jax.device_get(jax.jit(play)(config, key))
    lengths = [np.asarray(x.valid.sum(axis=0), float) for x in (here, there)]
    error = float(np.sqrt(sum(np.var(x) for x in lengths) / num_envs))
    means = [float(x.mean()) for x in lengths]
    agree = abs(means[0] - means[1]) <= AGREEMENT * error or means[0] == means[1]
    return [
        compared("first observations", here.obs[0], there.obs[0]),
        compared("first actions", here.action[0], there.action[0]),
        {"name": "mean length of episodes", "means": means, "passed": agree},
    ]


def kernels(size: Size, seed: int) -> list[Row]:
    """Play the same lanes, and learn from them, by the kernels and by XLA on this device."""
    config = Config(num_envs=size.lanes[0], num_steps=size.num_steps)
    by_xla, by_kernels = (replace(config, engine=engine) for engine in ("xla", "kernel"))
    state = init(by_xla, jax.random.key(seed))
    played = [jax.device_get(jax.jit(collect)(c, state)[2]) for c in (by_kernels, by_xla)]
    valid = played[0].valid
    rows = [compared("valid", valid, played[1].valid[: len(valid)])]
    for name in ("obs", "action", "reward", "terminated", "truncated"):
        found, expected = (getattr(x, name)[: len(valid)][valid] for x in played)
        rows.append(compared(name, found, expected))
    learned = [gradients_of(c, state) for c in (by_kernels, by_xla)]
    return [*rows, compared("gradients", *learned)]


def learning(size: Size, seed: int) -> list[Row]:
    """Train seeds of the default preset, each of which has to solve the task."""
    config = replace(preset("cartpole"), num_updates=size.num_updates, num_steps=size.num_steps)
    keys = jax.random.split(jax.random.key(seed), size.seeds)
    trained = jax.jit(jax.vmap(lambda c, k: train(c, k)[1].mean_return, in_axes=(None, 0)))
    best = np.nanmax(np.asarray(trained(config, keys)), axis=1)
    solved = int((best >= min(SOLVED, size.num_steps)).sum())
    return [{"name": "seeds solved", "solved": solved, "passed": solved == size.seeds}]


@functools.cache
def trained_params(size: Size, seed: int) -> Any:
    """Return parameters whose episodes are long."""
    config = replace(preset("cartpole"), num_steps=size.num_steps, num_updates=size.num_updates)
    return train(config, jax.random.key(seed))[0].params


def speed(size: Size, seed: int, num_envs: int) -> list[Row]:
    """Time XLA's program, the kernels and the idiomatic program in turn, with so many lanes.

    Rows have SPS and, with its 95% interval, how many times the idiomatic program's that is.
    """
    config = replace(preset("cartpole"), num_envs=num_envs, num_steps=size.num_steps)
    updates = max(2, size.slots // (num_envs * size.num_steps))
    trained, key = trained_params(size, seed), jax.random.key(seed)
    fewer = replace(config, num_updates=max(2, updates // 4))
    built, rows = {"idiomatic": idiomatic(fewer, key)}, []
    for engine in ("xla", "kernel"):
        chosen: Any = {"engine": engine}
        try:
            its = replace(config, **chosen)
            built[engine] = trained_updates(its, min(100, updates), trained, key)
        except Exception as error:
            rows.append({"name": engine, "num_envs": num_envs, "failed": one_line(error)})
    facts = {"num_envs": num_envs}
    timed = measured_rows(
        {name: (call, {**facts, "valid_steps": steps}) for name, (call, steps) in built.items()},
        size.repeats,
    )
    for row in timed:
        row["sps"] = row["valid_steps"] / row["median"]
        per_step = timed[0]["valid_steps"] / row["valid_steps"]
        ratio = paired_ratio(timed[0]["samples"], row["samples"])
        row["times idiomatic"] = [x / per_step for x in ratio]
    return rows + timed


def peaks(size: Size, seed: int) -> list[Row]:  # noqa: ARG001
    """Measure a matrix product in each precision, and a pass over memory."""
    rows = []
    for precision in ("float32", "tensorfloat32", "bfloat16"):
        with jax.default_matmul_precision(precision):
            rows.append({"name": precision, **measure_peaks()._asdict()})
    return rows


def cases_of(size: Size) -> dict[str, Callable[[Size, int], list[Row]]]:
    """Return what is measured, by name, in this order."""
    return {
        "gradients against float64": float64,
        "rollout against the CPU": against_cpu,
        "kernels against XLA": kernels,
        "learning": learning,
        **{f"{n:,} lanes": functools.partial(speed, num_envs=n) for n in size.lanes},
        "peaks": peaks,
    }


def run_cases(
    cases: Mapping[str, Callable[[], list[Row]]],
    rows: list[Row],
    seconds: float,
    write: Callable[[list[Row], dict[str, str]], None],
) -> dict[str, str]:
    """Run the cases that have no rows yet, while there is time, and write after each.

    Returns:
        By case, why it has no rows.
    """
    deadline, missing = time.monotonic() + seconds, dict.fromkeys(cases, "not reached")
    for name, case in cases.items():
        done = any(row["case"] == name for row in rows)
        if not done and time.monotonic() < deadline:
            try:
                rows += [{"case": name, **row} for row in case()]
                done = True
            except Exception as error:
                missing[name] = one_line(error)
        if done:
            del missing[name]
        write(rows, missing)
    return missing


def one_line(error: BaseException) -> str:
    """Return what an error says, in one line of at most 300 characters."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


def table(result: dict[str, Any]) -> Table:
    """Return a row for each thing that was measured, and for each case that has no result."""

    def cells(row: Row) -> list[str]:
        hidden = ("case", "name", "samples", "min", "median", "calls_per_sample", "num_envs")
        found = [f"{what} {_text(x)}" for what, x in row.items() if what not in hidden]
        return [row["case"], row["name"], "; ".join(found)]

    missing = [[case, "", why] for case, why in result["missing"].items()]
    machine = result["machine"]
    title = f"{machine['devices']} x {machine['device_kind']}, {(result['commit'] or '')[:7]}"
    return Table(title, ["case", "", "found"], [*map(cells, result["rows"]), *missing])


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:,.4g}"
    return " to ".join(map(_text, value)) if isinstance(value, list) else f"{value}"


@styled()
def draw(result: dict[str, Any]) -> Figure:
    """Draw SPS against lanes."""
    rows = [row for row in result["rows"] if row["case"].endswith(" lanes") and "sps" in row]
    figure = Figure(figsize=(6, 4.3))
    axes = figure.subplots()
    for name in dict.fromkeys(row["name"] for row in rows):
        points = sorted((r["num_envs"], r["sps"]) for r in rows if r["name"] == name)
        axes.loglog(*zip(*points, strict=True), label=name)
    axes.set(xlabel="lanes", ylabel="valid steps per second", title=table(result).title)
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def main(
    minutes: float = 8.0,
    tiny: bool = False,
    graphs: bool = True,
    seed: int = 0,
    results: Path = RESULTS,
) -> None:
    """Check and measure this device.

    Args:
        minutes: after which no case is begun.
        tiny: a trial of the script.
        graphs: run loops as CUDA graphs, with flags that no device has tried yet.
        seed: of all randomness.
        results: directory for the results.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.9")
    if graphs:
        use_cuda_graphs()
    sys.path.append(str(ROOT))  # of the equations in tests/support
    path, size = results / "accelerator.json", TINY if tiny else Size()
    facts = {"size": list(size), "graphs": graphs}
    kept = load_result(path) if is_current(path) else {}
    same = {name: kept.get(name) for name in facts} == facts
    rows = kept["rows"] if same else []

    def write(rows: list[Row], missing: dict[str, str]) -> None:
        config = preset("cartpole")
        result = make_result("accelerator", config, seed, rows, missing=missing, **facts)
        write_result(path, result)
        path.with_suffix(".md").write_text(rows_of(table(result)))

    cases = {name: functools.partial(case, size, seed) for name, case in cases_of(size).items()}
    run_cases(cases, rows, 60 * minutes, write)
    result = load_result(path)
    save_figure(draw(result), path.with_suffix(".png"))
    print_table(*table(result))


if __name__ == "__main__":
    run(main)
