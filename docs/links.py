"""A hook of mkdocs: pages link as they stand in the repository, and the site follows them.

Links of a page are relative to its place in the repository, so that they lead somewhere on a Git
host. The README is the front page of the site. Any other file of the repository that a page links
to becomes part of the site, and a line that begins with a link to a name in the package's source

    [`step`](../../purejaxrl_reinforce/algorithm/reinforce.py): what it is, for the Git host

becomes the documentation of that name.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
PAGES = "docs/pages"

_CODE = r"```.*?```|`[^`\n]*`(?!\])"
_LINK = re.compile(rf"({_CODE})|\]\((?!https?:|mailto:|#)([^)\s#]+)(#[^)\s]*)?\)", re.DOTALL)
_NAME = re.compile(r"^(?:- )?\[`(\w+)`\]\([./]*(purejaxrl_reinforce/[\w/]+)\.py\).*$", re.MULTILINE)
_OPEN = ("tutorial.md", "architecture.md")  # pages that show the code, not a button to unfold it


def on_files(files: Any, config: Any) -> Any:
    """Add the front page and every file that a page links to, and their links in turn."""
    waiting = ["README.md"]
    waiting += [f"{PAGES}/{file.src_uri}" for file in files.documentation_pages()]
    for path in waiting:
        if files.get_file_from_path(_of_site(path)) is None:
            added = File.generated(config, _of_site(path), abs_src_path=str(ROOT / path))
            files.append(added)
        if path.endswith(".md"):
            text = _NAME.sub("", (ROOT / path).read_text())
            linked = [_target(path, match[2]) for match in _LINK.finditer(text) if match[2]]
            waiting += [target for target in linked if target not in waiting]
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return the page with the documentation of the package's names and links of the site."""
    path = Path(page.file.abs_src_path).relative_to(ROOT).as_posix()

    def name(match: re.Match[str]) -> str:
        return f"\n::: {match[2].replace('/', '.')}.{match[1]}\n"

    def link(match: re.Match[str]) -> str:
        if match[1]:
            return match[1]
        target = _of_site(_target(path, match[2]))
        return f"]({posixpath.relpath(target, posixpath.dirname(_of_site(path)))}{match[3] or ''})"

    return _LINK.sub(link, _NAME.sub(name, markdown))


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Return the page with its source code unfolded, where reading it is the point."""
    folded = '<details class="mkdocstrings-source">'
    if page.file.src_uri in _OPEN:
        return html.replace(folded, folded.replace(">", " open>"))
    return html


def _target(path: str, link: str) -> str:
    """Return the file that a link of a file leads to, both as paths in the repository."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))


def _of_site(path: str) -> str:
    """Return the path that a file of the repository has in the site."""
    return "index.md" if path == "README.md" else path.removeprefix(f"{PAGES}/")
