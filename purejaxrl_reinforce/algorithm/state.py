"""The training state, carried from update to update, and the metrics of an update."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from purejaxrl_reinforce.algorithm.lanes import LaneAxis

if TYPE_CHECKING:  # who runs a kept program needs no networks and no environments
    from purejaxrl_reinforce.algorithm.networks.build import Params
    from purejaxrl_reinforce.algorithm.normalization import RunningMoments
    from purejaxrl_reinforce.algorithm.rollout import Finished, Lanes


class TrainState(NamedTuple):
    """Everything carried from one update to the next.

    Attributes:
        params: of both networks.
        opt_state: of both optimizers, in the same places as their networks.
        lanes: used by `stream` rollouts only.
        key: the run's key. Update u draws from fold_in(key, u), so randomness is a counter.
        update: updates done, () int32.
        env_steps: valid environment steps so far, [2] uint32: the high and the low half.
        reward_moments: of the discounted returns so far, (); with `normalize_rewards`, else None.
        reward_sums: discounted return of each lane's episode so far, [N], with the former.
        mean_return: of the last update, NaN before the first; with `stop_at`, else None.

    Example:
        >>> import jax
        >>> from purejaxrl_reinforce import Config, init
        >>> init(Config(num_envs=4), jax.random.key(0)).lanes.obs.shape
        (4, 4)
    """

    params: Params
    opt_state: Params
    lanes: Lanes
    key: Array
    update: Array
    env_steps: Array
    reward_moments: RunningMoments | None = None
    reward_sums: Array | None = None
    mean_return: Array | None = None

    def __repr__(self) -> str:
        networks = self.params.policy, self.params.baseline
        size = sum(getattr(x, "size", 0) for x in jax.tree.leaves(networks))
        try:
            done = f"update {int(self.update):,}, {exact_steps(self.env_steps):,} steps, "
        except TypeError:  # traced, or several
            done = f"{self.update}, "
        return f"TrainState({done}{size:,} parameters)"


class Metrics(NamedTuple):
    """The metrics of one update, each a scalar.

    Returns (undiscounted sums of raw rewards) and lengths are over the `num_episodes` episodes
    that finished in this update, NaN where none did. Losses, entropy (nats) and gradient norms
    (before clipping) are those of the parameters before the update. `gradient_variance` and
    `gradient_snr` need the option `gradient_noise`, else they are NaN. `eval_return` is the mean
    return of greedy episodes after every `eval_every`-th update, else NaN. `num_steps` counts
    this update's valid environment steps, `env_steps` all so far (float32: exact up to 2**24, to 7
    digits beyond). Where `finite` is false, a loss, gradient or new parameter was not finite and
    the update was not applied. Where `num_steps` is 0 there was no update, since an earlier one
    reached `stop_at`: floats are NaN, whole numbers 0, `finite` is false. With jax_debug_nans,
    -inf replaces NaN. `own` has the numbers of the function `Config.metrics`, by name.

    Example:
        >>> import jax
        >>> from purejaxrl_reinforce import Config, train
        >>> metrics = train(Config(num_envs=4, num_steps=50, num_updates=3), jax.random.key(0))[1]
        >>> float(metrics.env_steps[-1]) == float(metrics.num_steps.sum())
        True
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
    own: dict[str, Array] = {}  # noqa: RUF012

    def by_name(self) -> dict[str, Array]:
        """Return all metrics by name, those of your own beside the others."""
        names = (name for name in self._fields if name != "own")
        return {name: getattr(self, name) for name in names} | self.own


def no_metric() -> Array:
    """Return the value of a metric that an update does not have: NaN, but in a hunt for NaNs."""
    hunted = jax.config.jax_debug_nans  # type: ignore[attr-defined]
    return jnp.float32(-jnp.inf if hunted else jnp.nan)


def no_metrics(shapes: Metrics) -> Metrics:
    """Return the metrics, of these shapes and dtypes, where there is no update."""
    return jax.tree.map(
        lambda x: no_metric() if x.dtype == jnp.float32 else jnp.zeros(x.shape, x.dtype), shapes
    )


def episode_metrics(finished: Finished, axis: LaneAxis) -> dict[str, Array]:
    """Return the fields of `Metrics` that describe the episodes which lanes finished, [N]."""
    number, total, low, high = _over_lanes(axis.gather(_over_lanes(finished)))

    def if_any(x: Array) -> Array:
        return jnp.where(number > 0, x, no_metric())

    divisor = jnp.maximum(number, 1)
    return {
        "mean_return": if_any(total.episode_return / divisor),
        "min_return": if_any(low.episode_return),
        "max_return": if_any(high.episode_return),
        "mean_length": if_any(total.length / divisor),
        "min_length": if_any(low.length),
        "max_length": if_any(high.length),
        "num_episodes": number,
    }


def _over_lanes(finished: Finished) -> Finished:
    """Reduce the finished episodes of several lanes or devices, [...], to one, ()."""
    return type(finished)(
        jnp.sum(finished.number),
        # Of many long episodes the lengths exceed 32 bits.
        jax.tree.map(lambda x: jnp.sum(x, dtype=jnp.float32), finished.sum),
        jax.tree.map(jnp.min, finished.min),
        jax.tree.map(jnp.max, finished.max),
    )


def all_finite(tree: Any) -> Array:
    """Return whether all numbers of a tree are finite, ()."""
    # In one array: a tree of comparisons made thousands of instructions more.
    return jnp.all(jnp.isfinite(ravel_pytree(tree)[0]))


def new_or_old(is_new: Array, new: TrainState, old: TrainState) -> TrainState:
    """Return the one state or the other; both have the same key."""
    without_key: dict[str, Any] = {"key": None}  # choosing would use it a second time
    states = new._replace(**without_key), old._replace(**without_key)
    return jax.tree.map(lambda x, y: jnp.where(is_new, x, y), *states)._replace(key=old.key)


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
