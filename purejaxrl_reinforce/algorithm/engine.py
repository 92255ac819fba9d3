"""The choice of what plays and learns: XLA's program, or kernels of one launch each."""

import functools
import math
import warnings

import jax

from purejaxrl_reinforce.algorithm.environments import environment
from purejaxrl_reinforce.algorithm.kernels.lane_vectors import UnsupportedError
from purejaxrl_reinforce.algorithm.kernels.learning import (
    KernelRows,
    gradients_by_kernel,
    targets_by_kernel,
)
from purejaxrl_reinforce.algorithm.kernels.one_program import KernelEngine
from purejaxrl_reinforce.algorithm.kernels.rollout import record_in_one_launch
from purejaxrl_reinforce.algorithm.networks.build import Params, make_networks
from purejaxrl_reinforce.algorithm.networks.policies import has_parts
from purejaxrl_reinforce.algorithm.networks.relu_mlp import takes_one_product
from purejaxrl_reinforce.algorithm.rollout import Trajectory, make_rollout
from purejaxrl_reinforce.config import Config

# Devices (`jax.Device.device_kind`) on which the kernel has been measured faster than XLA's
# program: none yet, so `engine="auto"` means "xla" everywhere.
MEASURED_FASTER: frozenset[str] = frozenset()

# XLA compiles Triton kernels for GPUs of this compute capability (Ampere) or later.
OLDEST_GPU = 8.0


def chosen_engine(config: Config) -> KernelEngine:
    """Return what plays the rollouts of `config` on this machine.

    Where the kernel was asked for and cannot be had, a warning says why, and XLA plays.

    Raises:
        ValueError: `engine="kernel"`, and there is no NVIDIA GPU.
    """
    device = jax.devices()[0]
    if config.engine in ("xla", "interpret"):
        return config.engine
    if config.engine == "auto" and device.device_kind not in MEASURED_FASTER:
        return "xla"
    is_nvidia = device.platform == "gpu" and "cuda" in device.client.platform_version.lower()
    # With `platform`, the program is compiled here for a device that is elsewhere.
    if not is_nvidia and config.platform != "gpu":
        raise ValueError(
            f"engine='kernel' needs an NVIDIA GPU, and this is a {device.platform.upper()}; "
            "use engine='xla' or 'auto'"
        )
    # The floats may be traced, and nothing here depends on them.
    config = jax.tree.map(lambda _: 1.0, config)
    capability = float(device.compute_capability) if is_nvidia else OLDEST_GPU
    return "xla" if refusal(config, capability) else "kernel"


def learning_engine(config: Config) -> KernelEngine:
    """Return what learns from the rollouts of `config` on this machine."""
    engine = chosen_engine(config)
    return engine if engine != "xla" and _is_small(config) else "xla"


def _is_small(config: Config) -> bool:
    """Return whether the sums of the networks' gradients fit into registers."""
    env = environment.make(config.env, config.env_params)
    num_inputs = env.num_obs or math.prod(env.obs_shape)
    num_outputs = env.num_actions - 1 if env.num_actions else math.prod(env.action_shape)
    return takes_one_product((num_inputs, *config.hidden_sizes, num_outputs), config.activation)


@functools.cache
def refusal(config: Config, compute_capability: float) -> str | None:
    """Return, and warn of, the reason why the kernel cannot play `config`; None if it can."""
    reason = why_not_lowered(config)
    if compute_capability < OLDEST_GPU:
        reason = f"it needs compute capability {OLDEST_GPU}, and this GPU has {compute_capability}"
    if reason is not None:
        warnings.warn(f"engine='kernel' is not available, so XLA plays: {reason}", stacklevel=3)
    return reason


def why_not_lowered(config: Config) -> str | None:
    """Return why there is no kernel for `config`, found out by lowering it; None if there is one.

    That works on a machine without a GPU.
    """
    env, networks = environment.make(config.env, config.env_params), make_networks(config)
    if not has_parts(networks.policy):
        return "its policy has not one hidden layer of ReLUs"
    if config.action == "squash" or config.log_std == "state":
        return "it takes neither squashed actions nor a log_std that depends on the state"

    def play(key: jax.Array) -> None:
        obs, _ = env.reset(key[None])
        params = networks.policy.init(key, obs)
        rollout = make_rollout(config, params)
        parts = networks.policy_parts(params)
        *_, trajectory = record_in_one_launch(rollout, None, key, config.num_envs, parts)
        if _is_small(config):
            _learn(config, Params(params, networks.baseline.init(key, obs)), trajectory)

    try:
        key = jax.eval_shape(lambda: jax.random.key(0))
        jax.jit(play).trace(key).lower(lowering_platforms=("cuda",))
    except UnsupportedError as error:
        return f"{config.env} needs {error}"
    except Exception as error:  # whatever Pallas makes of a step that nobody has tried
        return f"{config.env} does not lower: {' '.join(str(error).split())[:200]}"
    return None


def _learn(config: Config, params: Params, trajectory: Trajectory) -> None:
    """Trace what learning takes from the kernels."""
    targets_by_kernel(config, params, trajectory, "kernel")
    rows = KernelRows(trajectory.action, trajectory.reward, trajectory.reward)
    gradients_by_kernel(config, params, trajectory, rows, "kernel")
