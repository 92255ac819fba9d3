"""Reports as HTML: what is in them, and how a real browser shows them."""

import html
import importlib.util
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from purejaxrl_reinforce import Config, evaluate
from purejaxrl_reinforce.bench.phases import PHASES
from purejaxrl_reinforce.bench.result_file import make_result, timed_row, write_result
from purejaxrl_reinforce.bench.timing import Timing
from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.output.checksums import read_sealed, write_sealed
from purejaxrl_reinforce.output.html import facts, page, picture, table
from purejaxrl_reinforce.output.text import show
from purejaxrl_reinforce.reports import sweep_page
from purejaxrl_reinforce.runs.load import load_history
from purejaxrl_reinforce.sweeps.ranking import ranking_cells
from purejaxrl_reinforce.sweeps.results import load_sweep
from purejaxrl_reinforce.sweeps.store import load_plan, load_slices
from purejaxrl_reinforce.sweeps.summary import agent_scores, comparisons, summarize
from tests.support.browser import open_pages, screenshot
from tests.support.runs import TINY, error_of, random_run, write_config, write_metrics
from tests.support.sweeps import TRAINING, sweep_into

RESULTS = Path(__file__).parent.parent.parent / "benchmarks" / "results"


@pytest.fixture(scope="module")
def run_dir(finished_run, tmp_path_factory):
    return shutil.copytree(finished_run, tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def run_report(run_dir):
    assert main(["report", str(run_dir)]) == 0
    return run_dir / "report.html"


@pytest.fixture(scope="module")
def sweep_dir(finished_sweep, tmp_path_factory):
    """Of settings that differ in two fields, one of which makes agents diverge."""
    return shutil.copytree(finished_sweep, tmp_path_factory.mktemp("sweeps") / "sweep")


@pytest.fixture(scope="module")
def sweep_report(sweep_dir):
    assert main(["report", str(sweep_dir)]) == 0
    return sweep_dir / "report.html"


@pytest.fixture
def damaged_sweep(sweep_dir, tmp_path):
    """A copy to be damaged."""
    return shutil.copytree(sweep_dir, tmp_path / "sweep")


@pytest.fixture(scope="module")
def bench_report(tmp_path_factory):
    """Of a result of `bench` whose times nobody measured."""
    path = tmp_path_factory.mktemp("bench") / "bench.json"
    rates = {"valid_steps": 800, "sps": 4e4, "flops_per_second": 1e9}
    rows = [
        timed_row(name, Timing((0.02, 0.03), calls_per_sample=1), **rates)
        for name in ("training", *PHASES, "update")
    ]
    facts = {"compile_seconds": 1.5, "peaks": {"matmul_flops": 2e11, "memory_bytes": 5e10}}
    write_result(path, make_result("bench", Config(num_envs=8), 0, rows, **facts))
    assert main(["report", str(path)]) == 0
    return path.with_suffix(".html")


@pytest.fixture(scope="module")
def other_report(tmp_path_factory):
    """Of a benchmark whose picture lies beside its figures."""
    directory = tmp_path_factory.mktemp("other")
    for name in ("scaling.json", "scaling.png"):
        (directory / name).write_bytes((RESULTS / name).read_bytes())
    assert main(["report", str(directory / "scaling.json")]) == 0
    return directory / "scaling.html"


REPORTS = {"run_report": 3, "sweep_report": 5, "bench_report": 1, "other_report": 1}
WIDTHS = (390, 1200)


@pytest.fixture(scope="module")
def in_a_browser(run_report, sweep_report, bench_report, other_report, tmp_path_factory):
    """All reports in one browser: what it finds by page and width, and its messages."""
    pages = [run_report, sweep_report, bench_report, other_report]
    return open_pages(pages, tmp_path_factory.mktemp("browser"), WIDTHS)


@pytest.mark.slow
@pytest.mark.parametrize(("fixture", "num_images"), REPORTS.items())
@pytest.mark.parametrize("width", WIDTHS)
def test_a_browser_shows_everything(fixture, num_images, width, in_a_browser, request):
    found = in_a_browser[0][request.getfixturevalue(fixture), width]
    assert len(found["images"]) == num_images
    for complete, natural, shown, alt in found["images"]:
        assert complete
        assert min(natural, shown) > 100
        assert len(alt) > 20
    assert found["needs"] == found["width"] > width - 20  # nothing to scroll sideways
    assert found["font"] >= 16
    assert found["scripts"] == 0
    assert all(a.startswith(("data:", "#")) for a in found["addresses"])


@pytest.mark.slow
def test_a_browser_has_nothing_to_say(in_a_browser):
    assert in_a_browser[1] == ""


@pytest.mark.slow
def test_what_is_broken_would_be_seen(tmp_path):
    """The check itself: a broken picture, a script's error and a wide line are all found."""
    broken = tmp_path / "broken.html"
    wide = '<div style="width: 999px">wide</div><script>console.error("seen"); undefined.x</script>'
    broken.write_text(page("broken", {"a": picture(b"no picture", "png", "nothing") + wide}))
    looks, messages = open_pages([broken], tmp_path)
    (found,) = looks.values()
    assert found["images"][0][1] == 0
    assert found["needs"] > found["width"]
    assert "seen" in messages
    assert "TypeError" in messages


@pytest.mark.slow
def test_a_phone_shows_a_page_that_is_not_blank(run_report, tmp_path):
    picture = tmp_path / "shot.png"
    screenshot(run_report, picture, height=2000)
    pixels = np.asarray(Image.open(picture).convert("L"))[:, :370]
    assert pixels.std() > 20
    for third in np.array_split(pixels, 3):
        assert third.std() > 10


def test_what_a_run_report_holds(run_report):
    text = run_report.read_text()
    for part in ("Learning curves", "Final evaluation", "Video", "Timing", "Configuration",
                 "trained with", "reported with", "updates (num_<wbr>updates)", "in Gymnasium",
                 "purejaxrl-reinforce train --num-envs 8 --num-steps 20 --num-updates 6",
                 "95% interval", "4 x 8 x 2, relu: 58 parameters", "jaxlib", "They ",
                 "update takes"):  # fmt: skip
        assert part in text, part
    assert len(re.findall("data:image/png;base64,iVBOR", text)) == 2
    assert len(re.findall("data:image/gif;base64,R0lGOD", text)) == 1
    assert "http" not in text
    assert str(Path.home()) not in text
    assert str(run_report.parent) not in text


def test_what_a_sweeps_report_holds(sweep_dir, sweep_report):
    results, text = load_sweep(sweep_dir), sweep_report.read_text()
    plain = re.sub("<[^>]+>", "|", text.replace("<wbr>", ""))
    summaries = summarize(results)
    best = summaries[0]
    for summary in summaries:
        cells = "||".join(["", *ranking_cells(summary, summaries), ""])
        assert html.escape(cells) in plain
    steps = results.metrics["env_steps"].max(axis=2).sum()
    middle = results.seeds[np.argsort(agent_scores(results)[best.setting], kind="stable")[1]]
    for part in (
        "3 of 3 diverged",
        "each agent played 5 greedy episodes, 60 in all",
        f"A greedy episode of setting {best.setting} ({best.label}), the best in CartPole-v1, with"
        f" seed {middle}, whose score",
        f"|environment steps of all agents||{steps:,}|",
        "|agents||12|",
        "|slices, one after the other||6|",
        "|compiled programs||2|",
        "|policy&#x27;s learning rate (policy_lr)||0.01, 1e+38|",
        "|widths of the hidden layers (hidden_sizes)||8, 8x8|",
        "|values taken||in all combinations|",
        "|seed||5 to 7|",
        "|updates (num_updates)||4|",
        "|cores||",
        f"|jax||{jax.__version__}||{jax.__version__}|",
    ):
        assert part in plain, part
    assert "|discount (gamma)||0.995|" in plain
    assert plain.count("(policy_lr)||") == 1  # what is swept is not shared
    assert len(re.findall("data:image/png;base64,iVBOR", text)) == 4
    assert len(re.findall("data:image/gif;base64,R0lGOD", text)) == 1
    for secret in ("http", str(Path.home()), str(sweep_dir.parent)):
        assert secret not in text


def test_settings_are_compared_in_pairs(sweep_dir, sweep_report):
    results = load_sweep(sweep_dir)
    (found,) = comparisons(results, summarize(results))
    rows = re.findall(
        r"<tr><td[^>]*>(\d): hidden_sizes.*?</tr>", sweep_report.read_text(), re.DOTALL
    )
    assert [int(row) for row in rows] == found["settings"]
    assert f">{found['value'][0, 3]:.2f}\ntoo few seeds</td></tr>" in sweep_report.read_text()


def test_timing_adds_up_the_slices(sweep_dir, sweep_report):
    seconds = sum(part.seconds for _, part in load_slices(sweep_dir, load_plan(sweep_dir)))
    assert f"apart</th><td>{seconds:,.2f} s</td>" in sweep_report.read_text()


def test_the_video_plays_the_agent_that_it_names(sweep_dir, tmp_path, monkeypatch):
    played = []
    monkeypatch.setattr(
        sweep_page, "video", lambda config, panel: played.append((config, panel)) or ""
    )
    results = load_sweep(sweep_dir)
    best = summarize(results)[0].setting
    scores = results.scores[best]
    assert main(["report", str(sweep_dir), "--seed", "3", "--out", str(tmp_path / "a.html")]) == 0
    ((config, panel),) = played
    assert config == results.configs[best]
    assert panel.seed == 3
    middle = int(np.flatnonzero(scores == np.median(scores))[0])
    episodes = evaluate(config, panel.params, jax.random.key(0), 5)
    np.testing.assert_array_equal(episodes.episode_return, results.evaluation[best, middle])
    assert np.median(scores) not in (scores.min(), scores.max())  # else any would do


@pytest.mark.slow
def test_several_environments_have_a_video_each(tmp_path):
    path = tmp_path / "s"
    axes = ["--axis", "env=CartPole-v1,Catch-bsuite", "--hidden-sizes", "8"]
    sweep_into(path, [*TRAINING, "--num-seeds", "3", *axes])
    assert main(["report", str(path)]) == 0
    text = (path / "report.html").read_text()
    assert len(re.findall("data:image/gif;base64,R0lGOD", text)) == 2
    assert "best setting in Catch-bsuite" in text
    assert "Probability of improvement" not in text  # one setting of each: nothing to compare
    assert "inf)" not in text
    assert "nan" not in text.replace("data:image", "").split("base64")[0]


def cut_last_slice(sweep):
    slices = sorted((sweep / "slices").iterdir())
    slices[-1].write_bytes(slices[-1].read_bytes()[:-50])


def edit_settings(sweep):
    settings = read_sealed(sweep / "sweep.json")
    del settings["machine"]
    write_sealed(sweep / "sweep.json", settings)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut_last_slice, ".npz is damaged; rerun the same sweep command"),
        (lambda sweep: sorted((sweep / "slices").iterdir())[-1].unlink(), "lacks the slices of"),
        (lambda sweep: (sweep / "results.npz").write_bytes(b"PK"), "results.npz is damaged"),
        (lambda sweep: (sweep / "results.npz").unlink(), "is not finished: it has no results.npz"),
        (lambda sweep: (sweep / "sweep.json").write_text("{"), "sweep.json is damaged"),
        (edit_settings, "sweep.json is damaged: KeyError('machine')"),
    ],
)
def test_damaged_sweeps(damage, message, damaged_sweep, capsys):
    damage(damaged_sweep)
    before = sorted(damaged_sweep.rglob("*"))
    assert message in error_of(["report", str(damaged_sweep)], capsys)
    assert sorted(damaged_sweep.rglob("*")) == before


