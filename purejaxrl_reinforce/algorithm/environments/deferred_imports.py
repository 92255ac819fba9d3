"""Deferral of imports that a dependency makes for what is not used here."""

import contextlib
import importlib
import sys
import types
from collections.abc import Iterator
from typing import Any


class _Deferred(types.ModuleType):
    """Stands for a module that is imported once something of it is used."""

    def __getattr__(self, name: str) -> Any:
        _remove(self)
        return getattr(importlib.import_module(self.__name__), name)


@contextlib.contextmanager
def deferred_imports(*names: str) -> Iterator[None]:
    """Within the block, `import` gives those of these modules a stand-in that are not there yet.

    What was imported within the block keeps the stand-ins, which import their module when it is
    used. After it, whoever imports one of these modules gets the module itself.
    """
    stand_ins = {name: _Deferred(name) for name in names if name not in sys.modules}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for stand_in in stand_ins.values():
            _remove(stand_in)


def _remove(stand_in: types.ModuleType) -> None:
    if sys.modules.get(stand_in.__name__) is stand_in:
        del sys.modules[stand_in.__name__]
