"""Devices that a program can be compiled for where there is none of them."""

from typing import Literal, NamedTuple

from purejaxrl_reinforce.output.extras import require_extra

# XLA makes its choices by these; a driver and toolkit of 12.9 allow all kinds of CUDA graphs.
_GPU = """
gpu_device_info {{
  threads_per_block_limit: 1024  threads_per_warp: 32
  shared_memory_per_block: 49152  shared_memory_per_core: {shared_per_core}
  shared_memory_per_block_optin: {shared_per_block}
  threads_per_core_limit: 2048  core_count: {cores}  fpus_per_core: {fpus}
  block_dim_limit_x: 2147483647  block_dim_limit_y: 65535  block_dim_limit_z: 65535
  memory_bandwidth: {bandwidth}  l2_cache_size: {l2}  clock_rate_ghz: {clock}
  device_memory_size: {memory}
  cuda_compute_capability {{ {capability} }}
  registers_per_core_limit: 65536  registers_per_block_limit: 65536
  driver_version: "12.9.0"  runtime_version: "12.9.0"  compile_time_toolkit_version: "12.9.0"
}}
platform_name: "CUDA"
dnn_version_info {{ major: 9 minor: 10 }}
runtime_version {{ major: 12 minor: 9 }}
device_description_str: "{name}"
"""


class Target(NamedTuple):
    """A device to compile for.

    Attributes:
        label: what people call it.
        platform: cpu, gpu or tpu.
        memory_bytes: of one device; None: not known.
        architecture: of an NVIDIA GPU, as ptxas names it.
        description: of a GPU, as XLA reads it.
        topology: of a TPU slice.
    """

    label: str
    platform: Literal["cpu", "gpu", "tpu"]
    memory_bytes: int | None = None
    architecture: str = ""
    description: str = ""
    topology: str = ""

    def require(self) -> None:
        """Raise ValueError, with the line that installs it, if the compiler is missing."""
        if self.platform == "gpu":
            require_extra("compile", "jax_cuda12_plugin", "nvidia")
        if self.platform == "tpu":
            require_extra("compile", "libtpu")


TARGETS = {
    "h100": Target(
        "NVIDIA H100 80GB",
        "gpu",
        84_942_979_072,
        "sm_90a",
        _GPU.format(
            shared_per_core=233472,
            shared_per_block=232448,
            cores=132,
            fpus=128,
            bandwidth=3352320000000,
            l2=52428800,
            clock=1.98,
            memory=84942979072,
            capability="major: 9 feature_extension: ACCELERATED_FEATURES",
            name="NVIDIA H100 80GB HBM3",
        ),
    ),
    "a100": Target(
        "NVIDIA A100 80GB",
        "gpu",
        84_974_239_744,
        "sm_80",
        _GPU.format(
            shared_per_core=167936,
            shared_per_block=166912,
            cores=108,
            fpus=64,
            bandwidth=2039000000000,
            l2=41943040,
            clock=1.41,
            memory=84974239744,
            capability="major: 8",
            name="NVIDIA A100-SXM4-80GB",
        ),
    ),
    "v5e": Target("TPU v5e", "tpu", 16 * 2**30, topology="v5e:2x2"),
    "cpu": Target("CPU", "cpu"),
}
