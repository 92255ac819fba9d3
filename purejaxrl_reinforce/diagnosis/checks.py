"""Comparisons of one device's results with NumPy's: random numbers, sums, whole updates."""

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import Any, NamedTuple

import jax
import jax.extend.random  # Threefry's counters; if it goes, only the published vectors go with it
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict
from jax import Array

from purejaxrl_reinforce.algorithm import optimizer, reinforce
from purejaxrl_reinforce.algorithm.blocks import TUNINGS
from purejaxrl_reinforce.algorithm.lanes import ONE_DEVICE
from purejaxrl_reinforce.algorithm.losses import learning_metrics
from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.algorithm.networks.distributions import Categorical, uniform_of
from purejaxrl_reinforce.algorithm.rollout import Trajectory
from purejaxrl_reinforce.algorithm.setup import make_setup
from purejaxrl_reinforce.algorithm.state import TrainState
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.diagnosis import reference
from purejaxrl_reinforce.presets import preset

# Time steps and lanes, of 31 to 4 million rows.
SIZES = ((31, 1), (32, 32), (3, 10_923), (27, 37_037), (100, 10_000), (100, 40_000), (3, 1_333_333))
# Of float32 against float64, as a part of the largest number; TensorFloat-32 is 50 times as far.
TOLERANCE = 2e-5
# Others repeat these, so that NumPy has little to do.
_DIFFERENT_LANES = 331
CONFIG = Config(
    bootstrap=False,
    hidden_sizes=(64,),
    advantage_norm="standardize",
    entropy_coef=0.01,
    anneal=False,
    max_grad_norm=0.5,
    adam_epsilon=1e-2,  # with a small one, the first step is nearly the sign of the gradient
)
# Key, counter and result, as published with Random123 (kat_vectors).
THREEFRY = np.array(
    [
        [0, 0, 0, 0, 0x6B200159, 0x99BA4EFE],
        [2**32 - 1, 2**32 - 1, 2**32 - 1, 2**32 - 1, 0x1CB996FC, 0xBB002BE7],
        [0x13198A2E, 0x03707344, 0x243F6A88, 0x85A308D3, 0xC4923A9C, 0x483DF7A0],
    ],
    np.uint32,
)


def _fused_sums(xp: Any, x: Any) -> Any:
    """Return the squared lengths of rows, as issue 39103 of jax has it: x @ eye(3) goes right."""
    if xp is np:
        return (x**2).sum(axis=1)
    return jax.vmap(lambda row: jnp.sum((jnp.eye(3) @ row) ** 2))(x)


# Reductions of whole numbers [rows, 3] by jax.numpy or NumPy, exact in float32 in any order; no
# term is 0, so that none can be left out unseen.
_REDUCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "sums of rows": lambda xp, x: xp.sum(x, axis=1),
    "fused sums of rows": _fused_sums,
    "sums of columns": lambda xp, x: xp.sum(x % 3 + 1, axis=0),
    "sum of all": lambda xp, x: xp.sum(x[:, 0] % 3 + 1),
    "maximum": lambda xp, x: xp.max(x),
    "cumulative sums": lambda xp, x: xp.cumsum(x % 3 + 1, axis=0),
}


class Finding(NamedTuple):
    """Something that was compared on one device.

    Attributes:
        subject: name of the numbers.
        rows: how many numbers or steps went into them.
        error: the largest difference, as a part of the largest number; 0 where both are equal.
        allowed: the most that `error` may be.
        ours: whether the package's programs compute it, or plain jax does.
    """

    subject: str
    rows: int
    error: float
    allowed: float = TOLERANCE
    ours: bool = True

    @property
    def is_right(self) -> bool:
        """Whether the difference is no larger than allowed; a NaN is not."""
        return self.error <= self.allowed


