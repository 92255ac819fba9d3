"""Counts of compiled programs: known answers, and upper bounds for accelerators elsewhere."""

import importlib.util
from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest

from purejaxrl_reinforce.bench.compile_for import compile_for
from purejaxrl_reinforce.bench.hlo import read_program
from purejaxrl_reinforce.bench.launches import Counts, count, gpu_plan, plan_of
from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.presets import preset
from tests.support.runs import error_of

ROUNDS = 7


def looped(x, rounds):
    """Add up slices of 10 of `x` [1000] in a loop."""

    def add(i, total):
        return total + jax.lax.dynamic_slice(x, (i,), (10,))

    return jax.lax.fori_loop(0, rounds, add, x[:10])


@pytest.mark.parametrize("known", [True, False])
def test_a_loop_counts_as_often_as_it_runs(known):
    jitted = jax.jit(looped, static_argnames="rounds" if known else ())
    compiled = jitted.lower(jnp.arange(1000.0), rounds=ROUNDS).compile()
    program = read_program(compiled.as_text())
    (loop,) = (x for x in program.instructions.values() if x.operation == "while")
    assert loop.trip_count == (ROUNDS if known else None)
    assert "looped" in program.functions(loop)
    plan = plan_of(program, program.entry)
    (counts,) = count(plan, program, lambda _: "all", lambda _: ROUNDS).values()
    # x may be copied once, before the loop; a round moves 30 floats, not all of x.
    assert ROUNDS * 3 * 40 <= counts.bytes < 8_000 + ROUNDS * 200
    assert counts.synchronizations == (0 if known else ROUNDS + 1)


PROGRAM = """\
HloModule jit_f

%fused (p0: f32[8,100], p1: s32[]) -> f32[100] {
  %p0 = f32[8,100]{1,0} parameter(0)
  %p1 = s32[] parameter(1)
  %slice = f32[1,100]{1,0} dynamic-slice(%p0, %p1, %p1), dynamic_slice_sizes={1,100}
  ROOT %bitcast = f32[100]{0} bitcast(%slice)
}

%body (p: (s32[], f32[8,100])) -> (s32[], f32[8,100]) {
  %p = (s32[], f32[8,100]{1,0}) parameter(0)
  %i = s32[] get-tuple-element(%p), index=0
  %x = f32[8,100]{1,0} get-tuple-element(%p), index=1
  %row = f32[100]{0} fusion(%x, %i), kind=kLoop, calls=%fused
  %saved = f32[100]{0} copy(%row)
  ROOT %t = (s32[], f32[8,100]{1,0}) tuple(%i, %x)
}

%condition (q: (s32[], f32[8,100])) -> pred[] {
  %q = (s32[], f32[8,100]{1,0}) parameter(0)
  %j = s32[] get-tuple-element(%q), index=0
  ROOT %less = pred[] compare(%j, %j), direction=LT
}

ENTRY %main (x: f32[8,100], i: s32[]) -> (s32[], f32[8,100]) {
  %a = s32[] parameter(1)
  %b = f32[8,100]{1,0} parameter(0)
  %start = (s32[], f32[8,100]{1,0}) tuple(%a, %b)
  ROOT %loop = (s32[], f32[8,100]{1,0}) while(%start), condition=%condition, body=%body
}
"""
THUNKS = """\
000: kWhile [source | sink]
condition:
    001: kCustomKernel [source | sink] less grid: [1, 1, 1]
  body:
    000: kCommandBuffer [source | sink]
        002: kCustomKernel [source | next=003 (1)] row grid: [1, 1, 1]
        003: kCopy [prev=002 (1) | sink] kCopy
"""
METADATA = "".join(
    f'thunk_metadata {{ thunk_info {{ profile_annotation: "{name}" thunk_id: {number} }} }}\n'
    for number, name in enumerate(["loop", "less", "row", "saved"])
)
ROW_BYTES = 400 + 4 + 400  # of a row of x, the index, the result
COPY_BYTES = 2 * 400
LESS_BYTES = 4 + 4 + 1


def test_a_plan_for_a_gpu():
    """A loop of unknown length, from the host: its predicate is waited for, its body a graph."""
    program = read_program(PROGRAM)
    counts = count(gpu_plan(THUNKS, METADATA), program, lambda _: None, lambda _: 5)
    moved = 6 * LESS_BYTES + 5 * (ROW_BYTES + COPY_BYTES)
    assert counts == {"rest": Counts(6 + 10, 5, graphs=5, synchronizations=6, bytes=moved)}


def test_a_loop_in_a_graph_waits_for_nothing():
    inside = "000: kCommandBuffer [source | sink]\n" + "".join(
        f"    {line}\n" for line in THUNKS.replace("000: kWhile", "010: kWhile").splitlines()
    )
    metadata = METADATA.replace("thunk_id: 0 ", "thunk_id: 10 ")
    (counts,) = count(
        gpu_plan(inside, metadata), read_program(PROGRAM), lambda _: None, lambda _: 5
    ).values()
    assert (counts.launches, counts.graphs, counts.synchronizations) == (16, 1, 0)


