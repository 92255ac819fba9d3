"""Figures of kept results, drawn again without measuring anything.

    python benchmarks/draw.py [NAME ...]

draws results/NAME.png from results/NAME.json; all that there are by default.
"""

import importlib
from pathlib import Path
from typing import Any

import tyro
from harness import RESULTS, run
from matplotlib.figure import Figure

from purejaxrl_reinforce.output.json_text import parse_json
from purejaxrl_reinforce.output.plots import save_figure


def figure_of(name: str, result: dict[str, Any]) -> Figure | None:
    """Return the figure of a result, or None where its script draws none.

    Raises:
        ValueError: the result lacks something, such as the curves that older ones do not have.
    """
    script = {"peers": "peers.figure"}.get(name, "presets" if "purpose" in result else name)
    draw = getattr(importlib.import_module(script), "draw", None)
    try:
        return None if draw is None else draw(result)
    except KeyError as missing:
        raise ValueError(f"{name}.json has no {missing}: measure it again") from None


def main(names: tyro.conf.Positional[tuple[str, ...]] = (), results: Path = RESULTS) -> None:
    """Draw.

    Args:
        names: of results; none: all.
        results: their directory.
    """
    for name in names or sorted(path.stem for path in results.glob("*.json")):
        result = parse_json((results / f"{name}.json").read_text())
        try:
            figure = figure_of(name, result)
        except ValueError as error:
            if names:
                raise
            print(error)
            continue
        if figure is not None:
            save_figure(figure, results / f"{name}.png")
            print(results / f"{name}.png")


if __name__ == "__main__":
    run(main)
