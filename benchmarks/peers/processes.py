"""Processes of the peers, one run each, in virtual environments of their own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from catalog import Peer

INSTALL_SECONDS = 1800


class PeerError(Exception):
    """A peer could not be installed or gave no result; the message is one line."""


def interpreter(peer: Peer, directory: Path) -> Path:
    """Return the Python that runs a peer; make its environment if it is not there yet.

    Raises:
        PeerError: that failed.
    """
    if not peer.own_environment:
        return Path(sys.executable)
    home = directory / peer.name
    if peer.repository is not None:
        path = sources(peer, directory)
        if not path.is_dir():
            _output(["git", "clone", "-q", peer.repository, str(path)])
        _output(["git", "-C", str(path), "checkout", "-q", peer.commit])
    python = home / "bin" / "python"
    done = home / "installed.txt"
    pins = peer.requirements.read_text()
    # Written last, so that an interrupted installation, or one of other pins, is done again.
    if not done.is_file() or done.read_text() != pins:
        _output([sys.executable, "-m", "venv", "--clear", str(home)])
        _output([str(python), "-m", "pip", "install", "-q", "-r", str(peer.requirements)])
        done.write_text(pins)
    return python


def sources(peer: Peer, directory: Path) -> Path:
    """Return where the checkout of a peer's repository is."""
    return directory / f"{peer.name}-sources"


def variables(peer: Peer, python: Path) -> dict[str, str]:
    """Return the environment variables of a peer's process."""
    kept = dict(os.environ)
    if peer.repository is not None:
        kept["PEER_SOURCES"] = str(sources(peer, python.parents[2]))
    if peer.own_environment:
        kept.pop("PYTHONPATH", None)  # its packages are its own
    return kept


def _output(
    command: list[str], timeout: float = INSTALL_SECONDS, env: dict[str, str] | None = None
) -> str:
    """Return what a command prints.

    Raises:
        PeerError: it failed or took too long.
    """
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, env=env, check=False
        )
    except subprocess.TimeoutExpired:
        raise PeerError(f"stopped after {timeout:.0f} seconds") from None
    except OSError as error:
        raise PeerError(str(error)) from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        # After an error of its own, pip may print a notice.
        errors = [line for line in lines if line.startswith("ERROR")]
        raise PeerError(f"exited {done.returncode}: {(errors or lines)[-1]}")
    return done.stdout


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

    def run(self, settings: dict[str, Any], timeout: float) -> dict[str, Any]:
        """Run the peer's program; return the JSON object that it prints last.

        Raises:
            PeerError: it failed or took too long.
        """
        command = [str(self.python), str(self.peer.program), json.dumps(settings)]
        output = _output(command, timeout, variables(self.peer, self.python))
        return json.loads(output.splitlines()[-1])


def measured(
    entries: list[Entry],
    seed: int,
    settings: dict[str, Any],
    timeout: float,
) -> Iterator[dict[str, Any]]:
    """Yield a result of every entry for a seed, in turn: disturbances then affect all alike.

    A run that fails is yielded with an "error".
    """
    for entry in entries:
        peer, settings_of_run = entry.peer, {**settings, **entry.given, "seed": seed}
        run = {
            **{"entry": entry.label, "peer": peer.name, "title": peer.title},
            **{"network": entry.network, "variant": entry.variant, "seed": seed},
        }
        try:
            result = entry.run({**settings_of_run, "launched_at": time.time()}, timeout)
        except PeerError as error:
            print(f"{entry.label}, seed {seed}: failed: {error}", file=sys.stderr)
            yield {**run, "error": str(error)}
            continue
        sps = result["env_steps"] / result["train_seconds"]
        solved = result["solved_at"]
        when = "not solved"
        if solved:
            waited = result["startup_seconds"] + result["compile_seconds"]
            solved["total_seconds"] = waited + solved["seconds"]
            when = "solved in {total_seconds:.2f} s, {seconds:.2f} of training".format(**solved)
        print(f"{entry.label}, seed {seed}: {sps:,.0f} steps/s, {when}", file=sys.stderr)
        yield {**run, **result, "sps": sps}
