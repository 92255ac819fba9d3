"""benchmarks/compile_for.py: known answers, and upper bounds for devices that are elsewhere."""

import importlib.util
from dataclasses import replace

import compile_for
import pytest

from purejaxrl_reinforce.presets import preset

# What is read of an optimized program: names, loops of known length, functions that were traced.
PROGRAM = """\
HloModule jit_f

FunctionNames
1 "play_batch"
2 "step"

FileLocations
1 {file_name_id=1 function_name_id=2 line=1}
2 {file_name_id=1 function_name_id=1 line=9}

StackFrames
1 {file_location_id=1 parent_frame_id=1}
2 {file_location_id=2 parent_frame_id=2}


%body (p: f32[]) -> f32[] {
  %row = f32[100]{0} fusion(%x, %i), metadata={op_name="f" stack_frame_id=2}
  ROOT %saved = f32[100]{0} copy(%row)
}

ENTRY %main (x: f32[8,100], i: s32[]) -> f32[8,100] {
  ROOT %loop = (s32[], f32[8,100]{1,0}) while(%start), metadata={stack_frame_id=2}
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


def counted(thunks, metadata=METADATA, program=PROGRAM):
    functions = []

    def most_rounds(traced_in):
        functions.append(traced_in)
        return 5

    program = compile_for.Program(program)
    counts = compile_for.count_launches(thunks, metadata, program, most_rounds)
    return (dict(counts.of_phase), counts.graphs, counts.waits), functions


def test_only_a_loop_of_unknown_length_outside_of_graphs_waits():
    """The host waits for its predicate, and its body is a graph."""
    assert counted(THUNKS) == (({"rollout": 6 + 5 * 2}, 5, 6), [("play_batch", "step")])
    known = PROGRAM.replace("while(%start)", 'while(%start), {"known_trip_count":{"n":"3"}}')
    assert counted(THUNKS, program=known) == (({"rollout": 3 * 2}, 3, 0), [])
    inside = "000: kCommandBuffer [source | sink]\n" + "".join(
        f"    {line}\n" for line in THUNKS.replace("000: kWhile", "010: kWhile").splitlines()
    )
    metadata = METADATA.replace("thunk_id: 0 ", "thunk_id: 10 ")
    assert counted(inside, metadata)[0] == ({"rollout": 16}, 1, 0)


def test_without_the_compiler_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    for target in ("h100", "v5e"):
        with pytest.raises(ValueError, match=r"pip install '.\[compile\]'"):
            compile_for.compile_for(preset("cartpole"), target)


# Presets with lanes, devices, and the most launches of an update on an H100 by XLA alone.
CASES = [
    ("h100", "cartpole", 64, 1, 2_500),
    ("h100", "cartpole", 4_096, 1, 2_500),
    ("h100", "throughput", 65_536, 1, 5_000),
    ("h100", "classic", 1, 1, 12_000),
    ("h100", "throughput", 65_536, 4, None),
    ("v5e", "throughput", 65_536, 4, None),
]
PACKAGES = {"h100": "jax_cuda12_plugin", "v5e": "libtpu"}


def compile_update(config, target, **options):
    if importlib.util.find_spec(PACKAGES[target]) is None:
        pytest.skip(f"needs {PACKAGES[target]}: pip install '.[compile]'")
    return compile_for.compile_for(config, target, **options)


@pytest.mark.slow
@pytest.mark.parametrize(("target", "name", "num_envs", "num_devices", "most"), CASES)
def test_an_update(target, name, num_envs, num_devices, most):
    config = replace(preset(name), num_envs=num_envs)
    update = compile_update(config, target, num_devices=num_devices)
    assert 2 * (num_devices > 1) <= update.collectives <= 3
    if target == "h100":
        assert update.waits <= 5
    if most is not None:
        assert {"rollout", "targets", "gradient"} <= set(update.launches)
        assert sum(update.launches.values()) <= most
