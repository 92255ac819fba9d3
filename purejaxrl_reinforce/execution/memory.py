"""Memory of compiled programs, and free memory."""

from typing import Any

import jax
import psutil


def program_bytes(compiled: Any) -> int:
    """Return the most memory that a compiled program needs on each device, in bytes.

    That is arguments, results and temporaries; a result in a donated argument's memory counts once.
    """
    memory = compiled.memory_analysis()
    return int(
        memory.temp_size_in_bytes
        + memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes
    )


def require_memory(needed: int, remedy: str) -> None:
    """Raise ValueError if `needed` bytes are not free on the devices of this process."""
    free = free_bytes()
    if needed > free:
        raise ValueError(
            f"does not fit: {needed / 1e9:,.1f} GB are needed and {free / 1e9:,.1f} GB are free;"
            f" {remedy}"
        )


def free_bytes() -> int:
    """Return the memory that is free on the devices of this process, in bytes."""
    stats = [device.memory_stats() for device in jax.local_devices()]
    if None in stats:  # CPUs
        return int(psutil.virtual_memory().available)
    return sum(int(device["bytes_limit"] - device["bytes_in_use"]) for device in stats)


def tree_bytes(shapes: Any) -> int:
    """Return the size of all arrays, or of their shapes, in a tree."""
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(shapes))
