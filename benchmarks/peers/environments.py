"""Virtual environments of the peers, one each, from pinned requirements; checkouts of others."""

import os
import subprocess
import sys
from pathlib import Path

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
