"""What does the compiler say about an update on devices that are not here?

    pip install -e '.[compile]'
    python benchmarks/compile_for.py
    python benchmarks/compile_for.py --preset cartpole --num-envs 64 --engine kernel

compiles an update for an H100 and a TPU v5e, and says how much memory it takes and how many
collectives it has; for the GPU also what it launches in each phase, if every episode lasts as long
as it may. Nothing is run: no figure here is a time. Without the device the
compiler cannot try variants of a product, so a device's own program may tile them differently.
Writes results/compile_for.json; with `--preset` it only prints.

A *launch* is a kernel or a copy. The host launches several at once where they are in one CUDA
*graph*. In a *host wait* the host waits for a predicate: before each round of a loop of unknown
length and at a conditional, unless a graph holds them. XLA writes its plan (thunks) and the
optimized program as text; the layout of both is that of the jaxlib that the extra `compile` pins.
"""

import dataclasses
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import tyro
from harness import RESULTS, Table, run

from purejaxrl_reinforce import Config, preset
from purejaxrl_reinforce.bench.result_file import make_result, write_result
from purejaxrl_reinforce.config import Engine
from purejaxrl_reinforce.execution.jax_settings import CUDA_GRAPHS
from purejaxrl_reinforce.execution.machine import describe_commit, require_extra
from purejaxrl_reinforce.output.text import print_table

