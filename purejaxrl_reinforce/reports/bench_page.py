"""Page of a benchmark result: its figure, its rows, and where they were measured."""

from pathlib import Path
from typing import Any

from purejaxrl_reinforce.bench.benchmark import BENCHMARK, result_title
from purejaxrl_reinforce.bench.compare import load_result
from purejaxrl_reinforce.config import FIELD_KINDS, Config
from purejaxrl_reinforce.figures.bench import draw_bench
from purejaxrl_reinforce.figures.style import png_bytes
from purejaxrl_reinforce.output.html import (
    commands,
    facts,
    page,
    paragraph,
    picture,
    scrolling,
    table,
)
from purejaxrl_reinforce.reports.commands import command, config_options
from purejaxrl_reinforce.reports.labels import label, labeled, labeled_fields

_SCALARS = (str, int, float, bool, type(None))


def bench_page(path: Path) -> str:
    """Return the HTML page of a benchmark's JSON file.

    Raises:
        ValueError: it is not a benchmark result, or is damaged.
    """
    result = load_result(path)
    try:
        title = f"{result['config']['env']}: benchmark {result['benchmark']}"
        sections = {
            "Figure": _figure(path, result),
            "Measured": _rows(result["rows"]),
            "Commands": _commands(result),
            "Configuration": facts(labeled_fields(result["config"])),
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ValueError(f"{path} is a damaged benchmark result") from None
    single = {name: x for name, x in result.items() if isinstance(x, _SCALARS)}
    tables = {name: x for name, x in result.items() if isinstance(x, dict) and name != "config"}
    return page(
        title,
        {
            **sections,
            "Facts": facts(labeled(single)),
            **{name.capitalize(): facts(labeled(values)) for name, values in tables.items()},
        },
    )


def _figure(path: Path, result: dict[str, Any]) -> str:
    png = path.with_suffix(".png")
    if result["benchmark"] == BENCHMARK:
        data = png_bytes(draw_bench(result_title(result), result["rows"], "phone"))
        return picture(data, "png", "Times of the phases of an update, and steps per second.")
    if png.is_file():
        return scrolling(
            picture(png.read_bytes(), "png", f"Figure of the benchmark result {path.name}.")
        )
    return paragraph(f"There is no {png.name} beside {path.name}.")


def _commands(result: dict[str, Any]) -> str:
    if result["benchmark"] != BENCHMARK:
        return commands([f"python benchmarks/{result['benchmark']}.py"])
    kept: dict[str, Any] = {
        name: tuple(x) if isinstance(x, list) else x
        for name, x in result["config"].items()
        if name in FIELD_KINDS
    }
    options = [*config_options(Config(**kept)), "--seed", result["seed"]]
    return commands([command("bench", *options, "--repeats", len(result["rows"][0]["samples"]))])


def _rows(rows: list[dict[str, Any]]) -> str:
    """Return a table of the single values of each row, without the samples."""
    columns = list(
        dict.fromkeys(name for row in rows for name, x in row.items() if isinstance(x, _SCALARS))
    )
    note = "Times are those of a call; SPS are valid environment steps per second."
    return paragraph(note) + table(
        [label(column) for column in columns],
        [[row.get(column, "") for column in columns] for row in rows],
    )
