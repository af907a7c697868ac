"""Finds the images of a numbered sequence, such as `frames/%06d.png`, as FFmpeg writes it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from edgeseg.errors import SourceError
from edgeseg.images import IMAGE_SUFFIXES
from edgeseg.text import list_some, pluralize

__all__ = ["describe_gaps", "is_sequence", "list_sequence"]

# %d, or %06d: zeros fill the number up to six digits. %% stands for one %.
_NUMBER: Final = re.compile(r"(?<!%)(?:%%)*(?P<place>%(?:0(?P<digits>\d+))?d)")
_MOST_GAPS: Final = 3


def is_sequence(uri: str) -> bool:
    """Tell whether a path holds the place of a number, as `%d` or `%06d`."""
    return _NUMBER.search(uri) is not None


def list_sequence(uri: str) -> list[Path]:
    """List the images of a sequence by their numbers, from the lowest number that there is.

    Raises:
        SourceError: there is none; or the place of the number is not in the file's name, or stands
            there twice.
    """
    folder, name = Path(uri).parent, Path(uri).name
    if is_sequence(str(folder)) or len(list(_NUMBER.finditer(name))) != 1:
        raise SourceError(
            f"an image sequence has one number, in the file's name, as frames/%06d.png; got {uri}"
        )
    numbered = sorted(_find_numbered(Path(str(folder).replace("%%", "%")), name))
    if not numbered:
        raise SourceError(
            f"no image matches {uri} ({', '.join(IMAGE_SUFFIXES)}); %06d stands for 000000, 000001 "
            f"and so on, and %d for 0, 1 and so on"
        )
    return [path for _number, path in numbered]


def describe_gaps(uri: str, paths: Sequence[Path]) -> str | None:
    """Describe which numbers a sequence lacks between its first and last; None if it has all."""
    numbers = [_read_number(path.name, Path(uri).name) for path in paths]
    gaps = [
        f"{before + 1}" if after == before + 2 else f"{before + 1} to {after - 1}"
        for before, after in pairwise(number for number in numbers if number is not None)
        if after > before + 1
    ]
    if not gaps:
        return None
    return (
        f"{uri}: {pluralize(len(paths), 'image')}, numbers {numbers[0]} to {numbers[-1]} without "
        f"{list_some(gaps, _MOST_GAPS)}; the frames follow each other as if none were missing"
    )


def _find_numbered(folder: Path, name: str) -> Iterator[tuple[int, Path]]:
    try:
        paths = list(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise SourceError(f"folder {folder} cannot be read: {error.strerror}") from None
    for path in paths:
        number = _read_number(path.name, name)
        if number is not None and path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
            yield number, path


def _read_number(name: str, pattern: str) -> int | None:
    """Read the number of a file's name; None where the name is not written as the pattern asks."""
    found = _NUMBER.search(pattern)
    assert found is not None, "the pattern was checked"
    start, end = found.span("place")
    before, after = (part.replace("%%", "%") for part in (pattern[:start], pattern[end:]))
    digits = name[len(before) : len(name) - len(after)]
    if not (digits.isascii() and digits.isdecimal()) or name != f"{before}{digits}{after}":
        return None
    return int(digits) if digits == f"{int(digits):0{found['digits'] or 1}d}" else None
