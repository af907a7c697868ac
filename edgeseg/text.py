"""Text from outside, made fit to be shown."""

from __future__ import annotations

from typing import Final

__all__ = ["plain"]

_SUBSTITUTE: Final = "\ufffd"
_JOINERS: Final = "\u200c\u200d"  # part of the spelling in Persian and Indic scripts


def plain(text: str) -> str:
    """One line that prints: what would end it, reorder it, or cannot be encoded is replaced."""
    shown = (" " if char.isspace() else char for char in text)
    kept = (char if char.isprintable() or char in _JOINERS else _SUBSTITUTE for char in shown)
    return "".join(kept).strip()
