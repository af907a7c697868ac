"""Makes text fit to be shown: text from outside, counts, lists and errors."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches
from typing import Final

__all__ = [
    "explain",
    "find_alike",
    "join_reasons",
    "join_words",
    "list_some",
    "pluralize",
    "to_encodable",
    "to_plain",
]

# Two words at least this similar are taken for a typing error, on difflib's scale.
_ALIKE: Final = 0.7
_SUBSTITUTE: Final = "\ufffd"
_JOINERS: Final = "\u200c\u200d"  # part of the spelling in Persian and Indic scripts


def to_plain(text: str) -> str:
    """Make one printable line.

    Replace characters that end or reorder a line, or cannot be encoded.
    """
    shown = (" " if char.isspace() else char for char in text)
    kept = (char if char.isprintable() or char in _JOINERS else _SUBSTITUTE for char in shown)
    return "".join(kept).strip()


def to_encodable(text: str) -> str:
    """Replace what UTF-8 cannot hold by question marks.

    A file's name may hold bytes that are no text. JSON cannot hold such a name as it is.
    """
    return text.encode("utf-8", "replace").decode()


def pluralize(count: int, what: str) -> str:
    """Write `1 frame`, `2 frames` or `1,500 images`; words in s, x or ch take es in the plural."""
    plural = "es" if what.endswith(("s", "x", "ch")) else "s"
    return f"{count:,} {what}{'' if count == 1 else plural}"


def join_words(words: Sequence[str], last: str = "and") -> str:
    """Join words as `a, b and c`."""
    return f" {last} ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def join_reasons(reasons: Iterable[str]) -> str:
    """Join whole sentences by `; `; one that ends as a question needs no further sign."""
    return "; ".join(reasons).replace("?; ", "? ")


def list_some(words: Sequence[str], most: int) -> str:
    """List the first few words as `a, b and 3 more`; all of them, as `a, b`, if they are few."""
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


def explain(error: BaseException) -> str:
    """Give an error's reason in words.

    The number and the file name in a system's error are left out.
    """
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def find_alike(word: str, known: Collection[str], *, alike: float = _ALIKE) -> str | None:
    """Find the known word that `word` is most likely a typing error of; None if none is like it."""
    return next(iter(get_close_matches(word, known, n=1, cutoff=alike)), None)
