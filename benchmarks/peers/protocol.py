"""Protocol between compare.py and a peer: settings as a JSON argument, one JSON line of output;
and when a run has solved the task, by one rule for every peer.

    python run_sb3_a2c.py '{"seed": 3, "max_seconds": 20}'

Standard library only: every peer's environment has it.
"""

import json
import sys
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib import metadata
from typing import Any

# A run has solved the task once the mean return of so many finished episodes reaches this.
WINDOW = 100
THRESHOLD = 475.0

# What is measured with two networks is measured with these, by title: our preset's, and the one
# that most libraries default to.
NETWORKS: dict[str, dict[str, Any]] = {
    "64 ReLU": {"hidden_sizes": (64,), "activation": "relu"},
    "2 x 64 tanh": {"hidden_sizes": (64, 64), "activation": "tanh"},
}


@dataclass(frozen=True)
class Settings:
    """Settings of one training run of a peer."""

    seed: int = 0
    num_envs: int | None = None
    """Environments side by side. None: the peer's own default."""
    num_steps: int | None = None
    """Steps per environment and update. None: the peer's own default."""
    network: str = "64 ReLU"
    """Of NETWORKS; a peer with a network of its own ignores it."""
    max_env_steps: int = 3_200_000
    """Environment steps after which training stops; what the peer's schedules are laid out for."""
    max_seconds: float = 120.0
    """Training time after which a peer that can be interrupted stops, as it does once solved."""
    launched_at: float | None = None
    """Unix time at which the peer's process was started; None: unknown."""

    def seconds_since_start(self) -> float:
        """Return how long the peer's process has been running, interpreter and imports included."""
        return time.time() - self.launched_at if self.launched_at else 0.0


@dataclass(kw_only=True)
class Result:
    """Result of one training run of a peer on CartPole-v1.

    `seconds` everywhere count training alone: no imports and no compilation.
    """

    algorithm: str
    batch: dict[str, int]
    """num_envs and num_steps."""
    startup_seconds: float
    """Interpreter, imports and construction, excluding compilation."""
    compile_seconds: float
    """Tracing and compiling; 0 for an eager program."""
    train_seconds: float
    env_steps: int
    solved_at: dict[str, float] | None
    """env_steps and seconds at which the mean return first reached 475; None: never."""
    versions: dict[str, str] = field(default_factory=dict)

    def send(self, *packages: str) -> None:
        """Print the result as one line, with the versions of the packages that matter."""
        self.versions = {name: metadata.version(name) for name in packages}
        self.versions["python"] = sys.version.split()[0]
        print(json.dumps(asdict(self)), flush=True)


def read_settings(argv: list[str]) -> Settings:
    """Return the settings in the program's one argument, a JSON object; none: the defaults."""
    return Settings(**json.loads(argv[0])) if argv else Settings()


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

    def add_updates(
        self,
        updates: Iterable[tuple[int, float, int]],
        seconds: float,
        after: tuple[int, float] = (0, 0.0),
    ) -> None:
        """Record a compiled run's updates: (environment steps, mean return, episodes) each.

        The host sees no clock between updates inside a compiled program: `seconds` are divided in
        proportion to environment steps.

        Args:
            updates: to record.
            seconds: that they took together.
            after: environment steps and seconds before them.
        """
        updates = list(updates)
        total, done = max(1, int(sum(update[0] for update in updates))), 0
        for env_steps, mean_return, episodes in updates:
            done += int(env_steps)
            return_sum = float(mean_return) * int(episodes) if episodes else 0.0
            at = after[1] + seconds * done / total
            self.add(after[0] + done, at, return_sum, int(episodes))
