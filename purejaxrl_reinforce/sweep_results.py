"""What a sweep found: arrays over settings, seeds and updates."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from purejaxrl_reinforce.config import Config


@dataclass(frozen=True)
class SweepResults:
    """Every setting's every seed, from its first update to a greedy evaluation at the end.

    Attributes:
        axes: the swept fields and the values that were asked for, in the order given; empty where
            only seeds were swept.
        configs: of each setting.
        key_data: of each seed's key, [seed, ...] uint32. All settings share the seeds.
        metrics: by field of `Metrics`, [setting, seed, update], with `env_steps` as exact int64.
            Beyond a setting's own num_updates, floats are NaN, integers 0 and `finite` is false.
        evaluation: returns of greedy episodes with the final parameters, [setting, seed, episode].
    """

    axes: dict[str, tuple[Any, ...]]
    configs: tuple[Config, ...]
    key_data: np.ndarray
    metrics: dict[str, np.ndarray]
    evaluation: np.ndarray

    @property
    def labels(self) -> list[str]:
        """Name each setting by its swept fields."""
        if not self.axes:
            return [self.configs[0].env]
        return [
            ", ".join(f"{name}={_short(getattr(config, name))}" for name in self.axes)
            for config in self.configs
        ]

    @property
    def scores(self) -> np.ndarray:
        """Mean return of each agent's greedy episodes, [setting, seed]."""
        return self.evaluation.astype(np.float64).mean(axis=2)


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