# XLA makes its choices by these; a driver and toolkit of 12.9 allow all kinds of CUDA graphs.
_H100 = """
gpu_device_info {
  threads_per_block_limit: 1024  threads_per_warp: 32
  shared_memory_per_block: 49152  shared_memory_per_core: 233472
  shared_memory_per_block_optin: 232448
  threads_per_core_limit: 2048  core_count: 132  fpus_per_core: 128
  block_dim_limit_x: 2147483647  block_dim_limit_y: 65535  block_dim_limit_z: 65535
  memory_bandwidth: 3352320000000  l2_cache_size: 52428800  clock_rate_ghz: 1.98
  device_memory_size: 84942979072
  cuda_compute_capability { major: 9 feature_extension: ACCELERATED_FEATURES }
  registers_per_core_limit: 65536  registers_per_block_limit: 65536
  driver_version: "12.9.0"  runtime_version: "12.9.0"  compile_time_toolkit_version: "12.9.0"
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 10 }
runtime_version { major: 12 minor: 9 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""
Target = Literal["h100", "v5e"]
# What to import of the extra `compile`.
_PACKAGES = {"h100": ("jax_cuda12_plugin", "nvidia"), "v5e": ("libtpu",)}

# An instruction belongs to the phase whose function was being traced when it was made.
_PHASES = {
    "play_batch": "rollout",
    "make_targets": "targets",
    "gradients": "gradient",
    "apply_gradients": "optimizer",
}
_COLLECTIVE = re.compile(
    r" (?:all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(?:-start)?\("
)


class Case(NamedTuple):
    """A preset with a number of lanes for a device, or for several that share the lanes."""

    preset: str
    num_envs: int = 64
    target: Target = "h100"
    num_devices: int = 1
    engine: Engine = "xla"

    @property
    def name(self) -> str:
        """What the results call it."""
        kernel = "" if self.engine == "xla" else f" engine={self.engine}"
        of = f"{self.preset} lanes={self.num_envs}"
        return f"{of} {self.target} x {self.num_devices}{kernel}"


_XLA_ON_H100 = (
    Case("cartpole", 64),
    Case("cartpole", 4_096),
    Case("throughput", 65_536),
    Case("classic", 1),
    Case("throughput", 65_536, num_devices=4),
)
CASES = (
    *_XLA_ON_H100,
    *(case._replace(engine="kernel") for case in _XLA_ON_H100),
    Case("cartpole", 4_096, "v5e"),
    Case("throughput", 65_536, "v5e", num_devices=4),
)


class CompiledUpdate(NamedTuple):
    """An update compiled for a device.

    Attributes:
        launches: of each phase on one GPU, if every episode lasts as long as it may; {} on a TPU.
        graphs: CUDA graphs that the host launches.
        waits: how often the host waits for the device.
        memory: arguments, temporaries and results on one device, in bytes.
        collectives: how many per update.
    """

    launches: dict[str, int]
    graphs: int
    waits: int
    memory: dict[str, int]
    collectives: int


def compile_for(config: Config, target: Target, num_devices: int = 1) -> CompiledUpdate:
    """Compile an update of `config` for a device, in a process of its own.

    Args:
        config: what is trained; its platform is the target's.
        target: h100 or v5e.
        num_devices: that share the lanes.

    Raises:
        ValueError: the compiler for that device is not installed, or refuses.
    """
    require_extra("compile", *_PACKAGES[target])
    config = replace(config, platform="gpu" if target == "h100" else "tpu")
    request = [dataclasses.asdict(config), target, num_devices]
    with tempfile.TemporaryDirectory() as dump:
        done = subprocess.run(
            [sys.executable, __file__, "--compile", dump],
            input=json.dumps(request),
            env=os.environ | _variables(target, dump),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise ValueError(f"compiling for {target} failed: {lines[-1]}")
    return CompiledUpdate(**json.loads(done.stdout.splitlines()[-1]))


def _variables(target: Target, dump: str) -> dict[str, str]:
    """Return the variables of the process that compiles."""
    graphs = CUDA_GRAPHS if target == "h100" else ""
    flags = f"{os.environ.get('XLA_FLAGS', '')} {graphs} --xla_dump_to={dump}"
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    ours = {
        "JAX_PLATFORMS": "cpu",  # without a driver the plugin for a GPU would be tried and dropped
        "JAX_ENABLE_COMPILATION_CACHE": "false",  # what is only loaded leaves no dump
        "XLA_FLAGS": flags,
        "PYTHONPATH": os.pathsep.join(paths),
    }
    if target == "v5e":
        import libtpu  # type: ignore[import-not-found]

        ours |= {
            "TPU_LIBRARY_PATH": libtpu.get_library_path(),
            "TPU_SKIP_MDS_QUERY": "1",
            "TPU_ACCELERATOR_TYPE": "v5litepod-4",
            "TPU_WORKER_HOSTNAMES": "localhost",
            # Another process may have it too: there is no TPU that they could both use.
            "ALLOW_MULTIPLE_LIBTPU_LOAD": "true",
        }
    return ours


def _compile(config: Config, target: Target, num_devices: int, dump: Path) -> CompiledUpdate:
    compiled = _lower(config, target, num_devices).compile()
    analysis = compiled.memory_analysis()
    arguments, results = analysis.argument_size_in_bytes, analysis.output_size_in_bytes
    # A TPU's temporaries show in its peak alone.
    temporaries = max(
        analysis.temp_size_in_bytes, analysis.peak_memory_in_bytes - arguments - results
    )
    memory = {"arguments": arguments, "temporaries": temporaries, "results": results}
    program, counts = compiled.as_text(), Launches()
    if target == "h100":

        def dumped(suffix: str) -> str:
            paths = dump.glob(f"*.{suffix}")
            return max(paths, key=lambda path: path.stat().st_size).read_text()

        program = dumped("sm_*gpu_after_optimizations.txt")
        counts = count_launches(
            dumped("thunk_sequence_after_thunk_passes.txt"),
            dumped("thunk_metadata.txt"),
            Program(program),
            lambda functions: _most_rounds(config, num_devices, functions),
        )
    return CompiledUpdate(
        launches=dict(counts.of_phase),
        graphs=counts.graphs,
        waits=counts.waits,
        memory=memory,
        collectives=len(_COLLECTIVE.findall(program)),
    )


def _lower(config: Config, target: Target, num_devices: int) -> Any:
    """Trace and lower an update; its results may be written where its arguments were."""
    import jax
    from jax.experimental import topologies
    from jax.sharding import NamedSharding

    from purejaxrl_reinforce.algorithm.reinforce import state_shapes, step
    from purejaxrl_reinforce.execution.sharding import (
        LANES,
        REPLICATED,
        STATE,
        lane_mesh,
        shard_lanes,
    )

    if target == "h100":
        topology = topologies.get_topology_desc(
            platform="cuda", target_config=_H100, topology=f"1x1x{num_devices}"
        )
    else:
        topology = topologies.get_topology_desc(platform="tpu", topology_name="v5e:2x2")
    mesh = lane_mesh(config.num_envs, list(topology.devices)[:num_devices])
    state: Any = state_shapes(config)

    def there(tree: Any, spec: Any) -> Any:
        sharding = NamedSharding(mesh, spec)
        return jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree
        )

    floats = jax.tree.map(lambda _: jax.ShapeDtypeStruct((), "float32"), config)
    update = shard_lanes(
        lambda c, s: step(c, s, LANES), mesh, (REPLICATED, STATE), (STATE, REPLICATED)
    )
    state = type(state)(*map(there, state, STATE))
    return jax.jit(update, donate_argnums=1).lower(there(floats, REPLICATED), state)


class Program:
    """An optimized program as XLA writes it: what is known of an instruction by its name."""

    def __init__(self, text: str) -> None:
        self._lines = dict(re.findall(r"^\s+(?:ROOT )?%([\w.\-]+) = (.*)$", text, re.MULTILINE))
        self._frames = _frames(text)

    def functions(self, name: str) -> tuple[str, ...]:
        """Return the functions whose tracing made an instruction, innermost first."""
        found = re.search(r"stack_frame_id=(\d+)", self._lines.get(name, ""))
        return self._frames.get(int(found.group(1)), ()) if found else ()

    def trip_count(self, name: str) -> int | None:
        """Return how often a loop runs, None where only its predicate knows."""
        found = re.search(r'known_trip_count":\{"n":"(\d+)"', self._lines[name])
        return int(found.group(1)) if found else None


def _frames(text: str) -> dict[int, tuple[str, ...]]:
    """Return the functions of each stack frame of a program, innermost first."""

    def section(title: str) -> list[str]:
        found = re.search(rf"^{title}\n(.*?)\n\n", text, re.M | re.S)
        return found.group(1).splitlines() if found else []

    def number(name: str, line: str) -> int:
        found = re.search(rf"{name}=(\d+)", line)
        assert found is not None
        return int(found.group(1))

    names = dict(line.split(" ", 1) for line in section("FunctionNames"))
    functions = [
        names[str(number("function_name_id", line))].strip('"') for line in section("FileLocations")
    ]
    frames: dict[int, tuple[str, ...]] = {}
    for i, line in enumerate(section("StackFrames"), start=1):
        # Parents are numbered from 1 as well, so that 1 stands for none.
        outer = frames.get(number("parent_frame_id", line) - 1, ())
        frames[i] = (functions[number("file_location_id", line) - 1], *outer)
    return frames


class Launches:
    """Launches of each phase, graphs and host waits, added up."""

    def __init__(self) -> None:
        self.of_phase: Counter[str] = Counter()
        self.graphs = 0
        self.waits = 0


class _Step(NamedTuple):
    """A step of a plan, with the steps inside it by role: body, condition, or a branch's name."""

    kind: str
    name: str
    parts: dict[str, list["_Step"]]


