"""The presets do what they promise, over 32 seeds each."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purejaxrl_reinforce import evaluate, preset, train

SEEDS = 32


def over_seeds(run):
    """Map over seeds one after the other: small agents are faster so than side by side."""
    keys = jax.vmap(jax.random.key)(jnp.arange(SEEDS))
    return jax.tree.map(np.asarray, jax.jit(lambda keys: jax.lax.map(run, keys))(keys))


def test_every_seed_solves_cartpole():
    config = preset("cartpole")

    def run(key):
        key_train, key_evaluate = jax.random.split(key)
        state, metrics = train(config, key_train)
        played = evaluate(config, state.params, key_evaluate, 100, greedy=True)
        return played.episode_return.mean(), metrics.mean_return

    greedy, returns = over_seeds(run)
    assert greedy.shape == (SEEDS,)
    assert greedy.min() >= 475, np.sort(greedy)
    # And stays there: sampled training episodes too, over the last tenth of training.
    assert np.median(returns[:, -10:]) >= 475


@pytest.mark.slow
def test_classic_reaches_what_the_notebook_reaches():
    metrics = over_seeds(lambda key: train(preset("classic"), key)[1])
    returns = metrics.mean_return
    assert returns.shape == (SEEDS, 300)
    assert np.nanmax(returns) <= 200
    assert (metrics.num_steps == 2000).all()
    assert np.nanmean(returns[:, -50:]) >= 190
