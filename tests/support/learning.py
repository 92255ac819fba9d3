"""Learning from a given trajectory: what `step` does between playing and reporting."""

import jax

from purejaxrl_reinforce.algorithm.batching import ONE_DEVICE
from purejaxrl_reinforce.algorithm.losses import gradients, make_targets
from purejaxrl_reinforce.algorithm.optimizer import apply_gradients
from purejaxrl_reinforce.algorithm.reinforce import fit_baseline
from purejaxrl_reinforce.algorithm.state import learning_metrics


@jax.jit
def learn(config, state, trajectory):
    """Return the state after an update on `trajectory`, and the metrics of learning."""
    targets = make_targets(config, state.params, trajectory)
    grads, policy = gradients(config, state.params, trajectory, targets)
    new = apply_gradients(config, state, grads)
    new = fit_baseline(config, new, trajectory, targets, ONE_DEVICE, None)
    metrics = learning_metrics(targets, grads, policy)
    return new._replace(update=state.update + 1), metrics