def test_without_the_compiler_one_line_says_what_to_install(capsys, monkeypatch):
    find = importlib.util.find_spec
    missing = ("jax_cuda12_plugin", "libtpu")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in missing else find(name)
    )
    for target in ("h100", "a100", "v5e"):
        error = error_of(["describe", "--for", target], capsys)
        assert "pip install '.[compile]'" in error


needs = {
    target: pytest.mark.skipif(
        importlib.util.find_spec(package) is None,
        reason=f"needs {package}: pip install '.[compile]'",
    )
    for target, package in {"h100": "jax_cuda12_plugin", "v5e": "libtpu"}.items()
}

# Presets with a number of lanes, and the most launches and GB moved of an update on an H100.
BOUNDS = {
    ("cartpole", 64): (2_000, 0.1),
    ("cartpole", 4_096): (2_500, 2.5),
    ("throughput", 65_536): (3_500, 30),
    ("classic", 1): (12_000, 0.1),
}
MOST_WITH_KERNELS = 40
KERNELS = {"rollout", "targets", "gradients", "optimizer_steps", "conclusion"}


@needs["h100"]
@pytest.mark.slow
@pytest.mark.parametrize("case", BOUNDS, ids=str)
def test_an_update_on_an_h100(case):
    name, num_envs = case
    update = compile_for(replace(preset(name), num_envs=num_envs), "h100")
    most_launches, most_gb = BOUNDS[case]
    assert update.total("launches") <= most_launches
    assert update.total("bytes") <= most_gb * 1e9
    assert update.total("synchronizations") <= 5
    assert set(update.products) <= {"float32"}
    assert {"rollout", "targets", "gradient"} <= set(update.phases)


@needs["h100"]
@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "tensorfloat32"])
def test_wide_networks_multiply_in_the_precision_that_was_asked_for(precision):
    config = replace(preset("cartpole"), hidden_sizes=(64, 64), precision=precision)
    assert set(compile_for(config, "h100").products) == {precision}


@needs["v5e"]
@pytest.mark.slow
@pytest.mark.parametrize("name", ["cartpole", "classic", "throughput"])
def test_an_update_on_a_slice_of_four_tpus(name):
    config = preset(name)
    num_devices = 1 if config.num_envs == 1 else 4
    update = compile_for(config, "v5e", num_devices)
    assert update.collectives <= 3
    assert set(update.products) <= {"float32"}
    assert update.largest_num_envs >= config.num_envs


@needs["h100"]
@pytest.mark.slow
def test_an_update_on_four_gpus():
    update = compile_for(preset("throughput"), "h100", num_devices=4)
    assert 1 < update.collectives <= 3
    assert update.total("synchronizations") <= 5


@needs["h100"]
@pytest.mark.slow
@pytest.mark.parametrize("case", BOUNDS, ids=str)
def test_an_update_by_kernels_on_an_h100(case):
    name, num_envs = case
    config = replace(preset(name), num_envs=num_envs, engine="kernel")
    update = compile_for(config, "h100")
    assert update.total("launches") <= MOST_WITH_KERNELS
    assert set(update.kernels) == KERNELS
    assert not any(kernel["spilled_bytes"] for kernel in update.kernels.values())


@needs["h100"]
@pytest.mark.slow
@pytest.mark.parametrize("num_envs", [64, 65_536])
def test_normalized_advantages_by_kernels_on_an_h100(num_envs):
    """Their moments are a second pass over all lanes."""
    config = replace(
        preset("cartpole"), num_envs=num_envs, engine="kernel", advantage_norm="standardize"
    )
    assert compile_for(config, "h100").total("launches") <= MOST_WITH_KERNELS


@needs["h100"]
@pytest.mark.slow
def test_many_agents_by_kernels_fit_an_h100():
    update = compile_for(replace(preset("cartpole"), engine="kernel"), "h100", num_agents=2_048)
    assert update.total("launches") <= MOST_WITH_KERNELS
    assert update.largest_num_envs >= 64
    assert not any(kernel["spilled_bytes"] for kernel in update.kernels.values())


@needs["h100"]
@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "engine"),
    [
        ([], "kernel"),
        (["--env", "Catch-bsuite"], "kernel for the rollout, xla for the rest"),
        (["--hidden-sizes", "8", "8"], "xla, since there is no kernel: its policy has not one"),
    ],
)
def test_a_description_names_the_engine(options, engine, capsys):
    few = ["--num-envs", "8", "--num-steps", "4"]
    assert main(["describe", "--for", "h100", "--engine", "kernel", *few, *options]) == 0
    (line,) = (x for x in capsys.readouterr().out.splitlines() if x.startswith("engine"))
    assert engine in " ".join(line.split())
