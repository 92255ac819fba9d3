"""States to start from, and learning from a given trajectory: `step` without playing."""

import jax

from purejaxrl_reinforce import init
from purejaxrl_reinforce.algorithm.batching import ONE_DEVICE
from purejaxrl_reinforce.algorithm.fit_baseline import fit_baseline
from purejaxrl_reinforce.algorithm.losses import gradients, make_targets
from purejaxrl_reinforce.algorithm.optimizer import apply_gradients
from purejaxrl_reinforce.algorithm.state import learning_metrics
from tests.support.configs import TEXTBOOK


def initial(config, seed=0):
    """Return `init(config, key)`, compiled once for all configurations with equal states."""
    baseline = "value" if config.baseline == "value" else "none"
    shaping = TEXTBOOK.replace(
        env=config.env,
        num_envs=config.num_envs,
        hidden_sizes=config.hidden_sizes,
        baseline=baseline,
    )
    return init(shaping, jax.random.key(seed))


@jax.jit
def learn(config, state, trajectory):
    """Return the state after an update on `trajectory`, and the metrics of learning."""
    targets = make_targets(config, state.params, trajectory)
    grads, policy = gradients(config, state.params, trajectory, targets)
    new = apply_gradients(config, state, grads)
    new = fit_baseline(config, new, trajectory, targets, ONE_DEVICE, None)
    metrics = learning_metrics(targets.statistics, grads, policy)
    return new._replace(update=state.update + 1), metrics
