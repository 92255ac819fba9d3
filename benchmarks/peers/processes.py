"""Processes of the peers: one run each, all peers in turn."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from catalog import Peer
from environments import variables


class RunError(Exception):
    """A peer's process gave no result; the message is one line."""


@dataclass(frozen=True)
class Entry:
    """A peer with one network and one batch: its own, or one equal to ours.

    Attributes:
        peer: which.
        network: its title.
        variant: "own" or "equal".
        python: that runs it.
        given: settings to ask for, such as num_envs; {}: the peer's defaults.
    """

    peer: Peer
    network: str
    variant: str
    python: Path
    given: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Return the name in tables and figures."""
        return f"{self.peer.title}, {self.network}, {self.variant} batch"

    @property
    def identity(self) -> dict[str, str]:
        """Return what its results say of it."""
        names = {"entry": self.label, "peer": self.peer.name, "title": self.peer.title}
        return {**names, "network": self.network, "variant": self.variant}


def ask(entry: Entry, settings: dict[str, Any], timeout: float) -> dict[str, Any]:
    """Run a peer's program; return the JSON object that it prints last.

    Raises:
        RunError: it failed, took too long or printed none.
    """
    command = [str(entry.python), str(entry.peer.program), json.dumps(settings)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=variables(entry.peer, entry.python),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RunError(f"stopped after {timeout:.0f} seconds") from None
    except OSError as error:
        raise RunError(str(error)) from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RunError(f"exited {done.returncode}: {last}")
    for line in reversed(done.stdout.splitlines()):
        if line.startswith("{"):
            return json.loads(line)
    raise RunError("printed no result")


def measured(
    entries: list[Entry],
    seed: int,
    settings: dict[str, Any],
    timeout: float,
    announce: Callable[[str], None],
) -> Iterator[dict[str, Any]]:
    """Yield a result of every entry for a seed, in turn: disturbances then affect all alike.

    A run that fails is yielded with an "error".
    """
    for entry in entries:
        given = {**settings, **entry.given, "seed": seed, "launched_at": time.time()}
        try:
            result = ask(entry, given, timeout)
        except (RunError, json.JSONDecodeError) as error:
            announce(f"{entry.label}, seed {seed}: failed: {error}")
            yield {**entry.identity, "seed": seed, "error": str(error)}
            continue
        sps = result["env_steps"] / result["train_seconds"]
        solved = result["solved_at"]
        when = "not solved"
        if solved:
            waited = result["startup_seconds"] + result["compile_seconds"]
            solved["total_seconds"] = waited + solved["seconds"]
            when = "solved in {total_seconds:.2f} s, {seconds:.2f} of training".format(**solved)
        announce(f"{entry.label}, seed {seed}: {sps:,.0f} steps/s, {when}")
        yield {**entry.identity, **result, "sps": sps}
