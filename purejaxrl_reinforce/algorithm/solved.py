"""From which mean return an environment counts as solved."""

import numpy as np

# From Gymnasium's registry.
THRESHOLDS = {"CartPole-v0": 195.0, "CartPole-v1": 475.0}


def first_solved(env: str, mean_returns: np.ndarray) -> int | None:
    """Return the number, counted from 1, of the first update whose mean return is enough.

    None where no update's is, or where the environment has no threshold.
    """
    solved = mean_returns >= THRESHOLDS.get(env, np.inf)
    return int(solved.argmax()) + 1 if solved.any() else None
