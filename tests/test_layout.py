"""A room imports only rooms before it."""

import ast
from pathlib import Path

import pytest

import purejaxrl_reinforce

PACKAGE = Path(purejaxrl_reinforce.__file__).parent
ROOMS = (
    "config", "presets", "tasks", "algorithm", "kernels", "output", "config_file",
    "statistics", "execution", "figures", "runs", "bench", "evaluation", "sweeps", "reports", "cli",
)  # fmt: skip


def imported_rooms(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE.name + "."):
            yield node.module.split(".")[1]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_before_it(room):
    paths = [PACKAGE / f"{room}.py", *(PACKAGE / room).rglob("*.py")]
    paths = [path for path in paths if path.exists()]
    allowed = ROOMS[: ROOMS.index(room) + 1]
    wrong = {(path.name, name) for path in paths for name in imported_rooms(path)}
    assert not {pair for pair in wrong if pair[1] not in allowed}


def test_every_module_has_a_room():
    tops = {
        path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in PACKAGE.rglob("*.py")
    }
    assert tops == {*ROOMS, "__init__", "__main__"}
