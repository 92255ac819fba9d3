"""Reports as HTML: what is in them, and how a real browser shows them."""

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from purejaxrl_reinforce.cli import main
from purejaxrl_reinforce.html_page import facts, page, picture, show, table
from tests.browser import open_page, screenshot
from tests.small_runs import error_of, train_run

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"
TINY = ["--num-envs", "8", "--num-updates", "4", "--hidden-sizes", "8"]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    return train_run(tmp_path_factory.mktemp("runs") / "run", *TINY, "--num-steps", "50")


@pytest.fixture(scope="module")
def run_report(run_dir):
    assert main(["report", str(run_dir)]) == 0
    return run_dir / "report.html"


@pytest.fixture(scope="module")
def bench_report(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "bench.json"
    assert main(["bench", *TINY, "--repeats", "2", "--out", str(path)]) == 0
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


REPORTS = [("run_report", 3), ("bench_report", 1), ("other_report", 1)]


@pytest.mark.parametrize(("fixture", "num_images"), REPORTS)
@pytest.mark.parametrize("width", [390, 1200])
def test_a_browser_shows_everything(fixture, num_images, width, request, tmp_path):
    found, messages = open_page(request.getfixturevalue(fixture), tmp_path, width)
    assert messages == ""
    assert len(found["images"]) == num_images
    for complete, natural, shown, alt in found["images"]:
        assert complete
        assert min(natural, shown) > 100
        assert len(alt) > 20
    assert found["needs"] == found["width"] > width - 20  # nothing to scroll sideways
    assert found["font"] >= 16
    assert found["scripts"] == 0
    assert all(address.startswith("data:") for address in found["addresses"])


def test_what_is_broken_would_be_seen(tmp_path):
    """The check itself: a broken picture, a script's error and a wide line are all found."""
    broken = tmp_path / "broken.html"
    wide = f"<pre>{'x' * 400}</pre><script>console.error('seen'); undefined.x</script>"
    broken.write_text(page("broken", {"a": picture(b"no picture", "png", "nothing") + wide}))
    found, messages = open_page(broken, tmp_path)
    assert found["images"][0][1] == 0
    assert found["needs"] > found["width"]
    assert "seen" in messages
    assert "TypeError" in messages


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
                 "trained with", "reported with", "num_<wbr>updates", "in Gymnasium",
                 "95% interval", "4 x 8 x 2, relu: 58 parameters", "jaxlib", "They ",
                 "update takes"):  # fmt: skip
        assert part in text, part
    assert len(re.findall("data:image/png;base64,iVBOR", text)) == 2
    assert len(re.findall("data:image/gif;base64,R0lGOD", text)) == 1
    assert "http" not in text
    assert str(Path.home()) not in text
    assert str(run_report.parent) not in text


def test_what_a_benchmarks_report_holds(bench_report):
    report = json.loads(bench_report.with_suffix(".json").read_text())
    text = bench_report.read_text()
    for row in report["rows"]:
        assert f"<td>{row['name']}</td><td>{show(row['min'])}</td>" in text
    for part in ("Machine", "Versions", "Flags", "matmul_<wbr>flops", "compile_<wbr>seconds"):
        assert part in text


def test_without_a_counterpart_in_gymnasium(tmp_path, capsys):
    run = train_run(tmp_path / "run", *TINY, "--env", "Catch-bsuite")
    assert main(["report", str(run), "--out", str(tmp_path / "a.html")]) == 0
    assert "Gymnasium has no environment of this name" in (tmp_path / "a.html").read_text()


def test_nothing_is_overwritten(run_dir, run_report, capsys):
    before = run_report.read_bytes()
    error = error_of(["report", str(run_dir), "--out", str(run_report)], capsys)
    assert "report.html exists; choose another --out" in error
    assert run_report.read_bytes() == before


def test_mistakes(run_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "half"):
        (tmp_path / name).mkdir()
    (tmp_path / "half" / "config.toml").write_text("")
    (tmp_path / "note.txt").write_text("a note")
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "bad.json").write_text(
        '{"format": 1, "benchmark": "bench", "rows": [], "config": {}}'
    )
    before = sorted(tmp_path.rglob("*"))
    for arguments, message in [
        (["nowhere"], "nowhere does not exist; give a run directory or a benchmark's JSON"),
        (["empty"], "empty is not a run directory"),
        (["half"], "half holds no trained parameters"),
        (["note.txt"], "note.txt is not JSON"),
        (["list.json"], "list.json is not a benchmark's report"),
        (["bad.json"], "bad.json is a damaged report"),
        ([str(run_dir), "--out", "a.pdf"], "--out must end in .html, not 'a.pdf'"),
    ]:
        assert message in error_of(["report", *arguments], capsys)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "gymnasium" else find(name)
    )
    error = error_of(["report", str(run_dir), "--out", "a.html"], capsys)
    assert "pip install 'purejaxrl_reinforce[video]'" in error
    assert sorted(tmp_path.rglob("*")) == before


def test_text_is_escaped():
    for html in (facts({"<b>": "&"}), table(["<b>"], [["&"]]), page("<b>&", {"<b>&": ""})):
        assert "<b>" not in html
        assert "&lt;b&gt;" in html
        assert "&amp;" in html


def test_values_in_words():
    values = [None, True, 12345, 0.000123456789, 1234567.0, (64, 64), "text", float("inf")]
    shown = ["none", "yes", "12,345", "0.000123457", "1,234,567", "64, 64", "text", "inf"]
    assert [show(value) for value in values] == shown
