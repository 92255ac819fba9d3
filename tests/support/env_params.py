"""Parameters of an environment that a configuration can set."""

from purejaxrl_reinforce.algorithm.environments.environment import make

# Set by arrays, by noise, or by what Gymnasium and gymnax have but only in their spaces.
NOT_SET = {"available_torque", "torque_noise_max", "max_torque", "min_action", "max_action"}
DERIVED = {"total_mass", "polemass_length"}


def settable(name: str) -> list[str]:
    """Return the names of those of an environment, but for its time limit."""
    params = vars(make(name)._params)
    return [x for x in params if x not in {*NOT_SET, *DERIVED, "max_steps_in_episode"}]
