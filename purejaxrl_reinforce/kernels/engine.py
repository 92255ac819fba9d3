"""Which of an update's functions the kernels take over from XLA, and why not, if not."""

import dataclasses
import functools
import math
import warnings
from typing import Any

import jax
from jax.sharding import AbstractDevice

from purejaxrl_reinforce.algorithm.lanes import key_shape
from purejaxrl_reinforce.algorithm.networks.mlp import MLP, takes_one_product
from purejaxrl_reinforce.algorithm.reinforce import XLA, Engine, init
from purejaxrl_reinforce.algorithm.setup import Setup, make_setup
from purejaxrl_reinforce.algorithm.state import TrainState
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.kernels.gradients import gradients
from purejaxrl_reinforce.kernels.lane_vectors import UnsupportedError
from purejaxrl_reinforce.kernels.rollout import play_batch
from purejaxrl_reinforce.kernels.targets import make_targets

# XLA compiles Triton kernels for GPUs of this compute capability (Ampere) or later.
OLDEST_GPU = 8.0


def make_engine(setup: Setup) -> Engine:
    """Return the kernels, or XLA's functions, with a warning that says why, where there are none.

    Raises:
        ValueError: `engine="kernel"`, and there is no NVIDIA GPU.
    """
    config, device = setup.config, jax.devices()[0]
    if config.engine == "interpret":
        return _kernels(setup)
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
    return XLA if refusal(config, capability) else _kernels(setup)


def _kernels(setup: Setup) -> Engine:
    """Return the kernels; the learning kernels only if sums of gradients fit into registers."""
    config, env = setup.config, setup.env
    num_inputs = env.num_obs or math.prod(env.obs_shape)
    num_outputs = env.num_actions - 1 if env.num_actions else math.prod(env.action_shape)
    sizes = (num_inputs, *config.hidden_sizes, num_outputs)
    if not takes_one_product(sizes, config.activation):
        return XLA._replace(play_batch=play_batch)
    return Engine(play_batch, make_targets, gradients)


# Since jax 0.11, Pallas asks for the kind of GPU when it lowers where there is none.
A_GPU = jax.sharding.AbstractMesh(
    (), (), abstract_device=AbstractDevice("NVIDIA H100 80GB HBM3", None, "cuda")
)


@functools.cache
def refusal(config: Config, compute_capability: float) -> str | None:
    """Return, and warn of, the reason why no kernel can play `config`; None if one can."""
    reason = why_not_lowered(config)
    if compute_capability < OLDEST_GPU:
        reason = f"it needs compute capability {OLDEST_GPU}, and this GPU has {compute_capability}"
    if reason is not None:
        warnings.warn(f"engine='kernel' is not available, so XLA is used: {reason}", stacklevel=3)
    return reason


def why_not_lowered(config: Config) -> str | None:
    """Return why there is no kernel for `config`, found out by lowering it; None if there is one.

    That works on a machine without a GPU.
    """
    setup = make_setup(config)
    engine = _kernels(setup)
    policy, baseline, _ = setup.networks
    are_plain = type(policy.network) is MLP and baseline and type(baseline.network) is MLP
    is_plain = are_plain and not config.layer_norm and not config.normalize_obs
    if not is_plain or len(config.hidden_sizes) != 1 or config.activation != "relu":
        return "its networks have not one hidden layer of ReLUs"
    if config.action == "squash" or config.log_std == "state":
        return "it takes neither squashed actions nor a log_std that depends on the state"

    def update(state: TrainState) -> Any:
        *_, trajectory = engine.play_batch(setup, state.params, state.lanes, state.key)
        targets, statistics = engine.make_targets(setup, state.params, trajectory)
        return engine.gradients(setup, state.params, trajectory, targets, statistics.num_steps)

    try:
        state = jax.eval_shape(init, dataclasses.replace(config, engine="xla"), key_shape())
        with jax.sharding.use_abstract_mesh(A_GPU):
            jax.jit(update).trace(state).lower(lowering_platforms=("cuda",))
    except UnsupportedError as error:
        return f"{config.env} needs {error}"
    except Exception as error:  # any error of Pallas about an untried step
        return f"{config.env} does not lower: {' '.join(str(error).split())[:200]}"
    return None
