"""Imports for plots wait until something is drawn, and stay out of everybody's way."""

import subprocess
import sys

import pytest

from purejaxrl_reinforce.algorithm.environments.environment import deferred_imports

GYMNAX = """
import sys
from purejaxrl_reinforce.algorithm.environments.environment import make
make("CartPole-v1")
assert not {"seaborn", "matplotlib.pyplot", "pandas"} & set(sys.modules)
from gymnax.environments.misc import pong
import seaborn
import matplotlib.pyplot
assert pong.sns.color_palette is seaborn.color_palette
assert pong.plt.subplots is matplotlib.pyplot.subplots
"""


def test_gymnax_imports_what_it_draws_with_when_it_draws():
    subprocess.run([sys.executable, "-c", GYMNAX], check=True, timeout=200)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a package that nobody has imported."""
    (tmp_path / "rarely_used").mkdir()
    (tmp_path / "rarely_used" / "__init__.py").write_text("answer = 42")
    (tmp_path / "rarely_used" / "part.py").write_text("answer = 43")
    monkeypatch.syspath_prepend(tmp_path)
    yield "rarely_used"
    for name in ("rarely_used", "rarely_used.part"):
        sys.modules.pop(name, None)


def test_a_stand_in_imports_its_module_when_it_is_used(module):
    with deferred_imports(module):
        import rarely_used
    assert module not in sys.modules
    assert rarely_used.answer == 42
    assert sys.modules[module] is not rarely_used


def test_what_is_used_at_once_is_imported_at_once(module):
    with deferred_imports(module):
        import rarely_used.part
        from rarely_used import answer
    assert (answer, rarely_used.part.answer) == (42, 43)
    assert sys.modules[module].part.answer == 43


def test_modules_that_are_there_stay(module):
    import rarely_used

    with deferred_imports(module):
        import rarely_used as again
    assert again is rarely_used
