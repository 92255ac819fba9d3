"""Speed: ours and the idiomatic program in turn, precisions, and the phases of an update."""

import functools
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np
from peers import idiomatic
from ratios import paired_ratio

from on_device.report import Row, Stage, one_line
from on_device.sizes import Size
from purejaxrl_reinforce import Config, init, preset, train
from purejaxrl_reinforce.algorithm.engine import chosen_engine
from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.bench.flops import phase_costs
from purejaxrl_reinforce.bench.phases import phases
from purejaxrl_reinforce.bench.result_file import timed_row
from purejaxrl_reinforce.bench.timing import Call, measure
from purejaxrl_reinforce.execution.program import Program
from purejaxrl_reinforce.execution.sharding import lane_mesh, shard_state


class Timed(NamedTuple):
    """A call and the valid environment steps that it takes."""

    call: Call
    steps: int


def sps_stage(size: Size, seed: int) -> Stage:
    """Return the stage of steps per second against lanes, and of precisions."""
    cases = {f"{n:,} lanes": functools.partial(against, size, seed, n) for n in size.lanes}
    cases["two layers of 64 tanh"] = lambda: precisions(size, seed)
    return Stage("sps", "how many valid steps per second, against the idiomatic program?", cases)


def phases_stage(size: Size, seed: int) -> Stage:
    """Return the stage of the phases of an update."""
    cases = {
        f"{n:,} lanes, {engine}": functools.partial(timed_phases, size, seed, n, engine)
        for n in dict.fromkeys((size.wide, size.few))
        for engine in ("xla", "kernel")
    }
    return Stage("phases", "where does the time of an update go?", cases)


@functools.cache
def trained_params(seed: int, num_steps: int, updates: int, **network: Any) -> Params:
    """Return the policy and baseline with which updates are timed: its episodes are long."""
    config = replace(preset("cartpole"), num_steps=num_steps, num_updates=updates, **network)
    return train(config, jax.random.key(seed))[0].params


def require_engine(config: Config) -> None:
    """Raise ValueError if the engine that `config` asks for is not what plays."""
    if config.engine != "auto" and chosen_engine(config) != config.engine:
        raise ValueError(f"engine={config.engine!r} is refused here, as a warning has said")


def ours(config: Config, params: Params, size: Size, seed: int) -> Timed:
    """Return updates of a trained policy with `config`."""
    require_engine(config)
    program = Program(config, jax.random.key(seed))
    state = shard_state(program.state._replace(params=params), program.mesh)
    updates = min(config.num_updates, max(2, size.slots // (config.num_envs * size.num_steps)))
    call = functools.partial(program.advance, state, updates)
    return Timed(call, int(np.asarray(call()[1].num_steps)[:updates].sum(dtype=np.int64)))


def theirs(num_envs: int, num_steps: int, size: Size, seed: int) -> Timed:
    """Return a training of the idiomatic program."""
    updates = max(2, size.slots // (num_envs * num_steps) // 4)
    settings = idiomatic.Settings(num_envs=num_envs, num_steps=num_steps, num_updates=updates)
    key = jax.random.key(seed)
    program = jax.jit(idiomatic.make_train(settings)).lower(key).compile()
    return Timed(functools.partial(program, key), num_envs * num_steps * updates)


def build(makers: Mapping[str, Callable[[], Any]]) -> tuple[dict[str, Any], list[Row]]:
    """Compile things side by side; return them, and a row for each that failed."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        futures = {name: pool.submit(make) for name, make in makers.items()}
    built = {name: f.result() for name, f in futures.items() if f.exception() is None}
    failed = [
        {"name": name, "failed": one_line(error)}
        for name, f in futures.items()
        if (error := f.exception()) is not None
    ]
    return built, failed


def timed_rows(timed: Mapping[str, Timed], repeats: int, reference: str) -> list[Row]:
    """Time in turn; return rows with SPS and, with a 95% interval, how many times `reference`."""
    timings = measure({name: x.call for name, x in timed.items()}, repeats)
    rows = []
    for name, (_, steps) in timed.items():
        row = timed_row(name, timings[name], valid_steps=steps, sps=steps / timings[name].median)
        if reference in timed:
            times = paired_ratio(timings[reference].samples, timings[name].samples)
            per_step = timed[reference].steps / steps
            row[f"times {reference}"] = [x / per_step for x in (times.value, times.low, times.high)]
        rows.append(row)
    return rows


def against(size: Size, seed: int, num_envs: int) -> list[Row]:
    """Time every program with so many lanes."""
    params = trained_params(seed, size.num_steps, size.training)
    config = replace(preset("cartpole"), num_envs=num_envs, num_steps=size.num_steps)
    makers: dict[str, Callable[[], Timed]] = {
        engine: functools.partial(ours, replace(config, engine=engine), params, size, seed)
        for engine in ("xla", "kernel")
    }
    for steps in (size.num_steps, size.short):
        makers[f"idiomatic, {steps} steps"] = functools.partial(theirs, num_envs, steps, size, seed)
    built, failed = build(makers)
    rows = timed_rows(built, size.repeats, f"idiomatic, {size.num_steps} steps")
    return [{**row, "num_envs": num_envs} for row in (*rows, *failed)]


def precisions(size: Size, seed: int) -> list[Row]:
    """Time updates of a network whose products have a choice of precision."""
    network = {"hidden_sizes": (64, 64), "activation": "tanh"}
    params = trained_params(seed, size.num_steps, size.training, **network)
    config = replace(
        preset("cartpole"), num_envs=size.wide, num_steps=size.num_steps, engine="xla", **network
    )
    makers = {
        precision: functools.partial(ours, replace(config, precision=precision), params, size, seed)
        for precision in size.precisions
    }
    built, failed = build(makers)
    rows = timed_rows(built, size.repeats, size.precisions[0])
    return [{**row, "num_envs": size.wide} for row in (*rows, *failed)]


def timed_phases(size: Size, seed: int, num_envs: int, engine: str) -> list[Row]:
    """Time the phases of an update of a trained policy, each a program of its own."""
    config = replace(preset("cartpole"), num_envs=num_envs, num_steps=size.num_steps, engine=engine)
    require_engine(config)
    params = trained_params(seed, size.num_steps, size.training)
    state = init(config, jax.random.key(seed))._replace(params=params)
    state = shard_state(state, lane_mesh(num_envs, jax.devices()))
    calls, steps = phases(config, state)
    timings, costs = measure(calls, size.repeats), phase_costs(config)
    rows = []
    for name, timing in timings.items():
        row = timed_row(name, timing, sps=steps / timing.median)
        if name in ("rollout", "targets", "gradient"):
            row["flops_per_second"] = costs[name].flops * steps / timing.median
            row["bytes_per_second"] = costs[name].bytes * steps / timing.median
        rows.append(row)
    return rows
