"""`jax.jit` that keeps the types of a function for mypy and pyright."""

from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar, cast

import jax

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


class Jitted(Protocol[P, R_co]):
    """A compiled function, with the signature of the function that it was made of."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Compile at the first call with these shapes and static arguments, and run."""

    def trace(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Return what `jax.jit` calls traced."""

    def lower(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Return what `jax.jit` calls lowered."""


def jit(*static_argnames: str) -> Callable[[Callable[P, R_co]], Jitted[P, R_co]]:
    """Return a decorator: `jax.jit` with these arguments static."""

    def decorate(function: Callable[P, R_co]) -> Jitted[P, R_co]:
        jitted: Any = jax.jit(function, static_argnames=static_argnames)
        return cast(Jitted[P, R_co], jitted)

    return decorate
