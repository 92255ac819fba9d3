"""Every code block of README.md and of docs/pages runs; every link leads somewhere."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import jax
import pytest

import purejaxrl_reinforce
from purejaxrl_reinforce.cli.main import main

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "pages").glob("*.md"))]
LINKING = [
    *(*PAGES, ROOT / "benchmarks" / "README.md"),
    *(ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
]
# Set-up and what needs several hosts or a compiler are sessions at a prompt: read, not run.
READ_ONLY = "console"
RESULTS = {
    "greedy return": "greedy return: 500.0",
    "return in Gymnasium": "return in Gymnasium: 500.0",
    "rates, keys, updates": "(3, 4, 20)",
    "trials told": "trials told: 128",
}


def blocks(page):
    """Return language, file name or "", and text of each block."""
    fence = r'^```(\w*)(?: title="(.*?)")?\n(.*?)^```'
    return re.findall(fence, page.read_text(), re.DOTALL | re.MULTILINE)


# The two lines that set everything up: .ci/run runs them word for word in fresh checkouts.
SETUP = [text for kind, _, text in blocks(PAGES[0]) if kind == "bash" and "-m venv" in text]
RUN = [
    (page, *block)
    for page in PAGES
    for block in blocks(page)
    if block[0] != READ_ONLY and block[2] not in SETUP
]


def test_every_block_is_of_a_kind_that_is_run_and_every_result_is_checked():
    assert {language for _, language, *_ in RUN} == {"bash", "python"}
    assert all(any(words in text for *_, text in RUN) for words in RESULTS)


def test_the_set_up_is_two_lines_that_ci_runs():
    ci = (ROOT / ".ci" / "run").read_text()
    assert len(SETUP) == 2
    for text in SETUP:
        assert text.count("\n") == 1
        assert text.startswith("python3 -m venv .venv && .venv/bin/pip install -q ")
    assert "readme_line 'purejaxrl-reinforce train'" in ci
    assert "readme_line pytest" in ci


# Short examples may leave files for the interpreter to close.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(1800)
@pytest.mark.slow
def test_blocks(tmp_path, monkeypatch, capsys):
    """In this process, since .ci/run proves that the installed command starts.

    All pages share a directory, so that a command that several of them have runs once; blocks of a
    page share their names.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    done, names = set(), {}
    for page, language, name, text in RUN:
        if name:
            Path(name).write_text(text)
        elif language == "python":
            with jax.debug_key_reuse(False):  # which takes vmap over vmap for a second use
                names.setdefault(page, {"__name__": "__main__"})
                exec(compile(text, str(page), "exec"), names[page])
        else:
            for line in text.splitlines():
                program, *arguments = shlex.split(line)
                assert program == "purejaxrl-reinforce"
                assert line in done or main(arguments) == 0, (page.name, line)
                done.add(line)
        printed = capsys.readouterr().out
        for words, result in RESULTS.items():
            assert words not in text or result in printed


def test_links_within_the_repository_lead_somewhere():
    for page in LINKING:
        for target in re.findall(r"\]\((?!http|#)([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            path = page.parent / target
            assert path.exists(), (page.name, target)
            assert not path.is_symlink(), "a Git host shows where it leads, not what is there"


def test_pages_read_well_on_a_git_host():
    for page in LINKING:
        assert not re.search(r"^(:::|!!!|\?\?\?)", page.read_text(), re.MULTILINE), page.name


def test_the_reference_has_every_public_name():
    text = (ROOT / "docs" / "pages" / "api.md").read_text()
    listed = re.findall(r"^- \[`(\w+)`\]\(\.\./\.\./([\w/]+)\.py\): \S", text, re.MULTILINE)
    places = {name: path.replace("/", ".") for name, path in listed}
    assert places == {
        name: getattr(purejaxrl_reinforce, name).__module__ for name in purejaxrl_reinforce.__all__
    }


@pytest.mark.slow
def test_the_notebook_runs_and_shows_what_it_prints():
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    path = ROOT / "docs" / "pages" / "examples" / "seeds-and-baselines.ipynb"
    kept = printed(json.loads(path.read_text())["cells"])
    assert "greedy return: 500.0\n" in kept
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    assert printed(notebook.cells) == kept


def printed(cells):
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return ["".join(o["text"]) for o in outputs if o.get("name") == "stdout"]


def test_contributors_have_a_pinned_version_of_everything():
    lines = (ROOT / "requirements-dev.txt").read_text().splitlines()
    pinned = {re.match(r"([\w.-]+)==[\w.]+( ; .*)?$", line)[1] for line in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["dev"], *extras["test"], *extras["docs"]]
    names = {re.match(r"[\w.-]+", line)[0].lower() for line in wanted}
    assert names - {"purejaxrl_reinforce"} <= pinned
