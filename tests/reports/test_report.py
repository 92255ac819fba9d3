"""Reports as HTML: what is in them, and that they are whole, self-contained and readable.

And the verb describe.
"""

import html
import html.parser
import re
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from purejaxrl_reinforce import Config, evaluate, resume_run
from purejaxrl_reinforce.bench.flops import phase_costs
from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.decisions.ranking import ranking_rows
from purejaxrl_reinforce.output.html import facts, page, picture, table
from purejaxrl_reinforce.output.sealed import write_sealed
from purejaxrl_reinforce.output.text import show
from purejaxrl_reinforce.reports import run_page, sweep_page
from purejaxrl_reinforce.reports.description import describe
from purejaxrl_reinforce.runs.run_dir import load_starts
from purejaxrl_reinforce.runs.saved_run import load_run
from purejaxrl_reinforce.sweeps.results import load_sweep
from purejaxrl_reinforce.sweeps.summary import rank, scores_of_settings, summarize
from tests.support.configs import TEXTBOOK
from tests.support.runs import TINY, error_of, random_run, write_config, write_metrics

VOID = {"meta", "link", "img", "wbr"}


class Page(html.parser.HTMLParser):
    """What a page holds; raises AssertionError for a script or a tag that is not closed once."""

    def __init__(self, text):
        super().__init__()
        self.text, self._open = "", []
        self.images = re.findall(r'<img src="([^;]*);[^"]*" alt="([^"]*)"', text)
        self.addresses = re.findall(r'(?:src|href)="([^"]*)"', text)
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, _attributes):
        assert tag != "script"
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag
        self.text += "|" if tag in ("td", "th") else ""

    def handle_data(self, data):
        self.text += data


def read(path: Path) -> Page:
    return Page(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def pages(finished_run, finished_sweep, tmp_path_factory):
    paths = [tmp_path_factory.mktemp("reports") / name for name in ("run.html", "sweep.html")]
    for source, path in zip((finished_run, finished_sweep), paths, strict=True):
        assert main(["report", str(source), "--out", str(path)]) == 0
    return [read(path) for path in paths]


@pytest.mark.parametrize(("which", "num_images"), [(0, 3), (1, 5)])
def test_pages_are_whole_and_need_nothing_else(which, num_images, pages, tmp_path_factory):
    shown = pages[which]
    assert len(shown.images) == num_images
    for source, alt in shown.images:
        assert source in ("data:image/png", "data:image/gif")
        assert len(alt) > 20
    assert all(address.startswith(("data:", "#")) for address in shown.addresses)
    for secret in ("http", str(Path.home()), str(tmp_path_factory.getbasetemp())):
        assert secret not in shown.text


def test_what_is_hostile_is_text():
    name = "<script>alert('\"&')</script>"
    text = page(
        name, {name: facts({name: name}) + table([name], [[name]]) + picture(b"", "png", name)}
    )
    shown = Page(text)
    assert shown.text.count(name) == 8  # title, headings, contents, facts, cells
    assert shown.images == [("data:image/png", html.escape(name))]


def test_what_a_run_report_holds(pages):
    text = pages[0].text
    assert "|nan" not in text
    for part in (
        "Learning curves", "Final evaluation", "Video", "num_updates|6|", "hidden_sizes|8|",
        "seed|1|", "episodes, in JAX: mean", "in Gymnasium: mean", "4 x 8 x 2, relu: 58 parameters",
        "They ", "time per update|", "95% interval",
        "purejaxrl-reinforce train --config run/config.toml --seed 1",
    ):  # fmt: skip
        assert part in text, part


def test_a_report_shows_where_the_run_was_trained(run):
    resume_run(run, num_updates=7)
    saved = load_run(run)
    first, second = load_starts(run, saved.owner)
    first["machine"]["cpu"], second["command"] = "Other CPU", "train --resume run"
    write_sealed(run / "machine.json", [first, second], saved.owner)
    text = Page(run_page.run_page(run, 0)).text
    assert " cores of Other CPU, " in text
    assert "command|train --resume run|" in text
    assert text.count(f", jax {jax.__version__}, ") == 2
    for content, owner in (([first], "another run"), ([{}], saved.owner), (1, saved.owner)):
        write_sealed(run / "machine.json", content, owner)
        assert load_starts(run, saved.owner) == []
    (run / "machine.json").write_text("{")
    assert "Not recorded, or damaged" in Page(run_page.run_page(run, 0)).text


def test_what_a_sweeps_report_holds(finished_sweep, pages):
    results, text = load_sweep(finished_sweep), pages[1].text
    (ranking,) = rank(results)
    best = ranking.summaries[0]
    for row in ranking_rows(ranking):
        assert "|".join([*row, ""]) in text
    steps = results.metrics["env_steps"].max(axis=2).sum()
    middle = results.seeds[np.argsort(scores_of_settings(results)[best.setting], kind="stable")[1]]
    for part in (
        "3 of 3 diverged", "each agent played 5 greedy episodes, 60 in all", "agents|12|",
        f"environment steps of all agents|{steps:,}|", "policy_lr|0.01, 1e+38|",
        "hidden_sizes|8, 8x8|", "seed|5, 6, 7|", "num_updates|4|", "gamma|0.995|",
        "machine|", f", jax {jax.__version__}, ", "command|", "commit|",
        f"A greedy episode of setting {best.setting} ({best.label}), the best in CartPole-v1, with"
        f" seed {middle}, whose score",
    ):  # fmt: skip
        assert part in text, part
    assert text.count("policy_lr|") == 1  # what is swept is not shared


def test_the_video_plays_the_agent_that_it_names(finished_sweep, monkeypatch):
    played = []
    monkeypatch.setattr(sweep_page, "video_of", lambda *of: played.append(of) or "")
    results = load_sweep(finished_sweep)
    summary = summarize(results)[0]
    best, scores = summary.setting, results.scores[summary.setting]
    sweep_page._video(results, summary, seed=3)
    ((config, params, seed),) = played
    assert (config, seed) == (results.configs[best], 3)
    middle = int(np.flatnonzero(scores == np.median(scores))[0])
    returns = evaluate(config, params, jax.random.key(0), 5).episode_return
    np.testing.assert_array_equal(returns, results.evaluation[best, middle])
    assert np.median(scores) not in (scores.min(), scores.max())  # else any would do


def test_without_a_counterpart_in_gymnasium(finished_run, tmp_path):
    run = random_run(tmp_path / "run", replace(TINY, env="Catch-bsuite"))
    write_metrics(run, load_run(finished_run).metrics, 1.0)
    for force in ([], ["--force"]):
        assert main(["report", str(run), *force]) == 0
    assert "Gymnasium has no environment 'Catch-bsuite'." in read(run / "report.html").text


@pytest.mark.parametrize("source", ["finished_run", "finished_sweep"])
def test_without_a_renderer_a_sentence_says_how_to_get_one(source, tmp_path, monkeypatch, request):
    monkeypatch.setitem(sys.modules, "pygame", None)
    path = tmp_path / "page.html"
    assert main(["report", str(request.getfixturevalue(source)), "--out", str(path)]) == 0
    shown = read(path)
    assert "lacks a package: pip install '.[video]' in a clone of the repository." in shown.text
    assert not any("gif" in kind for kind, _ in shown.images)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nope.json"], "nope.json: no such file or directory"),
        (["empty"], "empty is not a run or sweep directory"),
        (["half"], "half holds no trained parameters"),
        (["note.txt"], "note.txt is not JSON"),
        (["half", "--out", "own.html", "--force"], "own.html was not written by this command"),
        (["half", "--out", "a.pdf"], "--out must end in .html, not 'a.pdf'"),
    ],
)
def test_mistakes(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "half"):
        (tmp_path / name).mkdir()
    write_config(tmp_path / "half" / "config.toml", TINY)
    for name in ("note.txt", "own.html"):
        (tmp_path / name).write_text("a note")
    before = sorted(tmp_path.rglob("*"))
    assert message in error_of(["report", *arguments], capsys)
    assert sorted(tmp_path.rglob("*")) == before


