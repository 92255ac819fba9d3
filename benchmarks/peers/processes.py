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


class InstallError(Exception):
    """A peer's environment could not be made; the message is one line."""


def interpreter(peer: Peer, directory: Path) -> Path:
    """Return the Python that runs a peer; make its environment if it is not there yet.

    Raises:
        InstallError: that failed.
    """
    if not peer.own_environment:
        return Path(sys.executable)
    home = directory / peer.name
    if peer.repository is not None:
        _check_out(peer.repository, peer.commit, sources(peer, directory))
    python = home / "bin" / "python"
    done = home / "installed.txt"
    pins = peer.requirements.read_text()
    # Written last, so that an interrupted installation, or one of other pins, is done again.
    if not done.is_file() or done.read_text() != pins:
        _run([sys.executable, "-m", "venv", "--clear", str(home)])
        _run([str(python), "-m", "pip", "install", "-q", "-r", str(peer.requirements)])
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


def _check_out(repository: str, commit: str, path: Path) -> None:
    if not path.is_dir():
        _run(["git", "clone", "-q", repository, str(path)])
    _run(["git", "-C", str(path), "checkout", "-q", commit])


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallError(str(error)) from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        last = (lines or done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InstallError(f"{Path(command[0]).name} exited {done.returncode}: {last}")


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
) -> Iterator[dict[str, Any]]:
    """Yield a result of every entry for a seed, in turn: disturbances then affect all alike.

    A run that fails is yielded with an "error".
    """
    for entry in entries:
        given = {**settings, **entry.given, "seed": seed, "launched_at": time.time()}
        try:
            result = ask(entry, given, timeout)
        except (RunError, json.JSONDecodeError) as error:
            print(f"{entry.label}, seed {seed}: failed: {error}", file=sys.stderr)
            yield {**entry.identity, "seed": seed, "error": str(error)}
            continue
        sps = result["env_steps"] / result["train_seconds"]
        solved = result["solved_at"]
        when = "not solved"
        if solved:
            waited = result["startup_seconds"] + result["compile_seconds"]
            solved["total_seconds"] = waited + solved["seconds"]
            when = "solved in {total_seconds:.2f} s, {seconds:.2f} of training".format(**solved)
        print(f"{entry.label}, seed {seed}: {sps:,.0f} steps/s, {when}", file=sys.stderr)
        yield {**entry.identity, **result, "seed": seed, "sps": sps}
