"""The equations in float64 NumPy, independent of the package's own code."""

from collections.abc import Callable
from typing import Any

import numpy as np

from purejaxrl_reinforce.algorithm.rollout import Trajectory
from purejaxrl_reinforce.config import Config

Arrays = Any  # np.ndarray, of 64 bits
Layers = list[dict[str, Arrays]]
# Those that `update` returns, in this order.
METRICS = (
    "policy_loss", "baseline_loss", "entropy", "explained_variance",
    "policy_grad_norm", "baseline_grad_norm",
)  # fmt: skip
# Each with its derivative as a function of its value.
_ACTIVATIONS: dict[str, tuple[Callable[[Arrays], Arrays], Callable[[Arrays], Arrays]]] = {
    "relu": (lambda x: np.maximum(x, 0), lambda y: y > 0),
    "tanh": (np.tanh, lambda y: 1 - y**2),
}


def cartpole_step(obs: Arrays, action: Arrays) -> Arrays:
    """Return CartPole-v1's next observations [n, 4] (Barto, Sutton and Anderson, 1983)."""
    x, speed, angle, spin = obs.astype(np.float64).T
    force = np.where(action == 1, 10.0, -10.0)
    push = (force + 0.05 * spin**2 * np.sin(angle)) / 1.1
    spin_up = (9.8 * np.sin(angle) - np.cos(angle) * push) / (
        0.5 * (4 / 3 - 0.1 * np.cos(angle) ** 2 / 1.1)
    )
    speed_up = push - 0.05 * spin_up * np.cos(angle) / 1.1
    rates = np.stack([speed, speed_up, spin, spin_up], axis=1)
    return np.stack([x, speed, angle, spin], axis=1) + 0.02 * rates


def returns(batch: Trajectory, gamma: float) -> Arrays:
    """Return the discounted sums of rewards to the end of each lane's valid steps, [T, N]."""
    out = np.zeros(batch.reward.shape)
    later: Arrays = 0.0
    for t in reversed(range(len(out))):
        later = np.where(batch.terminated[t], 0.0, later)
        later = out[t] = np.where(batch.valid[t], batch.reward[t] + gamma * later, 0.0)
    return out


def variance(x: Arrays, weights: Arrays) -> Arrays:
    """Return the variance of numbers that are there `weights` times, [n]."""
    return np.average((x - np.average(x, weights=weights)) ** 2, weights=weights)


def norm(grads: Layers) -> Arrays:
    """Return the root of the sum of all squares."""
    return np.sqrt(sum((x**2).sum() for layer in grads for x in layer.values()))


def forward(layers: Layers, activation: str, x: Arrays) -> list[Arrays]:
    """Return the inputs of each dense layer for rows x, and the outputs of the last."""
    activate, _ = _ACTIVATIONS[activation]
    values = [np.float64(x)]
    for layer in layers[:-1]:
        values.append(activate(values[-1] @ layer["kernel"] + layer["bias"]))
    return [*values, values[-1] @ layers[-1]["kernel"] + layers[-1]["bias"]]


def gradient(layers: Layers, activation: str, x: Arrays, cotangent: Arrays) -> Layers:
    """Return the gradient of sum(cotangent * outputs) with respect to each kernel and bias."""
    inputs, grads = forward(layers, activation, x)[:-1], []
    for layer, y in zip(reversed(layers), reversed(inputs), strict=True):
        grads.append({"kernel": y.T @ cotangent, "bias": cotangent.sum(axis=0)})
        _, slope = _ACTIVATIONS[activation]
        cotangent = (cotangent @ layer["kernel"].T) * slope(y)
    return grads[::-1]


def log_softmax(logits: Arrays) -> Arrays:
    """Return the logarithms of the probabilities, [rows, actions]."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def update(
    config: Config, policy: Layers, baseline: Layers, batch: Trajectory, copies: Arrays
) -> dict[str, Any]:
    """Return the results of an update in which lane n of [N] appears copies[n] times."""
    valid, weights = batch.valid, (batch.valid * copies)[batch.valid]
    obs, shares = batch.obs[valid], (weights / weights.sum())[:, None]
    targets = returns(batch, config.gamma)
    values, advantages = np.zeros((2, *valid.shape))
    values[valid] = forward(baseline, config.activation, obs)[-1][:, 0]
    error = (values - targets)[valid]
    centered = np.average(error, weights=weights) - error
    advantages[valid] = centered / np.sqrt(variance(error, weights))
    gains, error = advantages[valid][:, None], error[:, None]
    log_probs = log_softmax(forward(policy, config.activation, obs)[-1])
    probs, chosen = np.exp(log_probs), np.eye(2)[batch.action[valid]]
    entropy = -(probs * log_probs).sum(axis=1, keepdims=True)
    loss = -(chosen * log_probs).sum(axis=1, keepdims=True) * gains - config.entropy_coef * entropy
    slope = (probs - chosen) * gains + config.entropy_coef * probs * (log_probs + entropy)
    grads = [
        gradient(policy, config.activation, obs, shares * slope),
        gradient(baseline, config.activation, obs, shares * 2 * error),
    ]
    return {
        "valid steps": weights.sum(),
        "returns": targets,
        "values": values,
        "advantages": advantages,
        "metrics": [
            (shares * loss).sum(),
            (shares * error**2).sum(),
            (shares * entropy).sum(),
            1 - variance(error[:, 0], weights) / variance(targets[valid], weights),
            *map(norm, grads),
        ],
        "gradients of the policy": grads[0],
        "gradients of the baseline": grads[1],
        "parameters after a step": [
            adam_step(layers, grad, rate, config)
            for layers, grad, rate in zip(
                (policy, baseline), grads, (config.policy_lr, config.baseline_lr), strict=True
            )
        ],
    }


def adam_step(layers: Layers, grads: Layers, rate: float, config: Config) -> Layers:
    """Return layers after Adam's first step with a clipped gradient (Kingma and Ba, 2015)."""
    scale = min(1.0, config.max_grad_norm / norm(grads))
    return [
        {
            name: w - rate * scale * grad[name] / (scale * np.abs(grad[name]) + config.adam_epsilon)
            for name, w in layer.items()
        }
        for layer, grad in zip(layers, grads, strict=True)
    ]
