"""Every code block of README.md runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
# The two lines that set everything up: .ci/run runs them word for word in fresh checkouts.
SETUP = [text for language, text in BLOCKS if "-m venv" in text]
OTHERS = [block for block in BLOCKS if block[1] not in SETUP]


def test_every_block_is_of_a_kind_that_is_run():
    assert {language for language, _ in BLOCKS} == {"bash", "python"}
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


@pytest.mark.parametrize(("language", "text"), OTHERS, ids=lambda x: x[:20].strip())
def test_block(language, text, directory):
    bin_dir = Path(sys.executable).parent
    arguments = (
        [sys.executable, "-c"] if language == "python" else ["bash", "-euo", "pipefail", "-c"]
    )
    done = subprocess.run(
        [*arguments, text],
        cwd=directory, capture_output=True, text=True, timeout=250, check=False,
        env={
            **os.environ,
            "PATH": f"{bin_dir}{os.pathsep}{os.environ['PATH']}",
            "JAX_ENABLE_COMPILATION_CACHE": "true",  # of their own: several blocks train the same
            "JAX_COMPILATION_CACHE_DIR": str(directory / "compiled"),
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    if "greedy return" in text:
        assert "greedy return: 500.0" in done.stdout
    if "return in Gymnasium" in text:
        assert "return in Gymnasium: 500.0" in done.stdout
    if "rates, keys, updates" in text:
        assert "(3, 4, 20)" in done.stdout


def test_its_files_exist():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).exists(), target
