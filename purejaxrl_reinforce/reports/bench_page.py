"""Page of a benchmark result: its figure, its rows, and where they were measured."""

from pathlib import Path
from typing import Any

from purejaxrl_reinforce.bench.benchmark import BENCHMARK, result_title
from purejaxrl_reinforce.bench.compare import load_result
from purejaxrl_reinforce.bench.figure import draw_bench
from purejaxrl_reinforce.output.html import facts, page, paragraph, picture, scrolling, table
from purejaxrl_reinforce.output.plots import png_bytes

_SCALARS = (str, int, float, bool, type(None))


def bench_page(path: Path) -> str:
    """Return the HTML page of a benchmark's JSON file.

    Raises:
        ValueError: it is not a benchmark result, or is damaged.
    """
    result = load_result(path)
    try:
        title = f"{result['config']['env']}: benchmark {result['benchmark']}"
        sections = {"Figure": _figure(path, result), "Measured": _rows(result["rows"])}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ValueError(f"{path} is a damaged benchmark result") from None
    single = {name: x for name, x in result.items() if isinstance(x, _SCALARS)}
    tables = {name: x for name, x in result.items() if isinstance(x, dict)}
    return page(
        title,
        {
            **sections,
            "Facts": facts(single),
            **{name.capitalize(): facts(values) for name, values in tables.items()},
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


def _rows(rows: list[dict[str, Any]]) -> str:
    """Return a table of the single values of each row, without the samples."""
    columns = list(
        dict.fromkeys(name for row in rows for name, x in row.items() if isinstance(x, _SCALARS))
    )
    note = "Times (min, median) are seconds per call; sps are valid environment steps per second."
    return paragraph(note) + table(
        columns, [[row.get(column, "") for column in columns] for row in rows]
    )
