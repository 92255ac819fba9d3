"""The house stays in order: a room imports only rooms before it, and nothing grows unseen."""

import ast
import itertools
import re
from pathlib import Path

import pytest

import purejaxrl_reinforce

PACKAGE = Path(purejaxrl_reinforce.__file__).parent
REPOSITORY = Path(__file__).parents[1]
ROOMS = (
    "named", "config", "imports", "presets", "tasks", "deferred", "environments", "algorithm",
    "kernels", "output", "config_file", "statistics", "decisions", "execution", "figures", "runs",
    "evaluation", "sweeps", "bench", "reports", "diagnosis", "cli",
)  # fmt: skip

# Most lines of Python below each folder. Whoever needs more takes something away first.
MOST_LINES = {
    "purejaxrl_reinforce": 17_160,
    "purejaxrl_reinforce/algorithm": 2_600,
    "tests": 11_260,
    "benchmarks": 3_910,
}
MOST_LINES_OF_A_ROOM = 2_600
MOST_FILES_OF_A_ROOM = 12
FEWEST_LINES_OF_A_FILE = 40  # of one that a single other imports


def modules():
    return [path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"]


def num_lines(*paths):
    return sum(len(path.read_text().splitlines()) for path in paths)


def imports(path):
    """Yield the modules of the package that a file imports, in or outside of its functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE.name):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(module):
    return module.split(".")[1]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_before_it(room):
    paths = [PACKAGE / f"{room}.py", *(PACKAGE / room).rglob("*.py")]
    allowed = ROOMS[: ROOMS.index(room) + 1]
    wrong = {
        (path.name, module)
        for path in paths
        if path.exists()
        for module in imports(path)
        if "." in module and room_of(module) in ROOMS and room_of(module) not in allowed
    }
    assert not wrong


def test_every_module_has_a_room():
    tops = {
        path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in PACKAGE.rglob("*.py")
    }
    assert tops == {*ROOMS, "__init__", "__main__"}


@pytest.mark.parametrize("folder", MOST_LINES)
def test_a_folder_keeps_to_its_lines(folder):
    assert num_lines(*(REPOSITORY / folder).rglob("*.py")) <= MOST_LINES[folder]


@pytest.mark.parametrize("room", [path for path in PACKAGE.iterdir() if path.is_dir()], ids=str)
def test_a_room_keeps_to_its_lines_and_files(room):
    assert num_lines(*room.rglob("*.py")) <= MOST_LINES_OF_A_ROOM
    for _, files in itertools.groupby(sorted(room.rglob("*.py")), key=lambda path: path.parent):
        assert len(list(files)) - 1 <= MOST_FILES_OF_A_ROOM


def test_private_names_of_jax_stand_in_one_file_per_room():
    private = re.compile(
        r"jax\._src|jax\.extend\.|jax\.experimental\.(topologies|compilation_cache)"
        r"|jax\.experimental import (topologies|multihost_utils|compilation_cache)"
    )
    files = [path for path in PACKAGE.rglob("*.py") if private.search(path.read_text())]
    rooms = [path.relative_to(PACKAGE).parts[0] for path in files]
    assert len(rooms) == len(set(rooms)), files


def test_a_short_file_has_more_than_one_importer():
    names = {
        path: ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in modules()
    }
    importers = dict.fromkeys(names, 0)
    for file in PACKAGE.rglob("*.py"):
        found = set(imports(file))
        for path, name in names.items():
            importers[path] += name in found and path != file
    short = [p for p in names if num_lines(p) < FEWEST_LINES_OF_A_FILE and importers[p] == 1]
    assert not short
