"""Text made fit to be shown: from outside, of counts, and of errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

__all__ = ["because", "counted", "listed", "plain"]

_SUBSTITUTE: Final = "\ufffd"
_JOINERS: Final = "\u200c\u200d"  # part of the spelling in Persian and Indic scripts


def plain(text: str) -> str:
    """One line that prints: what would end it, reorder it, or cannot be encoded is replaced."""
    shown = (" " if char.isspace() else char for char in text)
    kept = (char if char.isprintable() or char in _JOINERS else _SUBSTITUTE for char in shown)
    return "".join(kept).strip()


def counted(count: int, what: str) -> str:
    """`1 frame`, `2 frames`, `1,500 images`; what ends in s, x or ch has es in the plural."""
    plural = "es" if what.endswith(("s", "x", "ch")) else "s"
    return f"{count:,} {what}{'' if count == 1 else plural}"


def listed(words: Sequence[str], last: str = "and") -> str:
    """`a, b and c`."""
    return f" {last} ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def because(error: BaseException) -> str:
    """The reason in words: a system's error has its number in front, and names the file again."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
