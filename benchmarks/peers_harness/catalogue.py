"""Which peers there are, and what is not comparable about each."""

from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(__file__).parent.parent / "peers"


@dataclass(frozen=True)
class Peer:
    """A program to measure.

    Attributes:
        name: what the command line and the results call it.
        script: file in benchmarks/peers/.
        title: for the table and the picture.
        caveat: what keeps its figures from being compared one to one.
        own_environment: whether it runs in a virtual environment with its own requirements; if
            not, in the interpreter of the orchestrator.
    """

    name: str
    script: str
    title: str
    caveat: str
    own_environment: bool = True

    @property
    def path(self) -> Path:
        """Return the program."""
        return SCRIPTS / self.script

    @property
    def requirements(self) -> Path:
        """Return the pins of its environment."""
        return SCRIPTS / "requirements" / f"{self.name}.txt"


PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            "ours",
            "ours.py",
            "this package",
            "Its default batch is the equal batch, so it runs once.",
            own_environment=False,
        ),
        Peer(
            "idiomatic",
            "idiomatic_run.py",
            "idiomatic JAX",
            "Streams of steps with automatic reset, not whole episodes, and no bootstrap at the "
            "time limit; its own batch is the fastest of a sweep, not one tuned for learning.",
            own_environment=False,
        ),
        Peer(
            "torch_notebook",
            "torch_notebook.py",
            "eager PyTorch",
            "One environment whatever the batch; an equal batch only means fewer updates.",
        ),
        Peer(
            "sb3_a2c",
            "sb3_a2c.py",
            "SB3 A2C",
            "Bootstraps n-step returns; its learning rate is meant for batches of 20 steps.",
        ),
        Peer(
            "sbx",
            "sbx.py",
            "SBX PPO",
            "SBX has neither A2C nor REINFORCE. PPO takes ten epochs over each batch, so a step "
            "costs more and teaches more. Environments are stepped by Python.",
        ),
        Peer(
            "rejax",
            "rejax.py",
            "rejax PPO",
            "PPO takes eight epochs over each batch. Its curve is of evaluation episodes, made in "
            "a second, untimed run; its final evaluation samples actions.",
        ),
        Peer(
            "tianshou",
            "tianshou.py",
            "Tianshou REINFORCE",
            "No baseline; two epochs over each batch in minibatches of 64. An equal batch is as "
            "many whole episodes.",
        ),
    )
}
