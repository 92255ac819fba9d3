"""Protocol between compare.py and a peer: settings as a JSON argument, one JSON line of output.

    python run_sb3_a2c.py '{"seed": 3, "max_seconds": 20}'

Standard library only: every peer's environment has it.
"""

import json
import sys
import time
from dataclasses import asdict, dataclass, field, fields
from importlib import metadata
from typing import Any, NoReturn

# What trainers that let us choose are asked for: our preset's network, and the one that most
# libraries default to.
NETWORKS: dict[str, dict[str, Any]] = {
    "small": {"hidden_sizes": (64,), "activation": "relu"},
    "deep": {"hidden_sizes": (64, 64), "activation": "tanh"},
}


@dataclass(frozen=True)
class Settings:
    """Settings of one training run of a peer."""

    seed: int = 0
    num_envs: int | None = None
    """Environments side by side. None: the peer's own default."""
    num_steps: int | None = None
    """Steps per environment and update. None: the peer's own default."""
    network: str = "small"
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

    peer: str
    algorithm: str
    seed: int
    batch: dict[str, Any]
    """num_envs, num_steps, and what else the peer does with a batch."""
    startup_seconds: float
    """Interpreter, imports and construction, compilation apart."""
    compile_seconds: float
    """Tracing and compiling; 0 for an eager program."""
    train_seconds: float
    env_steps: int
    solved_at: dict[str, float] | None
    """env_steps and seconds at which the mean return first reached 475; None: never."""
    stopped_by: str
    """"solved", or which budget was spent: "env_steps" or "seconds"."""
    versions: dict[str, str] = field(default_factory=dict)

    def send(self, *packages: str) -> None:
        """Print the result as one line, with the versions of the packages that matter."""
        self.versions = {name: metadata.version(name) for name in packages}
        self.versions["python"] = sys.version.split()[0]
        print(json.dumps(asdict(self)), flush=True)


def read_settings(argv: list[str]) -> Settings:
    """Return the settings in the program's one argument, a JSON object; none: the defaults."""
    given = read_object(argv)
    known = {f.name for f in fields(Settings)}
    unknown = sorted(set(given) - known)
    if unknown:
        refuse(f"unknown setting {unknown[0]!r}; there are {', '.join(sorted(known))}")
    settings = Settings(**given)
    if settings.network not in NETWORKS:
        refuse(f"unknown network {settings.network!r}; there are {', '.join(NETWORKS)}")
    optional = [x for x in (settings.num_envs, settings.num_steps) if x is not None]
    for size in (settings.max_env_steps, settings.max_seconds, *optional):
        if isinstance(size, bool) or not isinstance(size, (int, float)) or size <= 0:
            refuse(f"sizes and budgets must be numbers above 0, not {size!r}")
    return settings


def read_object(argv: list[str]) -> dict[str, Any]:
    """Return the JSON object in the program's one argument; none: {}."""
    try:
        given = json.loads(argv[0]) if argv else {}
    except json.JSONDecodeError as error:
        refuse(f"the settings are not JSON: {error}")
    if not isinstance(given, dict) or len(argv) > 1:
        refuse("give the settings as one JSON object")
    return given


def refuse(message: str) -> NoReturn:
    """End with one line and the exit code of bad input."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)
