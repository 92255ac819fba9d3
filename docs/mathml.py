"""A hook of mkdocs: LaTeX between dollars becomes MathML, which browsers draw without scripts."""

import re
from typing import Any

from latex2mathml.converter import convert

_CODE = r"```.*?```|`[^`\n]*`"
_WIDE = '<span style="display: block; overflow-x: auto">{}</span>'
_MATH = re.compile(rf"({_CODE})|\$\$(.+?)\$\$|\$(\S(?:[^$\n]*\S)?)\$", re.DOTALL)


def on_page_markdown(markdown: str, **_: Any) -> str:
    def replace(match: re.Match[str]) -> str:
        code, block, inline = match.groups()
        if code is not None:
            return code
        if inline:
            return convert(inline).replace("\n", "")
        # A phone scrolls a wide equation, not the page.
        return _WIDE.format(convert(block, display="block").replace("\n", ""))

    return _MATH.sub(replace, markdown)
