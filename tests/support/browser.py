"""Pages in a real browser: headless Chromium, at a phone's width and others."""

import html
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
PHONE = 390
# Pages lie in frames: a window cannot be as narrow as a phone, and one browser shows them all. What
# a frame holds is looked at from outside, so that the page itself stays as it is.
_FRAME = '<iframe width="{width}" height="{height}" style="border: 0" srcdoc="{page}"></iframe>'
_AROUND = """<!DOCTYPE html><meta charset="utf-8"><title>around</title>
<body style="margin: 0">
{frames}
<pre id="found"></pre>
<script>
function look(page) {{
  return {{
    images: [...page.images].map(i => [i.complete, i.naturalWidth, i.clientWidth, i.alt]),
    width: page.documentElement.clientWidth,
    needs: page.documentElement.scrollWidth,
    height: page.documentElement.scrollHeight,
    font: parseFloat(getComputedStyle(page.body).fontSize),
    headings: [...page.querySelectorAll("h1, h2")].map(h => h.textContent),
    addresses: [...page.querySelectorAll("[src], [href]")].map(
      e => e.getAttribute("src") || e.getAttribute("href")),
    scripts: page.scripts.length,
  }};
}}
window.addEventListener("load", () => {{
  const pages = [...document.querySelectorAll("iframe")].map(frame => frame.contentDocument);
  document.getElementById("found").textContent = JSON.stringify(pages.map(look));
}});
</script>
"""


def find_browser() -> str:
    """Return the path of Chromium, or skip the test."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"needs a browser: none of {', '.join(NAMES)} is installed")
    return found


def open_pages(
    pages: Sequence[Path], directory: Path, widths: Sequence[int] = (PHONE,)
) -> tuple[dict[tuple[Path, int], dict[str, Any]], str]:
    """Open pages at every width in one browser.

    Returns:
        What it finds by page and width, and its messages on the console.
    """
    shown = [(page, width) for page in pages for width in widths]
    around = _around(directory / "around.html", shown, height=800)
    done = _run(directory, "--dump-dom", around.as_uri())
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL).group(1)
    messages = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    looks = json.loads(html.unescape(found))
    return dict(zip(shown, looks, strict=True)), "\n".join(messages)


def screenshot(page: Path, picture: Path, width: int = PHONE, height: int = 4000) -> None:
    """Leave a PNG of a page."""
    around = _around(picture.with_suffix(".html"), [(page, width)], height)
    size = f"--window-size={max(width, 500)},{height}"
    _run(picture.parent, f"--screenshot={picture}", size, around.as_uri())


def _around(path: Path, shown: Sequence[tuple[Path, int]], height: int) -> Path:
    """Write a page with a frame for each page and width; return its path."""
    frames = "\n".join(
        _FRAME.format(width=width, height=height, page=html.escape(page.read_text("utf-8")))
        for page, width in shown
    )
    path.write_text(_AROUND.format(frames=frames), encoding="utf-8")
    return path


def _run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            find_browser(), "--headless=new", "--no-sandbox", "--disable-gpu",
            "--enable-logging=stderr", "--v=0", "--virtual-time-budget=10000",
            "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={directory / 'profile'}",
            *arguments,
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