def compare(
    subject: str, rows: int, got: Any, expected: Any, allowed: float = TOLERANCE, ours: bool = True
) -> Finding:
    """Compare all numbers of two trees with the same leaves."""
    got, expected = (
        np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)]) for tree in (got, expected)
    )
    error = 0.0
    if len(got) != len(expected):
        error = math.inf
    elif not np.array_equal(got, expected):
        largest = np.max(np.abs(np.float64(expected)))
        error = float(np.max(np.abs(np.float64(got) - expected)) / max(largest, 1e-30))
    return Finding(subject, rows, error, allowed, ours)


def findings(device: jax.Device) -> list[Finding]:
    """Compare the results of a device with NumPy's in float64."""
    platform = device.platform if device.platform in TUNINGS else "auto"
    relu = CONFIG.replace(platform=platform)
    networks = itertools.cycle((relu, relu.replace(activation="tanh")))
    checks: list[Callable[[], Iterable[Finding]]] = [
        *(functools.partial(update_findings, next(networks), *size) for size in SIZES),
        functools.partial(_rollout, relu.replace(num_envs=1_025, num_steps=50)),
        functools.partial(_recorded_update, platform),
        _random_numbers,
        *(functools.partial(_plain_reductions, math.prod(size)) for size in SIZES),
    ]

    def run(check: Callable[[], Iterable[Finding]]) -> list[Finding]:
        try:
            with jax.default_device(device):  # a setting of each thread
                return list(check())
        except Exception as error:  # whatever a broken compiler or device raises
            text = " ".join(str(error).split())[:200]
            return [Finding(f"a check ended in {type(error).__name__}: {text}", 0, math.inf)]

    with ThreadPoolExecutor() as pool:  # most of the time goes into compiling
        return [finding for found in pool.map(run, checks) for finding in found]


def _random_numbers() -> Iterator[Finding]:
    threefry = jax.jit(jax.extend.random.threefry_2x32)
    published = [threefry(row[:2], row[2:4]) for row in THREEFRY]
    yield compare("Threefry's published vectors", len(THREEFRY), published, THREEFRY[:, 4:], 0)
    rows, logits, key = 10**6 + 1, np.array([0.3, -1.2, 0.1]), jax.random.key(7)

    @jax.jit
    def draw(logits: Array) -> tuple[Array, Array]:
        noise = jax.vmap(uniform_of)(ONE_DEVICE.keys(key, rows))
        return noise, Categorical(jnp.broadcast_to(logits, (rows, 3))).sample(noise)

    noise, actions = (np.asarray(x) for x in draw(jnp.float32(logits)))
    ends = np.cumsum(np.exp(reference.log_softmax(logits[None])))[:-1]
    # A draw within rounding of a boundary may fall on either side.
    off = np.mean(actions != (noise[:, None] >= ends).sum(axis=1))
    yield Finding("categorical draws", rows, float(off))