def _plan(thunks: str, metadata: str) -> list[_Step]:
    """Return the plan for a GPU from XLA's dump: its thunks, indented, and their names."""
    names = {}
    for block in metadata.split("thunk_metadata {")[1:]:
        number = re.search(r"thunk_id: (\d+)", block)
        name = re.search(r'profile_annotation: "([^"]*)"', block)
        if number and name:
            names[int(number.group(1))] = name.group(1)
    root = _Step("Sequential", "", {})
    # Steps that are open, with their indentation and the role of what comes next in them.
    above: list[list[Any]] = [[-1, root, "body"]]
    role = None
    for line in thunks.splitlines():
        found = re.match(r"^(\s*)(\d+): k(\w+)", line)
        if found is None:
            title = re.search(r"(\w+):\s*$", line)
            role = title.group(1) if title else role
            continue
        indent = len(found.group(1))
        while above[-1][0] >= indent:
            above.pop()
        above[-1][2], role = role or above[-1][2], None
        step = _Step(found.group(3), names.get(int(found.group(2)), ""), {})
        above[-1][1].parts.setdefault(above[-1][2], []).append(step)
        above.append([indent, step, "body"])
    return root.parts["body"]


def count_launches(
    thunks: str, metadata: str, program: Program, most_rounds: Callable[[tuple[str, ...]], int]
) -> Launches:
    """Count what a plan launches.

    Args:
        thunks, metadata: XLA's dumps of the plan, and of the names of its steps.
        program: the optimized program that has these names.
        most_rounds: of loops of unknown length.
    """
    counts = Launches()

    def visit(steps: list[_Step], outer: str, times: int, in_graph: bool) -> None:
        for kind, name, parts in steps:
            phases = (_PHASES.get(x) for x in reversed(program.functions(name)))
            phase, body = next(filter(None, phases), outer), parts.get("body", [])
            match kind:
                case "While":
                    known = program.trip_count(name)
                    rounds = most_rounds(program.functions(name)) if known is None else known
                    counts.waits += times * (rounds + 1) * (known is None and not in_graph)
                    # The host knows how often a loop of known length runs.
                    looks = rounds + 1 if known is None or in_graph else 0
                    visit(parts.get("condition", []), phase, times * looks, in_graph)
                    visit(body, phase, times * rounds, in_graph)
                case "Conditional":
                    counts.waits += times * (not in_graph)
                    visit(max(parts.values(), key=len, default=[]), phase, times, in_graph)
                case "CommandBuffer":
                    counts.graphs += times * (not in_graph)
                    visit(body, phase, times, True)
                case "Sequential" | "DynamicSliceFusion":
                    visit(body, phase, times, in_graph)
                case _:
                    counts.of_phase[phase] += times

    visit(_plan(thunks, metadata), "rest", 1, False)
    return counts


