"""A page in a real browser: headless Chromium, at a phone's width."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
PHONE = 390
# The page lies in a frame: a window cannot be as narrow as a phone. What the frame holds is looked
# at from outside, so that the page itself stays as it is.
_AROUND = """<!DOCTYPE html><meta charset="utf-8"><title>around</title>
<body style="margin: 0">
<iframe width="{width}" height="{height}" style="border: 0" srcdoc="{page}"></iframe>
<pre id="found"></pre>
<script>
window.addEventListener("load", () => {{
  const page = document.querySelector("iframe").contentDocument;
  document.getElementById("found").textContent = JSON.stringify({{
    images: [...page.images].map(i => [i.complete, i.naturalWidth, i.clientWidth, i.alt]),
    width: page.documentElement.clientWidth,
    needs: page.documentElement.scrollWidth,
    height: page.documentElement.scrollHeight,
    font: parseFloat(getComputedStyle(page.body).fontSize),
    headings: [...page.querySelectorAll("h1, h2")].map(h => h.textContent),
    addresses: [...page.querySelectorAll("[src], [href]")].map(e => e.src || e.href),
    scripts: page.scripts.length,
  }});
}});
</script>
"""


def find_browser() -> str:
    """Return the path of Chromium, or skip the test."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"needs a browser: none of {', '.join(NAMES)} is installed")
    return found


def open_page(page: Path, directory: Path, width: int = PHONE) -> tuple[dict[str, Any], str]:
    """Return what the browser finds in a page, and its messages on the console."""
    around = directory / "around.html"
    text = html.escape(page.read_text(encoding="utf-8"))
    around.write_text(_AROUND.format(width=width, height=800, page=text), encoding="utf-8")
    done = _run(directory, "--dump-dom", around.as_uri())
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL).group(1)
    messages = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(html.unescape(found)), "\n".join(messages)


def screenshot(page: Path, picture: Path, width: int = PHONE, height: int = 4000) -> None:
    """Leave a PNG of a page."""
    around = picture.with_suffix(".html")
    text = html.escape(page.read_text(encoding="utf-8"))
    around.write_text(_AROUND.format(width=width, height=height, page=text), encoding="utf-8")
    size = f"--window-size={max(width, 500)},{height}"
    _run(picture.parent, f"--screenshot={picture}", size, around.as_uri())


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
