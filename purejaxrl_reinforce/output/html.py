"""Self-contained HTML pages: text, tables and images in one file, no script."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from purejaxrl_reinforce.output.text import show

_STYLE = """
body { max-width: 50rem; margin: 0 auto; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif;
       color: #1a1a1a; background: #fff; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; }
h2 { font-size: 1.2rem; margin-top: 2rem; }
img { display: block; max-width: 100%; height: auto; margin: 0 0 1rem; }
.scrolls { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem 1rem .25rem 0; text-align: left; vertical-align: top;
         border-bottom: 1px solid #ddd; }
.scrolls th, .scrolls td { white-space: pre; }
.scrolls img { min-width: 45rem; }
.facts { width: 100%; }
.facts th { font-weight: normal; color: #595959; width: 42%; }
"""


def page(title: str, sections: Mapping[str, str]) -> str:
    """Return a whole HTML document.

    Args:
        title: of the document.
        sections: HTML by heading.
    """
    body = "\n".join(
        f"<section>\n<h2>{escape(heading)}</h2>\n{content}\n</section>"
        for heading, content in sections.items()
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
{body}
</main>
</body>
</html>
"""


def paragraph(text: str) -> str:
    """Return a paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def facts(values: Mapping[str, Any]) -> str:
    """Return a table of names and values."""
    rows = "\n".join(
        f'<tr><th scope="row">{_name(name)}</th><td>{escape(show(value))}</td></tr>'
        for name, value in values.items()
    )
    return f'<table class="facts">\n{rows}\n</table>'


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table with a line of headings, which scrolls by itself where it is too wide.

    Lines within a cell stay lines.
    """
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    lines = (
        "<tr>" + "".join(f"<td>{escape(show(value))}</td>" for value in row) + "</tr>"
        for row in rows
    )
    body = "\n".join(lines)
    return scrolling(
        f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
    )


def picture(data: bytes, kind: str, alt: str) -> str:
    """Return a picture of a kind such as png, with a text for those who do not see it."""
    encoded = base64.b64encode(data).decode()
    return f'<img src="data:image/{kind};base64,{encoded}" alt="{escape(alt)}">'


def scrolling(content: str) -> str:
    """Return content that may be wider than a phone in a box that scrolls."""
    # With a tabindex the keyboard can scroll it too.
    return f'<div class="scrolls" tabindex="0">\n{content}\n</div>'


def _name(text: str) -> str:
    """Return a name that breaks at its underscores rather than anywhere."""
    return escape(text).replace("_", "_<wbr>")
