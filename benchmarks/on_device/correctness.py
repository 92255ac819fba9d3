"""Correctness on this device: against recorded data, slow references and the CPU."""

from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jax import Array

from on_device.report import Row, Stage
from on_device.sizes import Size
from on_device.speed import require_engine
from purejaxrl_reinforce import Config, init, preset, step, train
from purejaxrl_reinforce.algorithm.losses import gradients, make_targets
from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.algorithm.reinforce import collect
from purejaxrl_reinforce.algorithm.rollout import Trajectory
from tests.support import reference
from tests.support.learning import learn
from tests.support.notebook import DATA, ITERATIONS, recorded_params, recorded_trajectory

# Of parity and gradients: the notebook's float32 numbers are not closer to the truth than this.
TOLERANCE = 1e-4
# Standard errors between two means that are taken for equal.
AGREEMENT = 3.0


def stage(size: Size, seed: int) -> Stage:
    """Return the stage; every row has `passed`."""
    cases = {
        "the notebook's recorded updates": notebook,
        "gradient against float64 on the CPU": lambda: gradient(seed),
        "rollout against the CPU": lambda: rollout(size, seed),
        "kernel against XLA": lambda: kernel(size, seed),
        "learning curves against the CPU": lambda: curves(size, seed),
    }
    return Stage("correctness", "does this device compute what the CPU computes?", cases)


def on_cpu(f: Any, *args: Any) -> Any:
    """Return f(*args), computed on the CPU; a configuration among `args` is for that platform."""
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        args = tuple(
            replace(x, platform="cpu", engine="xla") if isinstance(x, Config) else jax.device_get(x)
            for x in args
        )
        return jax.device_get(f(*args))


def key_on_cpu(seed: int) -> Array:
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        return jax.random.key(seed)


def difference(ours: Any, theirs: Any) -> float:
    """Return the largest difference between two trees."""
    differences = jax.tree.map(lambda x, y: np.max(np.abs(np.asarray(x) - y)), ours, theirs)
    return float(max(jax.tree.leaves(differences)))


def notebook() -> list[Row]:
    """Repeat the recorded updates: returns, values, advantages, losses and parameters."""
    config = preset("classic")
    state = init(config, jax.random.key(0))._replace(params=recorded_params("init/"))
    worst = dict.fromkeys(("returns", "values", "advantages", "losses", "parameters"), 0.0)
    for i in range(ITERATIONS):
        trajectory = recorded_trajectory(i)
        targets = _targets(config, state.params, trajectory)
        state, metrics = learn(config, state, trajectory)
        recorded = {name: DATA[f"iter{i}/{name}"] for name in ("returns", "advantages")}
        recorded["values"] = DATA[f"iter{i}/values_before"]
        found = {x: difference(getattr(targets, x)[:, 0], recorded[x]) for x in recorded}
        losses = ((metrics[x], DATA[f"iter{i}/{x}"]) for x in ("policy_loss", "baseline_loss"))
        found["losses"] = max(abs(x - y) / max(1, 1e2 * abs(y)) for x, y in losses)
        found["parameters"] = difference(state.params, recorded_params(f"iter{i}/"))
        worst = {name: max(worst[name], float(found[name])) for name in worst}
    return [{"name": name, "difference": x, "passed": x <= TOLERANCE} for name, x in worst.items()]


@jax.jit
def _targets(config: Config, params: Params, trajectory: Trajectory) -> Any:
    return make_targets(config, params, trajectory)


def gradient(seed: int) -> list[Row]:
    """Compare the gradients of a small batch with numerical ones in float64."""
    config = Config(
        hidden_sizes=(4,), num_envs=3, num_steps=8, entropy_coef=0.1, gamma=0.9, bootstrap=False,
        advantage_norm="standardize",
    )  # fmt: skip
    state = init(config, jax.random.key(seed))
    trajectory = jax.jit(collect)(config, state)[2]

    @jax.jit
    def ours(config: Config, params: Params) -> tuple[Any, Any]:
        targets = make_targets(config, params, trajectory)
        return targets, gradients(config, params, trajectory, targets)[0]

    targets, grads = jax.device_get(ours(config, state.params))
    played = jax.device_get(trajectory)
    obs, valid = np.float64(played.obs), played.valid
    params = jax.tree.map(np.float64, jax.device_get(state.params))

    def policy_loss(params: Any) -> float:
        return reference.policy_loss(params, obs, played.action, targets.advantages, valid, 0.1)

    def baseline_loss(params: Any) -> float:
        return reference.baseline_loss(params, obs, targets.returns, valid)

    losses = zip(("policy", "baseline"), (policy_loss, baseline_loss), grads, params, strict=True)
    rows = []
    for name, loss, ours_of_network, params_of_network in losses:
        expected = reference.numerical_gradient(loss, params_of_network)
        scale = max(1.0, max(float(np.abs(x).max()) for x in jax.tree.leaves(expected)))
        x = difference(ours_of_network, expected) / scale
        rows.append({"name": f"{name} gradient", "difference": x, "passed": x <= TOLERANCE})
    return rows


