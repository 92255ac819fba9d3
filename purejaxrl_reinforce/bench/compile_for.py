"""Compiling an update for a device that is not there, and what the compiled program says.

Launches, bytes, memory and registers are then facts; times are not known. The compiler has no
device to try variants of a kernel on, so a device's own program may tile its products differently.
"""

import dataclasses
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from purejaxrl_reinforce.bench.targets import TARGETS, Target
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.execution.jax_settings import CUDA_GRAPHS

# An instruction belongs to the phase whose function was being traced when it was made.
_PHASES = {
    "collect": "rollout",
    "make_targets": "targets",
    "gradients": "gradient",
    "apply_gradients": "optimizer",
}

# Operations that several devices do together.
_COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")

# Memory that a program can have: XLA keeps some of a device's for itself.
_USABLE = 0.9


class CompiledUpdate(NamedTuple):
    """An update compiled for a device.

    Attributes:
        target: name of the device.
        num_devices: how many share the lanes.
        num_agents: trained side by side.
        flags: of XLA, beside those of the environment.
        phases: of each phase, launches, copies, graphs, synchronizations and bytes on one device,
            if every episode lasts as long as it may.
        memory: arguments, temporaries and results on one device, in bytes.
        largest_num_envs: lanes of all devices for which the program takes 90% of their memory, by
            proportion; None where the memory is not known.
        products: how many matrix products of the program there are of each precision.
        collectives: how many per update.
        kernels: registers per thread and bytes spilled of each kernel of this package.
        seconds: that compiling took on this machine.
    """

    target: str
    num_devices: int
    num_agents: int
    flags: str
    phases: dict[str, dict[str, int]]
    memory: dict[str, int]
    largest_num_envs: int | None
    products: dict[str, int]
    collectives: int
    kernels: dict[str, dict[str, int]]
    seconds: float

    def total(self, what: str) -> int:
        """Return launches, copies, graphs, synchronizations or bytes of a whole update."""
        return sum(counts[what] for counts in self.phases.values())


def compile_for(
    config: Config,
    target: str,
    num_devices: int = 1,
    num_agents: int = 1,
    graphs: bool = True,
) -> CompiledUpdate:
    """Compile an update of `config` for a device, in a process of its own.

    Args:
        config: what is trained; its platform is the target's.
        target: one of TARGETS.
        num_devices: that share the lanes of one agent.
        num_agents: trained side by side on one device, with the same settings.
        graphs: whether a GPU's loops become CUDA graphs, as the command line has them.

    Raises:
        ValueError: the compiler for that device is not installed, or refuses.
    """
    device = TARGETS[target]
    device.require()
    config = dataclasses.replace(config, platform=device.platform)
    request = {
        "config": dataclasses.asdict(config),
        "target": target,
        "num_devices": num_devices,
        "num_agents": num_agents,
        "flags": CUDA_GRAPHS if device.platform == "gpu" and graphs else "",
    }
    return CompiledUpdate(**_in_own_process(device, request))


