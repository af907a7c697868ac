"""The shell blocks of README and docs, and what a block says that it needs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from conftest import ROOT

PAGES: Final = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

# A marker before a block, and the block: <!-- needs: network --> ```sh ... ```
_BLOCK: Final = re.compile(
    r"(?:^<!-- needs: (?P<needs>[^\n]+?) -->\n\n?)?"
    r"^```(?P<language>sh|bash|console)\n(?P<text>.*?)^```$(?P<shown>\n```text$)?",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class Block:
    """One block; `line` is its first line on the page, `shown` whether its output follows."""

    page: Path
    line: int
    language: str
    text: str
    needs: frozenset[str]
    shown: bool

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def script(self) -> str:
        """What is executed: of a console only what stands behind its prompt."""
        if self.language != "console":
            return self.text
        return "\n".join(re.findall(r"^\$ (.*)$", self.text, re.MULTILINE))


def blocks() -> list[Block]:
    return [
        Block(
            page=page,
            line=text.count("\n", 0, found.start("language")) + 2,
            language=found["language"],
            text=found["text"],
            needs=frozenset(filter(None, (found["needs"] or "").split(", "))),
            shown=found["shown"] is not None,
        )
        for page in PAGES
        for text in [page.read_text("utf-8")]
        for found in _BLOCK.finditer(text)
    ]
