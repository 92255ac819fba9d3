"""States to start from, and learning from a given trajectory: `step` without playing."""

import jax

from purejaxrl_reinforce import init
from purejaxrl_reinforce.algorithm.losses import learning_metrics, make_targets
from purejaxrl_reinforce.algorithm.optimizer import apply_gradients
from purejaxrl_reinforce.algorithm.reinforce import fit_baseline, make_engine
from purejaxrl_reinforce.algorithm.setup import make_setup
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
    setup = make_setup(config)
    engine = make_engine(setup)
    targets, statistics = engine.make_targets(setup, state.params, trajectory)
    steps = statistics.num_steps
    grads, policy = engine.gradients(setup, state.params, trajectory, targets, steps)
    new = apply_gradients(config, state, grads)
    new = fit_baseline(setup, engine, new, trajectory, targets, steps, None)
    metrics = learning_metrics(statistics, grads, policy)
    return new._replace(update=state.update + 1), metrics


def networks_of(config):
    return make_setup(config).networks


@jax.jit
def targets_of(config, params, trajectory):
    return make_targets(make_setup(config), params, trajectory)[0]
