"""Export: a policy as plain arrays and a small JSON, for use without this package."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict

from purejaxrl_reinforce.algorithm import normalization
from purejaxrl_reinforce.algorithm.networks import build, mlp
from purejaxrl_reinforce.config import NETWORKS, Config
from purejaxrl_reinforce.environments import environment
from purejaxrl_reinforce.environments.environment import Environment
from purejaxrl_reinforce.execution.machine import require_extra
from purejaxrl_reinforce.output import files, json_text
from purejaxrl_reinforce.runs.run_dir import PARAMS_FILE
from purejaxrl_reinforce.runs.saved_run import load_run

FORMAT = 2

_SUFFIXES = (".npz", ".safetensors")


def export(run_dir: files.StrPath, out: files.StrPath | None = None, force: bool = False) -> Path:
    """Write the policy of a run as plain arrays, with a JSON beside them that names its layers.

    Args:
        run_dir: of the run.
        out: new file that ends in .npz or .safetensors. None: policy.npz in the run's directory.
        force: whether to replace the files of an earlier export.

    Returns:
        The path of the arrays. `numpy.load(path)["out/kernel"]` is one of them.

    Raises:
        ValueError: the run has no parameters or a network of its own, or the files cannot be
            written.

    Example:
        >>> from purejaxrl_reinforce import export
        >>> export("runs/tiny", "policy.npz").name
        'policy.npz'
    """
    run_dir = Path(run_dir)
    path = files.new_file(out, run_dir / "policy.npz", _SUFFIXES, force)
    if path.suffix.lower() == ".safetensors":
        require_extra("safetensors", "safetensors")
    description_path = path.with_suffix(".json")
    files.require_free(description_path, force)
    run = load_run(run_dir)
    config, params = run.config, run.params
    if config.network not in NETWORKS:
        raise ValueError(
            f"export takes built-in networks only, not network={config.network!r}; its parameters"
            f" are in {run_dir / PARAMS_FILE}"
        )
    arrays = policy_arrays(params)
    with files.write_output(description_path) as unfinished:
        unfinished.write_text(json_text.dump_json(describe_policy(config, arrays)))
    with files.write_output(path) as unfinished:
        if path.suffix.lower() == ".npz":
            np.savez(unfinished, **arrays)  # type: ignore[arg-type]
            with zipfile.ZipFile(unfinished, "a") as archive:
                archive.comment = files.MARK.encode()
        else:
            from safetensors.numpy import save_file

            save_file(arrays, unfinished, {"generator": files.MARK})
    return path


def policy_arrays(params: build.Params) -> dict[str, np.ndarray]:
    """Return the arrays of a policy by names such as `hidden_0/kernel`."""
    flat = flatten_dict(params.policy["params"])
    arrays = {"/".join(path[-2:]): np.asarray(value) for path, value in flat.items()}
    if moments := params.obs_moments:
        deviation = np.sqrt(np.asarray(moments.var) + normalization.VARIANCE_EPSILON)
        arrays |= {"obs/mean": np.asarray(moments.mean), "obs/std": deviation}
    return arrays


def describe_policy(config: Config, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the JSON that describes how to act with the arrays of a policy.

    An observation is normalized if `normalization` is not null: (obs - mean) / std, clipped to
    `clip` and -`clip`. It is flattened, or made a one-hot vector of `num_values` if that is not
    null. Instead, a first layer with `patches` of n gets the n x n patch around each inner point of
    [height, width, channels], flattened in this order, and its result is flattened. Then each layer
    in turn is x @ kernel + bias [inputs, outputs]; if `norm` is not null, (x - mean) /
    sqrt(variance + epsilon) * scale + bias over its units; and its activation.

    The result is `logits` of the discrete actions, or the `mean` of a normal distribution. Its
    standard deviation is exp of the array `log_std`; with a `log_std` of "state" there are twice
    as many outputs, and of the second half x, 5 tanh(x / 5) is added to `log_std`. Samples are
    clipped to `low` and `high`, or with a `bounding` of "squash" they are
    low + (high - low) (1 + tanh(sample)) / 2.
    """
    env = environment.make(config.env, config.env_params)
    layers = [name for name in ("conv",) if f"{name}/kernel" in arrays]
    layers += [*(f"hidden_{i}" for i in range(len(config.hidden_sizes))), "out"]
    return {
        "format": FORMAT,
        "generator": files.MARK,
        "env": env.name,
        "env_params": dict(config.env_params),
        "observation": {
            "shape": list(env.obs_shape),
            "num_values": env.num_obs,
            "normalization": {"mean": "obs/mean", "std": "obs/std", "clip": config.obs_clip}
            if config.normalize_obs
            else None,
        },
        "layers": [_layer(config, arrays, name) for name in layers],
        "output": "logits" if env.num_actions is not None else "mean",
        "action": _action_space(config, env),
    }


def _layer(config: Config, arrays: dict[str, np.ndarray], name: str) -> dict[str, Any]:
    norm = name.replace("hidden", "norm")
    return {
        "kernel": f"{name}/kernel",
        "bias": f"{name}/bias",
        "shape": list(arrays[f"{name}/kernel"].shape),
        "patches": mlp.FILTER_SIZE if name == "conv" else None,
        "norm": {"scale": f"{norm}/scale", "bias": f"{norm}/bias", "epsilon": mlp.NORM_EPSILON}
        if f"{norm}/scale" in arrays
        else None,
        "activation": config.activation if name != "out" else None,
    }


def _action_space(config: Config, env: Environment) -> dict[str, Any]:
    if env.num_actions is not None:
        return {"type": "discrete", "n": env.num_actions}
    low, high = env.action_bounds()
    return {
        "type": "box",
        "shape": list(env.action_shape),
        "low": low.tolist(),
        "high": high.tolist(),
        "bounding": config.action,
        "log_std": config.log_std,
    }