def _most_rounds(config: Config, num_devices: int, functions: tuple[str, ...]) -> int:
    """Return how often a loop over blocks runs if every episode lasts as long as it may."""
    from purejaxrl_reinforce.algorithm.blocks import equal_parts, tuning
    from purejaxrl_reinforce.algorithm.rollout import steps_per_update
    from purejaxrl_reinforce.environments import environment

    sizes = tuning(config)
    num_steps = steps_per_update(config, environment.make(config.env, config.env_params))
    length = equal_parts(num_steps, sizes.block_steps)
    num_blocks = -(-num_steps // length)
    if "play_batch" in functions:
        return num_blocks
    once_per_lane = "_values_at_cuts" in functions and config.rollout == "episodes"
    rows = config.num_envs // num_devices * (1 if once_per_lane else num_blocks * length)
    return -(-rows // sizes.block_rows)


def table(result: dict[str, Any]) -> Table:
    """Return counts per update of one device."""

    def cells(row: dict[str, Any]) -> list[str]:
        launches, counts = row["launches"], [""] * 7
        if launches:  # which are not counted on a TPU
            total = sum(launches.values())
            phases = [launches[phase] for phase in ("rollout", "targets", "gradient")]
            rest = [total - sum(phases), row["graphs"], row["waits"]]
            counts = [f"{number:,}" for number in (total, *phases, *rest)]
        megabytes = f"{row['memory']['temporaries'] / 1e6:,.1f}"
        return [row["name"], *counts, str(row["collectives"]), megabytes, row["commit"][:7]]

    columns = ["preset, lanes, device", "launches", "rollout", "targets", "gradient", "rest"]
    columns += ["graphs", "host waits", "collectives", "MB of temporaries", "commit"]
    return Table("an update, compiled and not run", columns, list(map(cells, result["rows"])))


def compiled_row(case: Case) -> dict[str, Any]:
    """Return what the results hold of a case, and at which commit it was compiled."""
    config = replace(preset(case.preset), num_envs=case.num_envs, engine=case.engine)
    update = compile_for(config, case.target, case.num_devices)
    commit = describe_commit() or "of no commit"
    return {"name": case.name, **case._asdict(), **update._asdict(), "commit": commit}


NO_CASE = Case("")


def main(case: tyro.conf.OmitArgPrefixes[Case] = NO_CASE, results: Path = RESULTS) -> None:
    """Compile and count all cases, or with `--preset` one of your own, which is only printed.

    Args:
        case: your own.
        results: directory for the results.
    """
    if case != NO_CASE:
        print_table(*table({"rows": [compiled_row(case)]}))
        return
    rows = []
    for each in CASES:
        rows.append(compiled_row(each))
        # After each of them, for compiling them all takes long.
        result = make_result("compile_for", preset("cartpole"), 0, rows)
        write_result(results / "compile_for.json", result)
    print_table(*table(result))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--compile"]:
        fields, *request = json.load(sys.stdin)
        print(json.dumps(_compile(Config(**fields), *request, Path(sys.argv[2]))._asdict()))
    else:
        run(main)
