"""Every code block of README.md runs."""

import re
import shlex
from pathlib import Path

import jax
import pytest

from purejaxrl_reinforce.cli.main import main

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
# The two lines that set everything up: .ci/run runs them word for word in fresh checkouts.
SETUP = [text for language, text in BLOCKS if "-m venv" in text]
OTHERS = [block for block in BLOCKS if block[1] not in SETUP]
RESULTS = {
    "greedy return": "greedy return: 500.0",
    "return in Gymnasium": "return in Gymnasium: 500.0",
    "rates, keys, updates": "(3, 4, 20)",
}


def test_every_block_is_of_a_kind_that_is_run():
    assert {language for language, _ in BLOCKS} == {"bash", "python"}


def test_the_set_up_is_two_lines_that_ci_runs():
    ci = (ROOT / ".ci" / "run").read_text()
    assert len(SETUP) == 2
    for text in SETUP:
        assert text.count("\n") == 1
        assert text.startswith("python3 -m venv .venv && .venv/bin/pip install -q ")
    assert "readme_line 'purejaxrl-reinforce train'" in ci
    assert "readme_line pytest" in ci


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """One for all blocks, since some use what an earlier one wrote."""
    return tmp_path_factory.mktemp("readme")


# Short examples may leave files for the interpreter to close.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("language", "text"), OTHERS, ids=lambda x: x[:20].strip())
def test_block(language, text, directory, monkeypatch, capsys):
    """In this process: .ci/run proves that the installed command starts."""
    monkeypatch.chdir(directory)
    if language == "python":
        with jax.debug_key_reuse(False):  # which takes vmap over vmap for a second use
            exec(compile(text, "README.md", "exec"), {"__name__": "__main__"})
    else:
        for line in text.splitlines():
            program, *arguments = shlex.split(line)
            assert program == "purejaxrl-reinforce"
            assert main(arguments) == 0, line
    printed = capsys.readouterr().out
    for words, result in RESULTS.items():
        assert words not in text or result in printed


def test_every_result_is_checked():
    for words in RESULTS:
        assert sum(words in text for _, text in OTHERS) == 1


def test_its_files_exist():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).exists(), target
