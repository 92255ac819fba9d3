"""The training state, carried from update to update, and the metrics of an update."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.flatten_util import ravel_pytree

from purejaxrl_reinforce.algorithm.batching import ONE_DEVICE, LaneAxis
from purejaxrl_reinforce.algorithm.kernels.one_program import (
    KernelEngine,
    in_one_program,
    summaries,
)
from purejaxrl_reinforce.algorithm.losses import PolicyTerms
from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.algorithm.obs_normalizer import RunningMoments
from purejaxrl_reinforce.algorithm.returns import Statistics
from purejaxrl_reinforce.algorithm.rollout import FinishedEpisodes, Lanes


class TrainState(NamedTuple):
    """Everything carried from one update to the next.

    Attributes:
        params: of both networks.
        opt_state: of both optimizers, in the same places.
        lanes: the state of each lane; used by `stream` rollouts only.
        key: the run's key. Update u draws from fold_in(key, u), so randomness is a counter.
        update: updates done, () int32.
        env_steps: valid environment steps so far, [2] uint32: the high and the low half.
        reward_moments: of the discounted returns so far, (); with `normalize_rewards`, else None.
        reward_sums: discounted return of each lane's episode so far, [N], with the former.
    """

    params: Params
    opt_state: Params
    lanes: Lanes
    key: Array
    update: Array
    env_steps: Array
    reward_moments: RunningMoments | None = None
    reward_sums: Array | None = None


class Metrics(NamedTuple):
    """The metrics of one update, each a scalar.

    Returns (undiscounted sums of raw rewards) and lengths are over the `num_episodes` episodes
    that finished in this update, NaN where none did. Losses, entropy (nats) and gradient norms
    (before clipping) are those of the parameters before the update. `gradient_variance` and
    `gradient_snr` are those of `gradient_noise`, NaN without that option. `eval_return` is the mean
    return of greedy episodes after every `eval_every`-th update, else NaN. `num_steps` counts
    this update's valid environment steps, `env_steps` all so far (float32: exact up to 2**24, to 7
    digits beyond). Where `finite` is false, a loss, gradient or new parameter was not finite and
    the update was not applied.
    """

    mean_return: Array
    min_return: Array
    max_return: Array
    mean_length: Array
    min_length: Array
    max_length: Array
    num_episodes: Array
    policy_loss: Array
    baseline_loss: Array
    entropy: Array
    policy_grad_norm: Array
    baseline_grad_norm: Array
    explained_variance: Array
    gradient_variance: Array
    gradient_snr: Array
    eval_return: Array
    num_steps: Array
    env_steps: Array
    finite: Array


def episode_metrics(parts: FinishedEpisodes) -> dict[str, Array]:
    """Reduce what was finished in all parts to the fields of `Metrics` that describe it."""
    count, return_sum, return_min, return_max, length_sum, length_min, length_max = _of_all(parts)

    def if_any(x: Array) -> Array:
        return jnp.where(count > 0, x, jnp.float32(jnp.nan))

    return {
        "mean_return": if_any(return_sum / count),
        "min_return": if_any(return_min),
        "max_return": if_any(return_max),
        "mean_length": if_any(length_sum / count),
        "min_length": if_any(length_min),
        "max_length": if_any(length_max),
        "num_episodes": count,
    }


def _of_all(finished: FinishedEpisodes) -> FinishedEpisodes:
    """Reduce what several lanes or devices finished, [...], to that of all, ()."""
    # That all of them read the number makes one launch of them on a GPU.
    any_finished = finished.number > 0
    none = jnp.iinfo(jnp.int32).min
    sum_ = functools.partial(jnp.sum, where=any_finished)
    return FinishedEpisodes(
        number=jnp.sum(finished.number),
        return_sum=sum_(finished.return_sum),
        return_min=jnp.min(finished.return_min, where=any_finished, initial=jnp.inf),
        return_max=jnp.max(finished.return_max, where=any_finished, initial=-jnp.inf),
        length_sum=sum_(finished.length_sum),
        length_min=jnp.min(
            finished.length_min, where=any_finished, initial=jnp.iinfo(jnp.int32).max
        ),
        length_max=jnp.max(finished.length_max, where=any_finished, initial=none),
    )


def learning_metrics(
    statistics: Statistics, grads: Params, policy: PolicyTerms
) -> dict[str, Array]:
    """Return the fields of `Metrics` that describe learning."""
    return {
        "policy_loss": policy.loss,
        "baseline_loss": statistics.baseline_loss,
        "entropy": policy.entropy,
        "policy_grad_norm": optax.tree.norm(grads.policy),
        "baseline_grad_norm": optax.tree.norm(grads.baseline),
        "explained_variance": statistics.explained_variance,
    }


def add_steps(counter: Array, count: Array) -> Array:
    """Add a count to a 64-bit counter held as [high, low] uint32."""
    low = counter[1] + count.astype(jnp.uint32)
    return jnp.stack([counter[0] + (low < counter[1]), low])


def total_steps(counter: Array) -> Array:
    """Return a counter of `add_steps` as float32, ()."""
    return counter[0] * jnp.float32(2**32) + counter[1]


def exact_steps(counter: Array) -> int:
    """Return a counter of `add_steps` as an integer."""
    high, low = np.asarray(counter).tolist()
    return high * 2**32 + low


def conclude(
    engine: KernelEngine,
    old: TrainState,
    new: TrainState,
    finished: FinishedEpisodes,
    learned: tuple[Statistics, Params, PolicyTerms],
    axis: LaneAxis = ONE_DEVICE,
) -> tuple[TrainState, dict[str, Array]]:
    """Return `new`, or `old` where a loss, gradient or parameter is not finite; and metrics.

    Args:
        engine: what computes them.
        old: state before the update.
        new: state after it.
        finished: episodes of the lanes that are here.
        learned: what `learning_metrics` takes.
        axis: the device axis the lanes are sharded over.
    """

    def conclusion(old: Any, new: Any, parts: FinishedEpisodes, learned: Any) -> Any:
        learning = learning_metrics(*learned)
        finite = _all_finite((learning, new.params), engine)
        state = jax.tree.map(lambda x, y: jnp.where(finite, x, y), new, old)
        return state, {**episode_metrics(parts), **learning, "finite": finite}

    # Choosing would use the key a second time; lanes may be too many for one program.
    apart: dict[str, Any] = {"key": None, "lanes": None, "reward_sums": None}
    small = old._replace(**apart), new._replace(**apart)
    of_here = _of_all(finished) if engine == "xla" else summaries(_of_all, finished, axis)
    parts = axis.gather(of_here)
    state, metrics = in_one_program(engine, conclusion, *small, parts, learned, in_place=True)
    lanes, reward_sums = jax.tree.map(
        lambda x, y: jnp.where(metrics["finite"], x, y),
        (new.lanes, new.reward_sums),
        (old.lanes, old.reward_sums),
    )
    state = state._replace(key=old.key, lanes=lanes, reward_sums=reward_sums)
    num_steps, env_steps = learned[0].num_steps, total_steps(state.env_steps)
    return state, metrics | {"num_steps": num_steps, "env_steps": env_steps}


def _all_finite(tree: Any, engine: KernelEngine) -> Array:
    if engine == "xla":
        return jnp.all(jnp.isfinite(ravel_pytree(tree)[0]))
    # A kernel neither concatenates nor reduces truth values.
    wrong = [jnp.sum(~jnp.isfinite(x), dtype=jnp.int32) for x in jax.tree.leaves(tree)]
    return functools.reduce(jnp.add, wrong) == 0