def test_values_in_words():
    values = [None, True, 12345, 0.000123456789, 1234567.0, (64, 64), "text", float("inf")]
    shown = ["none", "yes", "12,345", "0.000123457", "1,234,567", "64, 64", "text", "inf"]
    assert [show(value) for value in values] == shown


def test_description_of_cartpole(capsys):
    assert main(["describe"]) == 0
    out = capsys.readouterr().out
    assert "CartPole-v1, at most 500 steps per episode" in out
    assert "Box of shape (4,), float32, from [-4.8, -inf, -0.4189, -inf] to [4.8, inf, " in out
    assert "Discrete: 2 values, 0 to 1" in out
    assert "at most 32,000 steps per update" in out
    assert "at most 3,200,000 steps" in out
    costs = phase_costs(Config())
    total = sum(cost.flops for name, cost in costs.items() if name != "optimizer")
    assert f"at least {total:,.0f} floating-point operations per environment step" in out


def test_description_of_other_options(capsys):
    untuned = ["--preset", "cartpole", "--env", "Pendulum-v1"]
    assert main(["describe", *untuned, "--num-envs", "1"]) == 0
    out = capsys.readouterr().out
    assert "Box of shape (1,), float32, from -2 to 2" in out
    assert "3 x 64 x 1, relu, and log_std: 322 parameters" in out
    assert "1 whole episode of at most 200 steps" in out
    assert main(["describe", "--preset", "classic"]) == 0
    assert "1 lane of 2,000 steps: 2,000 steps per update" in capsys.readouterr().out


def test_networks_in_words():
    minatar = describe(Config(env="Breakout-MinAtar", layer_norm=True))
    assert minatar["policy network"].startswith(
        "16 filters of 3 x 3, 1024 x 64 x 3, relu, layer norm: "
    )
    own = describe(Config(env="Pendulum-v1", network="tests.support.networks:Tanh"))
    assert own["policy network"] == "tests.support.networks:Tanh, and log_std: 42 parameters"
    assert describe(TEXTBOOK.replace(baseline="none"))["baseline network"] == "none"
