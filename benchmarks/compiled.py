"""Functions compiled ahead of time, with the seconds that took."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from purejaxrl_reinforce.bench.timing import cold_caches
from purejaxrl_reinforce.execution.program import program_bytes


class Compiled(NamedTuple):
    """A function compiled ahead of time.

    Attributes:
        call: runs it; takes the arguments that are not static.
        seconds: of tracing and compiling, with cold caches.
        memory_bytes: of arguments, results and temporaries, on one device.
    """

    call: Callable[..., Any]
    seconds: float
    memory_bytes: int


def compile_apart(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Compiled:
    """Compile `function`, jitted or not, for these arguments, and measure that."""
    jitted: Any = function if hasattr(function, "lower") else jax.jit(function)
    with cold_caches():
        started = time.perf_counter()
        compiled = jitted.lower(*args, **kwargs).compile()
        seconds = time.perf_counter() - started
    return Compiled(compiled, seconds, program_bytes(compiled))
