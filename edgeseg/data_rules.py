"""Rules of a data set: where its files lie, and what the ids in its masks mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from edgeseg.errors import SpecError
from edgeseg.labels import WIDE_IGNORE_INDEX

__all__ = [
    "NO_RULES",
    "Member",
    "Rules",
    "ValueRange",
    "parse_ids",
    "parse_merge",
    "parse_range",
    "parse_rules",
]

Member = int | str
"""A class of a data set: its id, or its name."""


@dataclass(frozen=True, slots=True)
class ValueRange:
    """The values of images of more than 8 bits that become 0 and 255.

    Values below `low` become 0, and those above `high` 255.

    Raises:
        SpecError: they do not rise.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise SpecError(f"the range {self} must rise from LOW to HIGH, such as 0,4095")

    def __str__(self) -> str:
        """Write it as the option takes it, so that no other is written alike."""
        return f"{self.low:.17g},{self.high:.17g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a user says of a data set, in its dataset.json or by options; None says nothing.

    `images_dir` and `masks_dir` are folders below the data set's, and `mask_suffix` is what the
    name of a mask has after its image's: `_mask` for street.jpg and street_mask.png.
    `reduce_labels` says that 0 is no class and 1 the first one. Pixels of the ids in `ignore_index`
    are not counted. `merge` maps the name of a class to the ids or names that are counted as it.
    The ids in `foreground` are the second of two classes, and all others the first. `range` says
    which values of images of more than 8 bits are 0 and 255.
    """

    images_dir: str | None = None
    masks_dir: str | None = None
    mask_suffix: str | None = None
    reduce_labels: bool | None = None
    ignore_index: tuple[int, ...] | None = None
    merge: Mapping[str, tuple[Member, ...]] | None = None
    foreground: tuple[int, ...] | None = None
    range: ValueRange | None = None

    @property
    def given(self) -> frozenset[str]:
        """The names of the rules that say something."""
        return frozenset(one.name for one in fields(self) if getattr(self, one.name) is not None)

    def over(self, other: Rules) -> Rules:
        """Return these rules, and those of `other` where these say nothing."""
        mine = {name: getattr(self, name) for name in self.given}
        theirs = {name: getattr(other, name) for name in other.given}
        return Rules(**(theirs | mine))


NO_RULES: Final = Rules()


def parse_rules(content: Mapping[str, object], *, origin: str) -> Rules:
    """Read the rules in parsed JSON; other keys are left to others.

    Raises:
        SpecError: a rule has another form; the message names `origin`.
    """
    given = {}
    for name, parse in _PARSERS.items():
        if content.get(name) is not None:
            try:
                given[name] = parse(content[name])
            except (TypeError, ValueError, SpecError):
                raise SpecError(f"{origin}: `{name}` {_FORMS[name]}") from None
    return Rules(**given)


def parse_merge(texts: Sequence[str]) -> dict[str, tuple[Member, ...]]:
    """Parse options such as `building=tower,church,7`.

    Raises:
        SpecError: an option has another form.
    """
    merged: dict[str, tuple[Member, ...]] = {}
    for text in texts:
        name, equals, members = text.partition("=")
        parts = [part.strip() for part in members.split(",")]
        if not equals or not name.strip() or not all(parts):
            raise SpecError(
                f"--merge {text!r} is not CLASS=ID,ID as building=3,4 or road=lane,curb"
            )
        merged[name.strip()] = tuple(int(one) if one.isdecimal() else one for one in parts)
    return merged


def parse_ids(text: str, *, option: str) -> tuple[int, ...]:
    """Parse ids such as `0,255`.

    Raises:
        SpecError: the text has another form.
    """
    try:
        return _parse_ids([int(part) for part in text.split(",")])
    except ValueError:
        raise SpecError(f"{option} {text!r} {_FORMS['ignore_index']}, as 0,255") from None


def parse_range(text: str) -> ValueRange:
    """Parse a range such as `0,4095`.

    Raises:
        SpecError: these are not two numbers, or the first is not the lower one.
    """
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        raise SpecError(f"{text!r} is no range LOW,HIGH of values, such as 0,4095") from None
    return ValueRange(low, high)


def _parse_text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _parse_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _parse_ids(value: object) -> tuple[int, ...]:
    ids = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    for one in ids:
        if isinstance(one, bool) or not isinstance(one, int) or not 0 <= one <= WIDE_IGNORE_INDEX:
            raise ValueError
    return ids


def _parse_groups(value: object) -> dict[str, tuple[Member, ...]]:
    if not isinstance(value, dict) or not value:
        raise TypeError
    return {name: _parse_members(members) for name, members in value.items()}


def _parse_members(value: object) -> tuple[Member, ...]:
    if not isinstance(value, list) or not value:
        raise TypeError
    for one in value:
        if isinstance(one, bool) or not isinstance(one, (int, str)):
            raise TypeError
    return tuple(value)


def _parse_range(value: object) -> ValueRange:
    if not isinstance(value, list) or any(isinstance(one, bool) for one in value):
        raise TypeError
    low, high = value
    return ValueRange(float(low), float(high))


_PARSERS: Final[dict[str, Callable[[object], Any]]] = {
    "images_dir": _parse_text,
    "masks_dir": _parse_text,
    "mask_suffix": _parse_text,
    "reduce_labels": _parse_flag,
    "ignore_index": _parse_ids,
    "merge": _parse_groups,
    "foreground": _parse_ids,
    "range": _parse_range,
}
_TEXT: Final = "is not a text"
_IDS: Final = f"is not a whole number of 0 to {WIDE_IGNORE_INDEX}, or a list of some"
_FORMS: Final = {
    "images_dir": _TEXT,
    "masks_dir": _TEXT,
    "mask_suffix": _TEXT,
    "reduce_labels": "is neither true nor false",
    "ignore_index": _IDS,
    "merge": 'is not an object such as {"building": ["tower", 7]}',
    "foreground": _IDS,
    "range": "is not a list of two numbers that rise, such as [0, 4095]",
}