def _plain_reductions(rows: int) -> Iterator[Finding]:
    number = np.arange(rows, dtype=np.int32)
    x = np.stack([number % 2039, number * 7 % 13, number // 5 % 3], axis=1)
    reduce = jax.jit(lambda x: {name: f(jnp, x) for name, f in _REDUCTIONS.items()})
    for name, got in reduce(np.float32(x)).items():
        yield compare(name, rows, got, _REDUCTIONS[name](np, x), 0, ours=False)


@functools.partial(jax.jit, static_argnames="config")
def learn(config: Config, params: Params, rows: Trajectory) -> dict[str, Any]:
    """Return the results of an update of a trajectory, and the parameters after it."""
    setup = make_setup(config)
    engine = reinforce.make_engine(setup)
    targets, statistics = engine.make_targets(setup, params, rows)
    grads, policy = engine.gradients(setup, params, rows, targets, statistics.num_steps)
    # Adam takes these parts of the state alone.
    moments = optimizer.init_optimizers(config, params)
    state = TrainState(params, moments, None, None, jnp.int32(0), None)  # type: ignore[arg-type]
    after = optimizer.apply_gradients(config, state, grads).params
    metrics = learning_metrics(statistics, grads, policy)
    return {
        "valid steps": statistics.num_steps,
        "returns": targets.returns,
        "values": jnp.where(rows.valid, targets.values, 0),
        "advantages": targets.advantages,
        "metrics": [metrics[name] for name in reference.METRICS],
        "gradients of the policy": grads.policy,
        "gradients of the baseline": grads.baseline,
        "parameters after a step": after,
    }


def update_findings(config: Config, num_steps: int, num_lanes: int) -> Iterator[Finding]:
    """Compare the results of an update of given steps, and one step of Adam."""
    batch = _batch(num_steps, min(num_lanes, _DIFFERENT_LANES))
    params = Params(**_notebook()["before"])
    repeats = np.arange(num_lanes) % batch.valid.shape[1]
    got = learn(config, params, Trajectory(*(x[:, repeats] for x in batch[:6])))
    # Their names sort like their order: hidden_0, ..., out.
    policy, baseline = (
        [layer for _, layer in sorted(network["params"]["mlp"].items())]
        for network in (params.policy, params.baseline)
    )
    expected = reference.update(config, policy, baseline, batch, np.bincount(repeats))
    for name, value in expected.items():
        value = value[:, repeats] if name in ("returns", "values", "advantages") else value
        allowed = 0 if name == "valid steps" else TOLERANCE
        yield compare(name, num_steps * num_lanes, got[name], value, allowed)


def _batch(num_steps: int, num_lanes: int) -> Trajectory:
    """Return lanes that end at random, half of them by a termination."""
    rng, shape = np.random.default_rng(num_steps), (num_steps, num_lanes)
    last = rng.integers(num_steps // 2, num_steps, num_lanes)
    time = np.arange(num_steps)[:, None]
    ended = (time == last) & (rng.random(num_lanes) < 0.5)
    obs = rng.normal(size=(*shape, 4)).astype(np.float32)
    action = rng.integers(0, 2, shape, np.int32)
    reward = np.float32(1 + obs[..., 0] * action)
    steps: Any = obs, action, reward, ended, np.zeros_like(ended), time <= last
    return Trajectory(*steps)


def _rollout(config: Config) -> Iterator[Finding]:
    """Compare each step of CartPole that a batch of episodes takes."""
    play = jax.jit(lambda key: reinforce.collect(config, reinforce.init(config, key))[2])
    played = play(jax.random.key(0))
    columns = played.obs, played.action, played.terminated, played.valid
    obs, action, ended, valid = (np.asarray(x) for x in columns)
    after = reference.cartpole_step(obs.reshape(-1, 4), action.ravel()).reshape(obs.shape)
    goes_on = valid[1:] & ~ended[:-1]
    yield compare("steps of CartPole", goes_on.sum(), obs[1:][goes_on], after[:-1][goes_on])
    # How far outside of its bounds the pole is; within rounding of these, either is right.
    outside = np.max(np.abs(after[..., [0, 2]]) - [2.4, np.pi / 15], axis=-1)
    clear = valid & (np.abs(outside) > 1e-5)
    yield compare("ends of episodes", valid.sum(), ended[clear], outside[clear] > 0, 0)


def _recorded_update(platform: str) -> Iterator[Finding]:
    """Repeat the first update of the notebook that this package descends from."""
    recorded = _notebook()
    rows = Trajectory(**recorded["rows"])
    got = learn(preset("classic").replace(platform=platform), Params(**recorded["before"]), rows)
    after = got["parameters after a step"], Params(**recorded["after"])
    yield compare("the notebook's update", len(rows.valid), *after)


@functools.cache
def _notebook() -> dict[str, Any]:
    """Return the notebook's parameters `before` and `after` an update, and its `rows`."""
    with np.load(str(resources.files(__package__) / "notebook_update.npz")) as data:
        return unflatten_dict(dict(data), sep="/")
