"""Self-contained HTML pages: text, tables and images in one file, no script."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from purejaxrl_reinforce.output.files import MARK
from purejaxrl_reinforce.output.text import show

_STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --soft: #595959; --paper: #fff; --line: #ddd;
        --shade: #f3f5f7; --link: #0060a0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --soft: #ababab; --paper: #16181b; --line: #3a3f45; --shade: #22262b;
          --link: #7cc0f0; }
  img[src^="data:image/png"] { filter: invert(.9) hue-rotate(180deg); }
}
body { margin: 0 auto; max-width: 72rem; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif;
       color: var(--ink); background: var(--paper); overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; }
h2 { font-size: 1.2rem; margin-top: 2.5rem; }
p { max-width: 50rem; }
a { color: var(--link); }
nav { column-width: 16rem; padding: .75rem 1rem; background: var(--shade); border-radius: 6px; }
nav a { display: block; padding: .15rem 0; }
pre { padding: .75rem 1rem; background: var(--shade); border-radius: 6px; white-space: pre-wrap;
      font-size: .9rem; }
img { max-width: min(100%, 34rem); height: auto; vertical-align: top; margin: 0 .5rem 1rem 0;
      background: #fff; border-radius: 6px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem 1rem .25rem 0; text-align: left; vertical-align: top;
         border-bottom: 1px solid var(--line); }
.columns { display: block; overflow-x: auto; }
.columns th, .columns td { white-space: pre; }
.facts { width: 100%; max-width: 50rem; }
.facts th { font-weight: normal; color: var(--soft); width: 42%; }
"""


def page(title: str, sections: Mapping[str, str]) -> str:
    """Return a whole HTML document; `sections` are HTML by heading."""
    body = "\n".join(
        f'<section id="part-{i}">\n<h2>{escape(heading)}</h2>\n{content}\n</section>'
        for i, (heading, content) in enumerate(sections.items())
    )
    contents = "\n".join(
        f'<a href="#part-{i}">{escape(heading)}</a>' for i, heading in enumerate(sections)
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<meta name="generator" content="{MARK}">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
<nav aria-label="Contents">
{contents}
</nav>
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
