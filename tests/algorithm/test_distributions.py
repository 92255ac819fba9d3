"""Sampling frequencies, densities, entropies and modes against known answers."""

import jax
import jax.numpy as jnp
import numpy as np

from purejaxrl_reinforce.algorithm.distributions import Categorical, DiagonalGaussian


def test_categorical_samples_have_their_probabilities():
    probs = np.array([0.5, 0.0, 0.3, 0.2])
    n = 200_000
    noise = jax.random.uniform(jax.random.key(0), (n,))
    logits = jnp.broadcast_to(jnp.log(jnp.asarray(probs, jnp.float32)), (n, 4))
    actions = Categorical(logits).sample(noise)
    frequencies = np.bincount(actions, minlength=4) / n
    np.testing.assert_allclose(frequencies, probs, atol=5 * np.sqrt(0.25 / n))
    assert frequencies[1] == 0


def test_categorical_samples_stay_in_range_at_the_largest_uniform():
    largest = jnp.nextafter(jnp.float32(1), jnp.float32(0))
    for size in (1, 3, 1000):
        logits = jax.random.normal(jax.random.key(size), (1, size))
        assert 0 <= int(Categorical(logits).sample(largest[None])[0]) < size


def test_many_actions_are_like_few():
    """One impossible action more is an action more than is written out, and changes nothing."""
    logits, action = jax.random.normal(jax.random.key(0), (6, 32)), jnp.arange(6)
    noise = jax.random.uniform(jax.random.key(1), (6,))
    few = Categorical(logits)
    many = Categorical(jnp.concatenate([logits, jnp.full((6, 1), -1e9)], axis=1))
    np.testing.assert_array_equal(many.sample(noise), few.sample(noise))
    np.testing.assert_allclose(many.log_prob(action), few.log_prob(action), rtol=1e-5)
    np.testing.assert_allclose(many.entropy(), few.entropy(), rtol=1e-5)


def test_categorical_log_prob_entropy_and_mode():
    probs = jnp.array([[0.25, 0.75], [1.0, 0.0]])
    distribution = Categorical(jnp.log(probs) + 3.0)
    log_prob = distribution.log_prob(jnp.array([1, 0]))
    np.testing.assert_allclose(log_prob, [np.log(0.75), 0.0], atol=1e-6)
    expected = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    np.testing.assert_allclose(distribution.entropy(), [expected, 0.0], atol=1e-6)
    np.testing.assert_array_equal(distribution.mode(), [1, 0])


def test_gaussian_samples_have_their_moments():
    n = 200_000
    mean = jnp.broadcast_to(jnp.array([1.0, -2.0]), (n, 2))
    distribution = DiagonalGaussian(mean, jnp.array([0.0, 1.0]))
    samples = distribution.sample(jax.random.normal(jax.random.key(0), (n, 2)))
    np.testing.assert_allclose(samples.mean(axis=0), [1, -2], atol=5 * np.e / np.sqrt(n))
    np.testing.assert_allclose(samples.std(axis=0), [1, np.e], rtol=0.01)


def test_gaussian_log_prob_entropy_and_mode():
    distribution = DiagonalGaussian(jnp.array([[1.0, 2.0]]), jnp.log(jnp.array([0.5, 3.0])))
    x = np.array([0.3, 4.0])
    mean, std = np.array([1, 2]), np.array([0.5, 3])
    density = np.exp(-0.5 * ((x - mean) / std) ** 2) / (np.sqrt(2 * np.pi) * std)
    log_prob = distribution.log_prob(jnp.asarray(x, jnp.float32)[None])
    np.testing.assert_allclose(log_prob, [np.log(density).sum()], rtol=1e-5)
    # The entropy is minus the mean log-density.
    noise = jax.random.normal(jax.random.key(1), (100_000, 2))
    many = DiagonalGaussian(jnp.broadcast_to(distribution.mean, noise.shape), distribution.log_std)
    mean_log_prob = many.log_prob(many.sample(noise)).mean()
    np.testing.assert_allclose(distribution.entropy(), [-mean_log_prob], atol=0.02)
    np.testing.assert_array_equal(distribution.mode(), distribution.mean)
