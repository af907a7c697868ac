"""Compares what is printed with what docs/datasets.md says is printed."""

from __future__ import annotations

import re
from pathlib import Path

_GUIDE = Path(__file__).resolve().parents[2] / "docs" / "datasets.md"
_PLACEHOLDERS = {
    "HxW": r"\d+x\d+",
    **dict.fromkeys(
        ("PATH", "MASK", "FOLDER", "FILE", "NAME", "MODE", "KIND", "REASON", "TYPE", "COLOR"), ".+"
    ),
    "N": r"[\d.]+",
    "NxHxW": r"\d+x\d+x\d+",
    "SHAPE": r"[\dx]+",
}


def is_in_the_guide(message: str) -> bool:
    """Whether one of the guide's lines, its placeholders filled in, is the message."""
    lines = re.findall(r"\| `([^`]+)` \|$", _GUIDE.read_text("utf-8"), re.MULTILINE)
    return any(re.fullmatch(_pattern(line), message) for line in lines)


def _pattern(line: str) -> str:
    words = re.split(rf"\b({'|'.join(_PLACEHOLDERS)})\b", line)
    return "".join(_PLACEHOLDERS.get(word, re.escape(word)) for word in words)
