"""Sampling frequencies, densities, entropies and modes against known answers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, optimize, stats

from purejaxrl_reinforce.algorithm.networks.distributions import Categorical, Gaussian, squash


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


def test_gaussian_log_prob_entropy_and_mode():
    mean, std, x = np.float32([[1, 2], [0.5, 3], [0.3, 4]])
    ours, theirs = Gaussian(jnp.array([mean]), jnp.log(std)), stats.norm(mean, std)
    np.testing.assert_allclose(ours.log_prob(x[None]), [theirs.logpdf(x).sum()], rtol=1e-5)
    np.testing.assert_allclose(ours.entropy(), [theirs.entropy().sum()], rtol=1e-5)
    np.testing.assert_allclose(ours.sample(jnp.float32([[1, -2]])), [mean + std * [1, -2]])
    np.testing.assert_array_equal(ours.mode(), [mean])


LOW, HIGH = -3.0, 1.0


def squashed(mean, std):
    """A distribution of one component, [1], in the box from LOW to HIGH."""
    bounds = (jnp.full(1, LOW), jnp.full(1, HIGH))
    return Gaussian(jnp.float32([[mean]]), jnp.log(jnp.float32([std])), bounds)


def density(distribution, a):
    """The density at actions a in the box, [n], by the inverse of the squashing."""
    u = jnp.arctanh(2 * (jnp.asarray(a, jnp.float32) - LOW) / (HIGH - LOW) - 1)
    many = distribution._replace(mean=jnp.broadcast_to(distribution.mean, (len(a), 1)))
    return np.exp(np.asarray(many.log_prob(u[:, None]), np.float64))


@pytest.mark.parametrize(("mean", "std"), [(0.0, 0.3), (0.5, 0.8), (-1.0, 0.6)])
def test_the_squashed_density_integrates_to_one_and_gives_the_entropy(mean, std):
    distribution = squashed(mean, std)
    # Even in u, the points lie close at the bounds, where the density is steep.
    u = np.linspace(mean - 7 * std, mean + 7 * std, 4001)
    a = LOW + (HIGH - LOW) * (1 + np.tanh(u)) / 2
    a = a[np.abs(np.tanh(u)) < 0.9999]
    p = density(distribution, a)
    np.testing.assert_allclose(integrate.trapezoid(p, a), 1, atol=2e-3)
    entropy = integrate.trapezoid(-p * np.log(np.maximum(p, 1e-300)), a)
    np.testing.assert_allclose(distribution.entropy(), [entropy], atol=5e-3)


def exact_entropy(mean, log_std):
    """The entropy as an integral over u, in float64."""
    u = np.linspace(mean - 10 * np.exp(log_std), mean + 10 * np.exp(log_std), 20_001)
    p = np.exp(-0.5 * ((u - mean) / np.exp(log_std)) ** 2 - log_std) / np.sqrt(2 * np.pi)
    slope = 2 * (np.log(2) - u - np.logaddexp(0, -2 * u)) + np.log((HIGH - LOW) / 2)
    return integrate.trapezoid(p * slope, u) + log_std + 0.5 * np.log(2 * np.pi * np.e)


@pytest.mark.parametrize(("mean", "std"), [(0.0, 0.3), (0.5, 1.0), (4.0, 0.5)])
def test_the_gradient_of_the_squashed_entropy_is_the_numerical_one(mean, std):
    log_std = np.log(std)

    def entropy(mean, log_std):
        return squashed(0.0, 1.0)._replace(mean=mean, log_std=log_std).entropy()[0]

    ours = jax.grad(entropy, argnums=(0, 1))(jnp.float32([[mean]]), jnp.float32([log_std]))
    numerical = optimize.approx_fprime([mean, log_std], lambda x: exact_entropy(*x), 1e-5)
    np.testing.assert_allclose([ours[0][0, 0], ours[1][0]], numerical, atol=1e-3)


def test_squashed_log_prob_is_finite_and_right_far_out():
    """log(1 - tanh(u)^2) is 2 log 2 - 2 |u| for large |u|, where tanh(u) rounds to 1."""
    u = jnp.float32([[-60.0], [60.0]])
    far = squashed(0.0, 10.0)._replace(mean=jnp.zeros((2, 1)))
    normal = Gaussian(far.mean, far.log_std).log_prob(u)
    expected = normal - (2 * np.log(2) - 120 + np.log((HIGH - LOW) / 2))
    np.testing.assert_allclose(far.log_prob(u), expected, rtol=1e-5)
    np.testing.assert_array_equal(squash(u, *far.bounds), [[LOW], [HIGH]])
