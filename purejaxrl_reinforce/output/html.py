"""Self-contained HTML pages: text, tables and images in one file, no script."""

import base64
import string
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from purejaxrl_reinforce.output.files import MARK
from purejaxrl_reinforce.output.text import show


def page(title: str, sections: Mapping[str, str]) -> str:
    """Return a whole HTML document; `sections` are HTML by heading."""
    body = "\n".join(
        f'<section id="part-{i}">\n<h2>{escape(heading)}</h2>\n{content}\n</section>'
        for i, (heading, content) in enumerate(sections.items())
    )
    contents = "\n".join(
        f'<a href="#part-{i}">{escape(heading)}</a>' for i, heading in enumerate(sections)
    )
    template = string.Template(Path(__file__).with_name("page.html").read_text())
    return template.substitute(title=escape(title), mark=MARK, contents=contents, body=body)


def paragraph(text: str) -> str:
    """Return a paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def facts(values: Mapping[str, Any]) -> str:
    """Return a table of names and values."""
    rows = "\n".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(show(value))}</td></tr>'
        for name, value in values.items()
    )
    return f'<table class="facts">\n{rows}\n</table>'


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table with a line of headings; lines within a cell stay lines."""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    cells = ("".join(f"<td>{escape(show(value))}</td>" for value in row) for row in rows)
    body = "\n".join(f"<tr>{row}</tr>" for row in cells)
    return (
        f'<table class="columns">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n'
        "</table>"
    )


def code(text: str) -> str:
    """Return text as one types it."""
    return f"<pre><code>{escape(text)}</code></pre>"


def picture(data: bytes, kind: str, alt: str) -> str:
    """Return a picture of a kind such as png, with a text for those who do not see it."""
    encoded = base64.b64encode(data).decode()
    return f'<img src="data:image/{kind};base64,{encoded}" alt="{escape(alt)}">'