def rollout(size: Size, seed: int) -> list[Row]:
    """Play the same lanes here and on the CPU, until rounding tips an action over.

    A device's sine and cosine may differ in the last bit, so that only the start is exactly equal.
    """
    config = Config(num_envs=size.wide if size.wide < 4_096 else 4_096, num_steps=size.num_steps)
    key = key_on_cpu(seed)
    there = on_cpu(jax.jit(lambda c, k: collect(c, init(c, k))[2]), config, key)
    config = replace(config, engine="xla")
    here = jax.device_get(jax.jit(lambda c, k: collect(c, init(c, k))[2])(config, key))
    lengths = [np.asarray(x.valid.sum(axis=0), float) for x in (here, there)]
    return [
        _equal("first observations", here.obs[0], there.obs[0]),
        _equal("first actions", here.action[0], there.action[0]),
        _same_mean("episode lengths", *lengths),
    ]


def kernel(size: Size, seed: int) -> list[Row]:
    """Play the same lanes, and learn from them, with the kernels and with XLA on this device."""
    config = Config(num_envs=size.wide, num_steps=size.num_steps)
    require_engine(replace(config, engine="kernel"))
    key = jax.random.key(seed)
    xla, ours = (
        jax.device_get(_play(replace(config, engine=engine), key)) for engine in ("xla", "kernel")
    )
    steps = len(ours.valid)
    rows = [_equal("valid", ours.valid, xla.valid[:steps])]
    for name in ("obs", "action", "reward", "terminated", "truncated"):
        x, y = getattr(ours, name), getattr(xla, name)[:steps]
        rows.append(_equal(name, x[ours.valid], y[ours.valid]) if rows[0]["passed"] else rows[0])
    return [*rows, *_learned(config, key)]


def _learned(config: Config, key: Array) -> list[Row]:
    """Compare what an update leaves: Adam's first step is of the gradients' signs, so not that."""
    state = init(replace(config, engine="xla"), key)
    results = [step(replace(config, engine=engine), state) for engine in ("kernel", "xla")]
    rows = []
    for name, trees in (
        ("moments of the gradients", [new.opt_state for new, _ in results]),
        ("metrics of an update", [tuple(metrics)[:13] for _, metrics in results]),
    ):
        ours, theirs = map(jax.device_get, trees)
        scales = jax.tree.map(lambda x: np.maximum(1.0, np.abs(x)), theirs)
        x = difference(*(jax.tree.map(np.divide, tree, scales) for tree in (ours, theirs)))
        rows.append({"name": name, "difference": x, "passed": x <= TOLERANCE})
    return rows


@jax.jit
def _play(config: Config, key: Array) -> Trajectory:
    return collect(config, init(config, key))[2]


def curves(size: Size, seed: int) -> list[Row]:
    """Train the same seeds here and on the CPU; both solve the task, or their means agree."""
    config = replace(preset("cartpole"), num_updates=size.curve, num_steps=size.num_steps)
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        keys = jax.random.split(jax.random.key(seed), size.seeds)
    trained = jax.jit(jax.vmap(lambda c, k: train(c, k)[1].mean_return, in_axes=(None, 0)))
    here, there = np.asarray(trained(config, keys)), on_cpu(trained, config, keys)
    row = _same_mean("best mean return", np.nanmax(here, axis=1), np.nanmax(there, axis=1))
    solved = bool(
        (np.nanmax(here, axis=1) >= 475).all() and (np.nanmax(there, axis=1) >= 475).all()
    )
    return [{**row, "both_solved": solved, "passed": row["passed"] or solved}]


def _equal(name: str, ours: Any, theirs: Any) -> Row:
    """Return a row that says whether all bits are equal, and what share of the numbers is."""
    same = np.asarray(ours) == np.asarray(theirs)
    return {"name": name, "share_equal": float(same.mean()), "passed": bool(same.all())}


def _same_mean(name: str, ours: Any, theirs: Any) -> Row:
    error = np.sqrt((np.var(ours) + np.var(theirs)) / len(ours))
    x, y = float(np.mean(ours)), float(np.mean(theirs))
    return {
        "name": name,
        "here": x,
        "on_the_cpu": y,
        "standard_error": float(error),
        "passed": bool(abs(x - y) <= AGREEMENT * error or x == y),
    }
