"""The algorithm's equations in slow float64 NumPy, written without a look at the package's code."""

import jax
import numpy as np
from scipy import optimize


def mlp(params, x):
    """Dense layers with relu in between; params as flax has them below 'mlp'."""
    layers = sorted(name for name in params if name.startswith("hidden"))
    for name in layers:
        x = np.maximum(x @ params[name]["kernel"] + params[name]["bias"], 0)
    return x @ params["out"]["kernel"] + params["out"]["bias"]


def log_softmax(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def returns(rewards, terminated, truncated, valid, gamma, next_values, values=None, weight=1.0):
    """Walk each lane backwards; next_values is [T, N] or None for no bootstrap.

    `values` [T, N] and `weight` are those of the lambda-return within an episode.
    """
    T, N = rewards.shape
    out = np.zeros((T, N))
    for n in range(N):
        for t in reversed(range(T)):
            if not valid[t, n]:
                continue
            goes_on = t + 1 < T and valid[t + 1, n] and not terminated[t, n] and not truncated[t, n]
            if terminated[t, n]:
                future = 0.0
            elif goes_on and weight < 1:
                future = (1 - weight) * values[t + 1, n] + weight * out[t + 1, n]
            elif goes_on:
                future = out[t + 1, n]
            else:
                future = 0.0 if next_values is None else next_values[t, n]
            out[t, n] = rewards[t, n] + gamma * future
    return out


def normalize(advantages, valid, kind):
    chosen = advantages[valid]
    if kind == "standardize":
        scale = chosen.std()
    elif kind == "unit":
        scale = np.sqrt((chosen**2).sum())
    else:
        return np.where(valid, advantages, 0.0)
    if scale == 0:
        return np.zeros_like(advantages)
    return np.where(valid, (advantages - chosen.mean()) / scale, 0.0)


def policy_loss(params, obs, action, advantages, valid, entropy_coef):
    """Categorical policy; obs [T, N, D]."""
    log_probs = log_softmax(mlp(params["params"]["mlp"], obs[valid]))
    chosen = np.take_along_axis(log_probs, action[valid][:, None], axis=1)[:, 0]
    entropy = -(np.exp(log_probs) * log_probs).sum(axis=1)
    return -(chosen * advantages[valid]).mean() - entropy_coef * entropy.mean()


def gaussian_policy_loss(params, obs, action, advantages, valid, entropy_coef):
    mean = mlp(params["params"]["mlp"], obs[valid])
    log_std = params["params"]["log_std"]
    density = -0.5 * ((action[valid] - mean) / np.exp(log_std)) ** 2
    density = (density - log_std - 0.5 * np.log(2 * np.pi)).sum(axis=1)
    entropy = (log_std + 0.5 * np.log(2 * np.pi * np.e)).sum()
    return -(density * advantages[valid]).mean() - entropy_coef * entropy


def baseline_loss(params, obs, returns, valid):
    values = mlp(params["params"]["mlp"], obs[valid])[:, 0]
    return ((values - returns[valid]) ** 2).mean()


def numerical_gradient(f, tree):
    """Differences of f(tree) in every number of a tree of float64 arrays."""
    leaves, structure = jax.tree.flatten(tree)
    ends = np.cumsum([x.size for x in leaves])[:-1]

    def unflatten(flat):
        parts = zip(np.split(flat, ends), leaves, strict=True)
        return jax.tree.unflatten(structure, [part.reshape(x.shape) for part, x in parts])

    flat = np.concatenate([x.ravel() for x in leaves])
    return unflatten(optimize.approx_fprime(flat, lambda x: f(unflatten(x)), 1e-7))
