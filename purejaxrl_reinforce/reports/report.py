"""Report on a run, a sweep or a benchmark as one self-contained HTML file."""

from pathlib import Path

from purejaxrl_reinforce.output.extras import require_extra
from purejaxrl_reinforce.output.files import StrPath, new_file, write_output
from purejaxrl_reinforce.sweeps.store import is_sweep


def report(source: StrPath, out: StrPath | None = None, seed: int = 0, force: bool = False) -> Path:
    """Write a report on a run, a sweep or a benchmark; return its path.

    Args:
        source: the directory of a run or a sweep, or the JSON of a benchmark.
        out: new file that ends in .html. None: report.html in the directory, or beside the JSON
            with its name.
        seed: of a run's evaluation, and of the video.
        force: whether to replace the file if it is there.

    Raises:
        ValueError: the input is bad, or a package is missing; nothing was written.
    """
    source = Path(source)
    is_bench = source.is_file()
    default = source.with_suffix(".html") if is_bench else source / "report.html"
    if not source.exists():
        raise ValueError(
            f"{source} does not exist; give the directory of a run or a sweep, or a benchmark's"
            " JSON"
        )
    path = new_file(out, default, (".html",), force)
    if is_bench:
        from purejaxrl_reinforce.reports.bench_page import bench_page

        text = bench_page(source)
    elif is_sweep(source):
        require_extra("video", "gymnasium")
        from purejaxrl_reinforce.reports.sweep_page import sweep_page

        text = sweep_page(source, seed)
    else:
        require_extra("video", "gymnasium")
        from purejaxrl_reinforce.reports.run_page import run_page

        text = run_page(source, seed)
    with write_output(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    return path
