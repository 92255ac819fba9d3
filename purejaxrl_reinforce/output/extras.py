"""Optional packages, which only some verbs need."""

import importlib.util


def require_extra(extra: str, *modules: str) -> None:
    """Raise ValueError, with the line that installs `extra`, unless all `modules` are there."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise ValueError(
            f"this needs {' and '.join(missing)}: pip install '.[{extra}]' in a clone of the"
            " repository"
        )
