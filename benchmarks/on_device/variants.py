"""Shapes of the program and of its kernels, tried one by one; the fastest make a tuning."""

import contextlib
import functools
from collections import ChainMap
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jax

from on_device import child
from on_device.report import Row, Stage
from on_device.sizes import Size
from on_device.speed import Timed, build, timed_rows, trained_params
from purejaxrl_reinforce import Config, init, preset, step
from purejaxrl_reinforce.algorithm.batching import TUNINGS, Tuning, tuning
from purejaxrl_reinforce.algorithm.kernels.lane_blocks import DEFAULT_TILING, Tiling
from purejaxrl_reinforce.algorithm.kernels.learning import (
    KernelRows,
    gradients_by_kernel,
    targets_by_kernel,
)
from purejaxrl_reinforce.algorithm.kernels.one_program import KernelEngine
from purejaxrl_reinforce.algorithm.kernels.rollout import record_in_one_launch
from purejaxrl_reinforce.algorithm.networks.build import make_networks
from purejaxrl_reinforce.algorithm.rollout import Trajectory, make_rollout
from purejaxrl_reinforce.execution.sharding import (
    LANES,
    REPLICATED,
    STATE,
    lane_mesh,
    shard_lanes,
    shard_state,
)


def stage(size: Size, seed: int) -> Stage:
    """Return the stage; rows named `recommended` hold a tuning."""
    widths = dict.fromkeys((size.wide, size.few))
    cases: dict[str, Any] = {
        f"tuning, {n:,} lanes": functools.partial(tunings, size, seed, n) for n in widths
    }
    for n in widths:
        for kernel in ("rollout", "targets", "gradients"):
            cases[f"{kernel} kernel, {n:,} lanes"] = functools.partial(
                tilings, size, seed, n, kernel
            )
    cases["CUDA graphs of loops"] = lambda: graphs(size)
    return Stage("variants", "which shape of the program is fastest?", cases)


def tunings(size: Size, seed: int, num_envs: int) -> list[Row]:
    """Time an update with each variant; then with the fastest value of every field together."""
    config = replace(preset("cartpole"), num_envs=num_envs, num_steps=size.num_steps, engine="xla")
    default = tuning(config)
    tried = {
        f"{field}={value}": {field: value}
        for field, choices in size.values.items()
        for value in choices
        if value != getattr(default, field)
    }
    rows = _time_tunings(config, {"default": {}, **tried}, size, seed)
    timed = sorted((row for row in rows if "times default" in row), key=_times_default)
    faster = [tried[row["name"]] for row in timed if row["times default"][1] > 1]
    together = dict(ChainMap(*reversed(faster)))  # of a field, the fastest value
    if len(together) > 1:
        rows += _time_tunings(config, {"default": {}, "together": together}, size, seed)[1:]
        if _times_default(rows[-1]) < _times_default(timed[-1]):
            together = faster[-1]
    return [*rows, {"name": "recommended", "tuning": repr(default._replace(**together))}]


def _times_default(row: Row) -> float:
    return row.get("times default", [0.0])[0]


def _time_tunings(
    config: Config, changes: dict[str, dict[str, Any]], size: Size, seed: int
) -> list[Row]:
    mesh = lane_mesh(config.num_envs, jax.devices())
    params = trained_params(seed, size.num_steps, size.training)
    state = shard_state(init(config, jax.random.key(seed))._replace(params=params), mesh)
    update = shard_lanes(
        lambda c, s: step(c, s, LANES), mesh, (REPLICATED, STATE), (STATE, REPLICATED)
    )
    lowered = {}
    for name, change in changes.items():
        with tuned(**change):
            lowered[name] = jax.jit(update).lower(config, state)
    makers = {
        name: functools.partial(_compiled, program, (config, state))
        for name, program in lowered.items()
    }
    built, failed = build(makers)
    return [*timed_rows(built, size.repeats, "default"), *failed]


def _compiled(program: Any, args: tuple[Any, ...]) -> Timed:
    call = functools.partial(program.compile(), *args)
    return Timed(call, int(call()[1].num_steps))


@contextlib.contextmanager
def tuned(**changes: Any) -> Iterator[None]:
    """Shape what is traced inside by another tuning than this platform's own."""
    platform = jax.default_backend()
    platform = platform if platform in TUNINGS else "gpu"
    own: Tuning = TUNINGS[platform]
    TUNINGS[platform] = own._replace(**changes)
    jax.clear_caches()  # of what was traced with the other tuning
    try:
        yield
    finally:
        TUNINGS[platform] = own
        jax.clear_caches()


def tilings(size: Size, seed: int, num_envs: int, kernel: str) -> list[Row]:
    """Time a kernel alone with different numbers of lanes and warps per program."""
    config = replace(preset("cartpole"), num_envs=num_envs, num_steps=size.num_steps)
    params = trained_params(seed, size.num_steps, size.training)
    engine: KernelEngine = "interpret" if jax.default_backend() == "cpu" else "kernel"
    key = jax.random.key(seed)

    def rollout(tiling: Tiling, key: jax.Array) -> Any:
        policy = make_networks(config).policy_parts(params.policy)
        return record_in_one_launch(
            make_rollout(config, params.policy), None, key, num_envs, policy,
            tiling=tiling, interpret=engine == "interpret",
        )  # fmt: skip

    def targets(tiling: Tiling, played: Trajectory) -> Any:
        return targets_by_kernel(config, params, played, engine, tiling=tiling)

    def gradients(tiling: Tiling, played: Trajectory) -> Any:
        rows = KernelRows(played.action, played.reward, played.reward)
        return gradients_by_kernel(config, params, played, rows, engine, tiling)

    functions = {"rollout": rollout, "targets": targets, "gradients": gradients}
    *_, played = jax.jit(functools.partial(rollout, DEFAULT_TILING))(key)
    argument = key if kernel == "rollout" else played

    def make(tiling: Tiling) -> Timed:
        function = functools.partial(functions[kernel], tiling)
        program = jax.jit(function).lower(argument).compile()
        return Timed(functools.partial(program, argument), int(played.valid.sum()))

    names = {f"{lanes} lanes, {warps} warps": Tiling(lanes, warps) for lanes, warps in size.tilings}
    built, failed = build({name: functools.partial(make, x) for name, x in names.items()})
    return [*timed_rows(built, size.repeats, next(iter(names))), *failed]


def graphs(size: Size) -> list[Row]:
    """Time updates in processes with and without CUDA graphs of loops."""
    if jax.default_backend() != "gpu":
        raise ValueError("this is no GPU")
    return [
        {"name": name, "num_envs": n, **child.run("update", size, n, graphs=name == "graphs")}
        for n in (size.few, size.wide)
        for name in ("graphs", "no graphs")
    ]
