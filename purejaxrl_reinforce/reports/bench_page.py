"""What the report of a benchmark says: its picture, its rows, and where they were measured."""

from pathlib import Path
from typing import Any

from purejaxrl_reinforce.bench.command import BENCHMARK, draw_bench
from purejaxrl_reinforce.bench.compare import load_result
from purejaxrl_reinforce.output.html import facts, page, paragraph, picture, scrolling, table
from purejaxrl_reinforce.output.plots import png_bytes

_SCALARS = (str, int, float, bool, type(None))


def bench_page(path: Path) -> str:
    """Return the HTML for a benchmark's JSON.

    Raises:
        ValueError: it is no report, or is damaged.
    """
    report = load_result(path)
    try:
        title = f"{report['config']['env']}: benchmark {report['benchmark']}"
        sections = {"Picture": _picture(path, report), "Measured": _rows(report["rows"])}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ValueError(f"{path} is a damaged report") from None
    single = {name: x for name, x in report.items() if isinstance(x, _SCALARS)}
    tables = {name: x for name, x in report.items() if isinstance(x, dict)}
    return page(
        title,
        {
            **sections,
            "Facts": facts(single),
            **{name.capitalize(): facts(values) for name, values in tables.items()},
        },
    )


def _picture(path: Path, report: dict[str, Any]) -> str:
    drawn = path.with_suffix(".png")
    if report["benchmark"] == BENCHMARK:
        title = f"{report['config']['env']}, {report['config']['num_envs']:,} lanes"
        data = png_bytes(draw_bench(title, report["rows"], narrow=True))
        return picture(data, "png", "Times of an update's phases, and steps per second.")
    if drawn.is_file():
        return scrolling(picture(drawn.read_bytes(), "png", f"The figures of {path.name}, drawn."))
    return paragraph(f"There is no {drawn.name} beside {path.name}.")


def _rows(rows: list[dict[str, Any]]) -> str:
    """Return a table of all that is one number or text; the samples stay in the JSON."""
    columns = list(
        dict.fromkeys(name for row in rows for name, x in row.items() if isinstance(x, _SCALARS))
    )
    note = "Times (min, median) are seconds per call; sps are valid environment steps per second."
    return paragraph(note) + table(
        columns, [[row.get(column, "") for column in columns] for row in rows]
    )
