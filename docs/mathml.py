"""A hook of mkdocs: LaTeX between dollars becomes MathML, which browsers draw without scripts."""

import re
from typing import Any

from latex2mathml.converter import convert

_CODE = r"```.*?```|`[^`\n]*`"
_MATH = re.compile(rf"({_CODE})|\$\$(.+?)\$\$|\$(\S(?:[^$\n]*\S)?)\$", re.DOTALL)


def on_page_markdown(markdown: str, **_: Any) -> str:
    def replace(match: re.Match[str]) -> str:
        code, block, inline = match.groups()
        if code is not None:
            return code
        return convert(block or inline, display="block" if block else "inline").replace("\n", "")

    return _MATH.sub(replace, markdown)
