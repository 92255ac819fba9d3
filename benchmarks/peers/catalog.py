"""Catalog of the peers, and what is not comparable about each."""

from dataclasses import dataclass
from pathlib import Path

# The names of the networks that some peers can be told to train (protocol.NETWORKS).
NETWORK_TITLES = {"small": "64 ReLU", "deep": "2 x 64 tanh"}


@dataclass(frozen=True)
class Peer:
    """A trainer to compare with.

    Attributes:
        name: in the options, the results and the names of its files.
        title: for the table and the figure.
        caveat: what keeps its figures from being compared one to one.
        network: the title of its own network; None: it is told which.
        batches: which it runs with: "own", its default, and "equal", ours. Not the equal one where
            that teaches nothing or takes minutes.
        max_env_steps: its own budget of environment steps; None: that of all.
        own_environment: whether it runs in a virtual environment with its own requirements; if
            not, in the interpreter of compare.py.
        directory: of its program and its requirements.
        repository: git repository of a peer that is no package; its process finds a checkout in
            the environment variable PEER_SOURCES.
        commit: of that repository.
    """

    name: str
    title: str
    caveat: str
    network: str | None = None
    batches: tuple[str, ...] = ("own", "equal")
    max_env_steps: int | None = None
    own_environment: bool = True
    directory: Path = Path(__file__).parent
    repository: str | None = None
    commit: str = ""

    @property
    def program(self) -> Path:
        """Return the path of the script that trains it."""
        return self.directory / f"run_{self.name}.py"

    @property
    def requirements(self) -> Path:
        """Return the path of the pins of its environment."""
        return self.directory / "requirements" / f"{self.name}.txt"


PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            "ours",
            "this package",
            "Its default batch is the equal batch. It runs to the end of its budget, over which "
            "its learning rates fall to zero.",
            batches=("equal",),
            own_environment=False,
        ),
        Peer(
            "idiomatic",
            "idiomatic JAX",
            "Streams of steps with automatic reset, not whole episodes, and no bootstrap at the "
            "time limit; its own batch is its fastest, not one tuned for learning.",
            own_environment=False,
        ),
        Peer(
            "sb3_a2c",
            "SB3 A2C",
            "Bootstraps n-step returns; its learning rate is meant for batches of 20 steps. More "
            "environments would play faster and learn from larger batches than that.",
            network="2 x 64 tanh",
            batches=("own",),
        ),
        Peer(
            "rejax",
            "rejax PPO",
            "PPO takes eight epochs over each batch. When it has solved the task is read off "
            "evaluation episodes, whose time does not count.",
            network="2 x 64 swish",
        ),
        Peer(
            "purejaxrl",
            "PureJaxRL PPO",
            "PPO takes four epochs over each batch. Its script runs as it is: one program, which "
            "cannot stop early, over the 500,000 steps that it sets itself; beside gymnax 0.0.9, "
            "without brax and navix, which it does not use.",
            network="2 x 64 tanh",
            batches=("own",),
            repository="https://github.com/luchris429/purejaxrl",
            commit="31756b197773a52db763fdbe6d635e4b46522a73",
            max_env_steps=500_000,
        ),
    )
}
