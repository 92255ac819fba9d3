"""The public names: found by tab completion, typed, and taking plain arguments."""

import doctest
import importlib.metadata
import re
import sys

import pytest

import purejaxrl_reinforce
from tests.support.processes import ROOT, run_python

# Whose example uses what another one leaves, after it.
FIRST = ("train_run", "save", "sweep")
# A script of the documents, which has no mistake.
EXAMPLE = ROOT / "docs" / "pages" / "examples" / "typed.py"
CHECKERS = {
    "mypy": ["--strict", "--config-file", str(ROOT / "pyproject.toml")],
    "pyright": ["--pythonpath", sys.executable],
}


@pytest.mark.slow
@pytest.mark.parametrize("checker", CHECKERS)
def test_functions_keep_their_types(checker, tmp_path):
    pytest.importorskip(checker)
    script = EXAMPLE.read_text() + "train(config, 0)\npurejaxrl_reinforce.trian\n"
    (tmp_path / "script.py").write_text(script)
    # From a directory of its own mypy says nothing of what it would find in the package.
    ran = run_python("-m", checker, *CHECKERS[checker], "script.py", cwd=tmp_path)
    number = script.count("\n")
    argument, missing = (line for line in ran.stdout.splitlines() if " error: " in line)
    assert re.search(rf'script.py:{number - 1}:.* error: Argument .*"train"', argument), argument
    assert re.search(rf"script.py:{number}:.* error: .*trian", missing), missing


def test_public_names_are_listed_and_there():
    names = purejaxrl_reinforce.__all__
    assert dir(purejaxrl_reinforce) == sorted([*names, "__version__"])
    assert {"Config", "train", "evaluate", "train_run", "sweep"} <= set(names)
    assert all(getattr(purejaxrl_reinforce, name).__doc__ for name in names)
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        purejaxrl_reinforce.trian  # noqa: B018
    version = importlib.metadata.version("purejaxrl_reinforce")
    assert purejaxrl_reinforce.__version__ == version


@pytest.mark.slow
def test_every_public_name_has_an_example_that_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner()
    for name in dict.fromkeys((*FIRST, *purejaxrl_reinforce.__all__)):
        thing = getattr(purejaxrl_reinforce, name)
        (test,) = finder.find(getattr(thing, "__wrapped__", thing), name, globs={})
        assert test.examples, name
        assert not runner.run(test, out=print).failed, name
