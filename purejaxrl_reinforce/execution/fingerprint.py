"""Fingerprints of trainings: whether two programs, machines or versions compute the same."""

import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

# Updates that a fingerprint is taken after: some rounding has spread by then, and little time gone.
UPDATES = 10
# Parameters that are kept as numbers, evenly spaced over all, and the digits of each.
_KEPT, _DIGITS = 256, 4

SAME_BITS, SAME_ROUNDED, DIFFERS = "same bits", "same to 1e-4", "differs"


def fingerprint(params: Any, updates: int, seed: int) -> dict[str, Any]:
    """Return the SHA-256 of all parameters, and some of them rounded to 1e-4, as plain values.

    A hash of rounded numbers would change whenever one of thousands lies at the edge of its cell.
    So the coarse part is numbers, which `compare_fingerprints` takes as equal within 1e-4.
    """
    # By their names: states of kept programs are trees of another kind, in another order.
    named = {
        jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(x, np.float32)
        for path, x in jax.tree_util.tree_leaves_with_path(params)
    }
    values = np.concatenate([named[name].ravel() for name in sorted(named)])
    chosen = np.linspace(0, len(values) - 1, min(_KEPT, len(values))).astype(int)
    return {
        "updates": updates,
        "seed": seed,
        "sha256": hashlib.sha256(values.tobytes()).hexdigest(),
        "num_parameters": len(values),
        "rounded": values[chosen].astype(float).round(_DIGITS).tolist(),
    }


def compare_fingerprints(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    """Return SAME_BITS, SAME_ROUNDED or DIFFERS."""
    if any(a[name] != b[name] for name in ("updates", "seed", "num_parameters")):
        return DIFFERS
    if a["sha256"] == b["sha256"]:
        return SAME_BITS
    x, y = (np.asarray(z["rounded"], float) for z in (a, b))
    # Either was rounded by half a unit at most.
    is_close = x.shape == y.shape and bool(np.all(np.abs(x - y) < 2 * 10.0**-_DIGITS))
    return SAME_ROUNDED if is_close else DIFFERS
