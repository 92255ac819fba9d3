"""When a run solved CartPole-v1, by one rule for every peer.

Standard library only: every peer's environment has it.
"""

from collections import deque
from collections.abc import Iterable

WINDOW = 100
THRESHOLD = 475.0


class Progress:
    """Follows the mean return of the last `WINDOW` finished episodes, or just over.

    Episodes come one at a time or in groups (those of an update); whole groups leave the window,
    so that it never holds fewer than `WINDOW`. A run counts as solved once a full window's mean
    reaches `THRESHOLD`.

    Attributes:
        solved_at: environment steps and seconds of the first solved window, or None.
    """

    def __init__(self) -> None:
        self.solved_at: dict[str, float] | None = None
        self._groups: deque[tuple[float, int]] = deque()
        self._sum = 0.0
        self._count = 0

    def add(self, env_steps: int, seconds: float, return_sum: float, episodes: int) -> None:
        """Record episodes that finished by the given step and second."""
        if not episodes:
            return
        self._groups.append((return_sum, episodes))
        self._sum += return_sum
        self._count += episodes
        while self._count - self._groups[0][1] >= WINDOW:
            oldest_sum, oldest_count = self._groups.popleft()
            self._sum -= oldest_sum
            self._count -= oldest_count
        is_solved = self._count >= WINDOW and self._sum / self._count >= THRESHOLD
        if self.solved_at is None and is_solved:
            self.solved_at = {"env_steps": env_steps, "seconds": seconds}

    def add_updates(self, updates: Iterable[tuple[int, float, int]], seconds: float) -> None:
        """Record a compiled run's updates: (environment steps, mean return, episodes) each.

        The host sees no clock between updates inside a compiled program: `seconds` are divided in
        proportion to environment steps.
        """
        updates = list(updates)
        total = max(1, sum(update[0] for update in updates))
        done = 0
        for env_steps, mean_return, episodes in updates:
            done += env_steps
            self.add(
                done, seconds * done / total, mean_return * episodes if episodes else 0, episodes
            )
