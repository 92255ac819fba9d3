"""Figures of kept results, drawn again without measuring anything.

    python benchmarks/draw.py [NAME ...]

draws results/NAME.png from results/NAME.json, and for the peers two figures more; all that there
are by default.
"""

import importlib
from pathlib import Path
from typing import Any

import tyro
from harness import RESULTS, run
from matplotlib.figure import Figure

from purejaxrl_reinforce.figures.style import save_figure
from purejaxrl_reinforce.output.json_text import parse_json


def figures_of(name: str, result: dict[str, Any]) -> dict[str, Figure]:
    """Return the figures of a result by name, none where its script draws none.

    Raises:
        ValueError: the result lacks something, such as the curves that older ones do not have.
    """
    script = {"peers": "peers.figure"}.get(name, "presets" if "purpose" in result else name)
    module = importlib.import_module(script)
    several = getattr(module, "FIGURES", {name: getattr(module, "draw", None)})
    try:
        return {one: draw(result) for one, draw in several.items() if draw is not None}
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
            figures = figures_of(name, result)
        except ValueError as error:
            if names:
                raise
            print(error)
            continue
        for one, figure in figures.items():
            save_figure(figure, results / f"{one}.png")
            print(results / f"{one}.png")


if __name__ == "__main__":
    run(main)
