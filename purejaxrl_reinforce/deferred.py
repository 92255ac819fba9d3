"""Imports by other libraries that nobody needs here, put off until somebody does."""

import contextlib
import importlib
import sys
import types
from collections.abc import Iterator
from typing import Any

# gymnax imports these for its plots; flax for tables of networks, and for kernels. A package comes
# before its modules.
_NOT_USED = (
    "matplotlib", "matplotlib.pyplot", "matplotlib.colors", "seaborn", "rich", "rich.console",
    "rich.table", "rich.text", "yaml", "jax.extend.pallas",
)  # fmt: skip


class _Deferred(types.ModuleType):
    """Stands for a module that is imported once something of it is used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python's import looks for these
            raise AttributeError(name)
        _remove(self.__name__.partition(".")[0])
        return getattr(importlib.import_module(self.__name__), name)


def _remove(package: str) -> None:
    """Let `import` give the modules of a package themselves."""
    for name, module in list(sys.modules.items()):
        if isinstance(module, _Deferred) and name.partition(".")[0] == package:
            del sys.modules[name]


@contextlib.contextmanager
def deferred_imports() -> Iterator[None]:
    """Within the block, `import` gives a stand-in for what is not used and not there yet.

    Who imported one keeps it; it imports its module when it is used. After the block, `import`
    gives the module itself.
    """
    stand_ins = {name: _Deferred(name) for name in _NOT_USED if name not in sys.modules}
    sys.modules.update(stand_ins)
    for name, stand_in in stand_ins.items():
        package, _, module = name.rpartition(".")
        if package in sys.modules:
            setattr(sys.modules[package], module, stand_in)
    try:
        yield
    finally:
        for package in {name.partition(".")[0] for name in stand_ins}:
            _remove(package)
