"""Report on a run, a sweep or a benchmark as one self-contained HTML file."""

from pathlib import Path

from purejaxrl_reinforce.bench import benchmark
from purejaxrl_reinforce.bench.result_file import load_result
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.execution.machine import in_words
from purejaxrl_reinforce.output.files import StrPath, new_file, write_output
from purejaxrl_reinforce.output.html import page, paragraph, table
from purejaxrl_reinforce.output.sealed import parsing
from purejaxrl_reinforce.output.text import show
from purejaxrl_reinforce.reports.run_page import run_page
from purejaxrl_reinforce.reports.sweep_page import sweep_page
from purejaxrl_reinforce.sweeps.store import is_sweep


def report(source: StrPath, out: StrPath | None = None, seed: int = 0, force: bool = False) -> Path:
    """Write a report on a run, a sweep or a benchmark; return its path.

    Args:
        source: the directory of a run or a sweep, or the result of `train_run` or `sweep`; or the
            JSON of a benchmark.
        out: new file that ends in .html. None: report.html in the directory, or beside the JSON
            with its name.
        seed: of a run's evaluation, and of the video.
        force: whether to overwrite an existing file.

    Raises:
        ValueError: the input is bad; nothing was written.

    Example:
        >>> from purejaxrl_reinforce import report
        >>> report("runs/tiny", "report.html").name
        'report.html'
    """
    source = Path(source)
    if not source.exists():
        raise ValueError(f"{source}: no such file or directory")
    is_bench = source.is_file()
    default = source.with_suffix(".html") if is_bench else source / "report.html"
    path = new_file(out, default, (".html",), force)
    if is_bench:
        text = bench_page(source)
    elif is_sweep(source):
        text = sweep_page(source, seed)
    else:
        text = run_page(source, seed)
    with write_output(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    return path


def bench_page(path: Path) -> str:
    """Return the HTML page of the JSON file of `bench`: one table, and sentences below it.

    Raises:
        ValueError: it is not such a result, or is damaged.
    """
    result = load_result(path)
    with parsing(path):
        title, columns, cells = benchmark.result_table(result)
        lines = benchmark.result_summary(result)
        config, where = Config(**result["config"]), in_words(result)
        settings = [f"{name}={show(value)}" for name, value in result["flags"].items()]
    where |= {"settings": ", ".join(settings), "configuration": str(config)}
    texts = [*lines, *(f"{name}: {text}" for name, text in where.items())]
    return page(title, {"Result": table(columns, cells) + "".join(map(paragraph, texts))})
