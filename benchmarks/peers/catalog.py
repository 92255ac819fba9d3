"""Catalog of the peers; benchmarks/README.md says what is not comparable about each."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Peer:
    """A trainer to compare with.

    Attributes:
        name: in the options, the results and the names of its files.
        title: for the table and the figure.
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
        # Its default batch is the equal one.
        Peer("ours", "this package", batches=("equal",), own_environment=False),
        Peer("idiomatic", "idiomatic JAX", own_environment=False),
        Peer("sb3_a2c", "SB3 A2C", network="2 x 64 tanh", batches=("own",)),
        Peer("rejax", "rejax PPO", network="2 x 64 swish"),
        Peer(
            "purejaxrl",
            "PureJaxRL PPO",
            network="2 x 64 tanh",
            batches=("own",),
            max_env_steps=500_000,
            repository="https://github.com/luchris429/purejaxrl",
            commit="31756b197773a52db763fdbe6d635e4b46522a73",
        ),
    )
}