def test_what_a_benchmarks_report_holds(bench_report):
    report = json.loads(bench_report.with_suffix(".json").read_text())
    text = bench_report.read_text()
    for row in report["rows"]:
        assert (
            f'<td data-label="">{row["name"]}</td><td data-label="shortest, s">{show(row["min"])}<'
            in text
        )
    for part in (
        "Machine",
        "Versions",
        "Flags",
        "peak of matrix products, FLOP/s",
        "compilation, s",
        "bench --num-envs 8",
    ):
        assert part in text


def test_without_a_counterpart_in_gymnasium(finished_run, tmp_path):
    run = random_run(tmp_path / "run", replace(TINY, env="Catch-bsuite"))
    shutil.copy(finished_run / "metrics.csv", run)
    assert main(["report", str(run), "--out", str(tmp_path / "a.html")]) == 0
    assert "Gymnasium has no environment of this name" in (tmp_path / "a.html").read_text()


def test_nothing_is_overwritten(run_dir, run_report, capsys):
    before = run_report.read_bytes()
    error = error_of(["report", str(run_dir), "--out", str(run_report)], capsys)
    assert "report.html exists; choose another --out" in error
    assert run_report.read_bytes() == before


@pytest.fixture
def mistakes_dir(tmp_path, monkeypatch):
    """The current directory, with files and directories of which nothing can be reported."""
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "half"):
        (tmp_path / name).mkdir()
    write_config(tmp_path / "half" / "config.toml", TINY)
    (tmp_path / "note.txt").write_text("a note")
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "bad.json").write_text(
        '{"format": 1, "benchmark": "bench", "rows": [], "config": {}}'
    )
    before = sorted(tmp_path.rglob("*"))
    yield tmp_path
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere does not exist; give the directory of a run or a sweep"),
        (["empty"], "empty is the directory of neither a run nor a sweep"),
        (["half"], "half holds no trained parameters"),
        (["note.txt"], "note.txt is not JSON"),
        (["list.json"], "list.json is not a benchmark result"),
        (["bad.json"], "bad.json is a damaged benchmark result"),
        (["RUN", "--out", "a.pdf"], "--out must end in .html, not 'a.pdf'"),
    ],
)
def test_mistakes(arguments, message, mistakes_dir, run_dir, capsys):
    arguments = [str(run_dir) if argument == "RUN" else argument for argument in arguments]
    assert message in error_of(["report", *arguments], capsys)