def _in_own_process(device: Target, request: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as dump:
        done = subprocess.run(
            [sys.executable, "-m", __name__, dump],
            input=json.dumps(request),
            env=_environment(
                device, f"{request['flags']} --xla_dump_to={dump}", request["num_devices"]
            ),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise ValueError(f"compiling for {device.label} failed: {lines[-1]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _environment(device: Target, xla_flags: str, num_devices: int) -> dict[str, str]:
    """Return the variables of the process that compiles."""
    package = Path(__file__).parents[2]
    ours = {
        # Without a driver the plugin for a GPU would be tried and dropped.
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": str(num_devices),
        "JAX_ENABLE_COMPILATION_CACHE": "false",  # what is only loaded leaves no dump
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {xla_flags}",
        "PYTHONPATH": os.pathsep.join([str(package), os.environ.get("PYTHONPATH", "")]),
    }
    if device.platform == "tpu":
        import libtpu  # type: ignore[import-not-found]

        ours |= {
            "TPU_LIBRARY_PATH": libtpu.get_library_path(),
            "TPU_SKIP_MDS_QUERY": "1",
            "TPU_ACCELERATOR_TYPE": "v5litepod-4",
            "TPU_WORKER_HOSTNAMES": "localhost",
            # Another process may have it too: there is no TPU that they could both use.
            "ALLOW_MULTIPLE_LIBTPU_LOAD": "true",
        }
    return os.environ | ours


def _compile(request: dict[str, Any], dump: Path) -> CompiledUpdate:
    config, device = Config(**request["config"]), TARGETS[request["target"]]
    num_devices, num_agents = request["num_devices"], request["num_agents"]
    started = time.perf_counter()
    compiled = _lower(config, device, num_devices, num_agents).compile()
    seconds = time.perf_counter() - started
    phases, instructions = _counts(config, device, num_devices, compiled, dump)
    analysis = compiled.memory_analysis()
    arguments, results = analysis.argument_size_in_bytes, analysis.output_size_in_bytes
    # A TPU's temporaries show in its peak alone.
    temporaries = max(
        analysis.temp_size_in_bytes, analysis.peak_memory_in_bytes - arguments - results
    )
    memory = {"arguments": arguments, "temporaries": temporaries, "results": results}
    largest = None
    if device.memory_bytes is not None:
        largest = int(config.num_envs * _USABLE * device.memory_bytes / sum(memory.values()))
    return CompiledUpdate(
        target=request["target"],
        num_devices=num_devices,
        num_agents=num_agents,
        flags=request["flags"],
        phases=phases,
        memory=memory,
        largest_num_envs=largest,
        products=_products(instructions, device),
        collectives=sum(x.operation.removesuffix("-start") in _COLLECTIVES for x in instructions),
        kernels=_kernels(instructions, device, dump),
        seconds=seconds,
    )


def _lower(config: Config, device: Target, num_devices: int, num_agents: int) -> Any:
    """Trace and lower an update; its results may be written where its arguments were."""
    import jax
    from jax.sharding import NamedSharding

    from purejaxrl_reinforce.algorithm.reinforce import state_shapes, step
    from purejaxrl_reinforce.execution.sharding import (
        LANES,
        REPLICATED,
        STATE,
        lane_mesh,
        shard_lanes,
    )

    mesh = lane_mesh(config.num_envs, _devices(device, num_devices))
    state: Any = state_shapes(config)

    def there(tree: Any, spec: Any, *leading: int) -> Any:
        sharding = NamedSharding(mesh, spec)
        return jax.tree.map(
            lambda x: jax.ShapeDtypeStruct((*leading, *x.shape), x.dtype, sharding=sharding), tree
        )

    floats = jax.tree.map(lambda _: jax.ShapeDtypeStruct((), "float32"), config)
    if num_agents > 1:
        update = jax.vmap(step, in_axes=(None, 0))
        state = there(state, REPLICATED, num_agents)
    else:
        update = shard_lanes(
            lambda c, s: step(c, s, LANES), mesh, (REPLICATED, STATE), (STATE, REPLICATED)
        )
        state = type(state)(*map(there, state, STATE))
    return jax.jit(update, donate_argnums=1).lower(there(floats, REPLICATED), state)


def _devices(device: Target, number: int) -> list[Any]:
    import jax
    from jax.experimental import topologies

    if device.platform == "cpu":
        return jax.devices()[:number]
    if device.platform == "tpu":
        slice_ = topologies.get_topology_desc(platform="tpu", topology_name=device.topology)
    else:
        slice_ = topologies.get_topology_desc(
            platform="cuda", target_config=device.description, topology=f"1x1x{number}"
        )
    return list(slice_.devices)[:number]


def _counts(
    config: Config, device: Target, num_devices: int, compiled: Any, dump: Path
) -> tuple[dict[str, dict[str, int]], list[Any]]:
    """Return the counts of each phase, and all instructions of the optimized program."""
    from purejaxrl_reinforce.bench.hlo import Instruction, read_program
    from purejaxrl_reinforce.bench.launches import count, gpu_plan, plan_of

    def dumped(suffix: str) -> str:
        return max(dump.glob(f"*.{suffix}"), key=lambda path: path.stat().st_size).read_text()

    if device.platform == "gpu":
        program = read_program(dumped("sm_*gpu_after_optimizations.txt"))
        thunks = dumped("thunk_sequence_after_thunk_passes.txt")
        plan = gpu_plan(thunks, dumped("thunk_metadata.txt"))
    else:
        program = read_program(compiled.as_text())
        plan = plan_of(program, program.entry)

    def phase_of(instruction: Instruction) -> str | None:
        functions = reversed(program.functions(instruction))
        return next((_PHASES[name] for name in functions if name in _PHASES), None)

    def trips(loop: Instruction) -> int:
        return _most_rounds(config, num_devices, program.functions(loop))

    phases = count(plan, program, phase_of, trips, on_device=device.platform != "gpu")
    order = [*_PHASES.values(), "rest"]
    counts = {name: phases[name]._asdict() for name in order if name in phases}
    return counts, list(program.instructions.values())


def _most_rounds(config: Config, num_devices: int, functions: tuple[str, ...]) -> int:
    """Return how often a loop over blocks runs if every episode lasts as long as it may."""
    from purejaxrl_reinforce.algorithm.batching import equal_parts, tuning
    from purejaxrl_reinforce.algorithm.environments import environment
    from purejaxrl_reinforce.algorithm.rollout import steps_per_update

    sizes = tuning(config)
    num_steps = steps_per_update(config, environment.make(config.env, config.env_params))
    length = equal_parts(num_steps, sizes.block_steps)
    num_blocks = -(-num_steps // length)
    if "collect" in functions:
        return num_blocks
    once_per_lane = "_values_at_cuts" in functions and config.rollout == "episodes"
    rows = config.num_envs // num_devices * (1 if once_per_lane else num_blocks * length)
    return -(-rows // sizes.block_rows)


def _products(instructions: list[Any], device: Target) -> dict[str, int]:
    """Return how many matrix products there are of each precision."""
    fastest = {"gpu": "tensorfloat32", "tpu": "bfloat16", "cpu": "float32"}[device.platform]
    names = {"highest": "float32", "high": "bfloat16_3x" if device.platform == "tpu" else fastest}
    found: Counter[str] = Counter()
    for x in instructions:
        if x.operation in ("dot", "convolution") or "__cublas" in x.rest:
            given = re.search(r"operand_precision\W+\{?\[?\"?(\w+)", x.rest)
            found[names.get(given.group(1).lower() if given else "default", fastest)] += 1
    return dict(found)


def _kernels(instructions: list[Any], device: Target, dump: Path) -> dict[str, dict[str, int]]:
    """Return registers and spills of the kernels that this package wrote, by ptxas."""
    names = set()
    for x in instructions:
        if x.operation == "custom-call" and "xla.gpu.triton" in x.rest:
            names |= set(re.findall(r'name = \\?"([\w.]+)', x.rest))
    return {name: _registers(name, device, dump) for name in sorted(names)}


def _registers(name: str, device: Target, dump: Path) -> dict[str, int]:
    import nvidia.cuda_nvcc  # type: ignore[import-not-found]

    ptxas = Path(nvidia.cuda_nvcc.__path__[0]) / "bin" / "ptxas"
    ptx = next(p for p in dump.glob("*.ptx") if f".entry {name}(" in p.read_text())
    command = [str(ptxas), "-v", f"-arch={device.architecture}", "-o", os.devnull, str(ptx)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    registers = re.findall(r"Used (\d+) registers", said)
    spills = re.findall(r"(\d+) bytes spill stores", said)
    return {"registers": max(map(int, registers)), "spilled_bytes": max(map(int, spills))}


if __name__ == "__main__":
    print(json.dumps(_compile(json.load(sys.stdin), Path(sys.argv[1]))._asdict()))