def test_a_missing_package_is_named(mistakes_dir, run_dir, monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "gymnasium" else find(name)
    )
    error = error_of(["report", str(run_dir), "--out", "a.html"], capsys)
    assert "pip install '.[video]'" in error


def test_text_is_escaped():
    for text in (facts({"<b>": "&"}), table(["<b>"], [["&"]]), page("<b>&", {"<b>&": ""})):
        assert "<b>" not in text
        assert "&lt;b&gt;" in text
        assert "&amp;" in text


def test_values_in_words():
    values = [None, True, 12345, 0.000123456789, 1234567.0, (64, 64), "text", float("inf")]
    shown = ["none", "yes", "12,345", "0.000123457", "1,234,567", "64, 64", "text", "inf"]
    assert [show(value) for value in values] == shown


def test_a_run_without_a_finished_episode_is_refused(finished_run, tmp_path, capsys):
    run = random_run(tmp_path / "run", TINY)
    columns = load_history(finished_run).metrics
    nothing = np.full_like(columns["mean_return"], np.nan)
    missing = dict.fromkeys(("mean_return", "min_return", "max_return", "mean_length"), nothing)
    write_metrics(run / "metrics.csv", columns | missing, 1.0)
    error = error_of(["report", str(run), "--out", str(tmp_path / "a.html")], capsys)
    assert error.endswith("no episode finished, so there is no return to draw\n")
