"""Finds the ids under which masks are written: those of a published data set, or of a file."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgeseg.datasets.truth.published_ids import PUBLISHED_IDS
from edgeseg.errors import SpecError
from edgeseg.labels import Labels, get_known_labels

__all__ = ["LabelIds", "find_label_ids"]

_OPTION: Final = "--label-ids"
_NAMES: Final = ("ade20k", "camvid", "cityscapes", "coco")
_COCO: Final = "cocostuff"
_BYTE: Final = 255
_HIGHEST_ID: Final = 65535
_MOST_NAMED: Final = 5
# What somebody could confuse with the data set's own numbering.
_CAUTIONS: Final = {
    "ade20k": "0 is no class",
    _COCO: "as its masks have them; category ids in COCO's JSON are one higher",
}

_Pair = tuple[str, object]  # a class and its id


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelIds:
    """The id of each class, `ids[i]` that of class i; `told` says in a line which they are.

    `named` has all ids of the source, by name; `unnamed` is the id of what the source does not
    name, and of what is no class: the highest that a mask of these ids holds.
    """

    ids: tuple[int, ...]
    told: str
    named: Mapping[str, int]
    unnamed: int

    def find(self, name: str) -> int:
        """Find the id of something that is no class of the model."""
        return self.named.get(_plain(name), self.unnamed)


def find_label_ids(source: str, labels: Labels, *, free: Collection[str] = ()) -> LabelIds:
    """Find an id for each class, by its name.

    `source` is `ade20k`, `camvid`, `cityscapes` or `coco` (COCO-Stuff), or a file: JSON with the id
    of each class, {"road": 7}, or text with a line for each, `road,7`. A class's own number may
    stand for its name: {"0": 7}. Names are compared without case and blanks.
    The names in `free` need no id: they get 255, or 65535 where an id is above 255.

    Raises:
        SpecError: a class has no id; or the file cannot be read, or holds something else.
    """
    by_name: Mapping[str, int]
    name = _COCO if source == "coco" else source
    if name in PUBLISHED_IDS:
        known = get_known_labels(name)
        own_ids = PUBLISHED_IDS[name].list_ids(len(known.classes))
        by_name = {_plain(one): own for one, own in zip(known.classes, own_ids, strict=True)}
        origin, caution = f"the ids of {PUBLISHED_IDS[name].name}", _CAUTIONS.get(name)
    else:
        by_name = _index_pairs(_read_pairs(Path(source)), labels, source)
        origin, caution = f"the ids of {source}", None
    found = {one: by_name.get(_plain(one)) for one in labels.classes}
    absent = [one for one, own in found.items() if own is None and one not in free]
    if absent:
        raise SpecError(_explain_absent(source, absent, len(found)))
    highest = max((own for own in found.values() if own is not None), default=0)
    unnamed = _BYTE if highest <= _BYTE else _HIGHEST_ID
    ids = tuple(unnamed if own is None else own for own in found.values())
    told = _tell(ids, labels, origin, caution)
    return LabelIds(ids=ids, told=told, named=by_name, unnamed=unnamed)


def _plain(name: str) -> str:
    """Write a name without case and blanks."""
    return "".join(name.split()).casefold()


def _tell(ids: tuple[int, ...], labels: Labels, origin: str, caution: str | None) -> str:
    ordered = sorted(zip(ids, labels.classes, strict=True))
    (low, first), (high, last) = ordered[0], ordered[-1]
    told = f"masks hold {origin}: {low} ({first}) to {high} ({last})"
    return f"{told}; {caution}" if caution else told


def _explain_absent(source: str, absent: list[str], classes: int) -> str:
    named = ", ".join(absent[:_MOST_NAMED])
    more = f" and {len(absent) - _MOST_NAMED} more" if len(absent) > _MOST_NAMED else ""
    return (
        f"{_OPTION} {source} has no id for {len(absent)} of the model's {classes} classes: "
        f'{named}{more}; give a JSON file with an id for each class, {{"{absent[0]}": 255}}'
    )


def _index_pairs(pairs: Iterable[_Pair], labels: Labels, source: str) -> Mapping[str, int]:
    """Index ids by the plain names of classes."""
    names = {_plain(name) for name in labels.classes}
    found: dict[str, int] = {}
    for key, value in pairs:
        name = _plain(key)
        if name not in names and name.isdecimal() and int(name) < len(labels.classes):
            name = _plain(labels.classes[int(name)])
        own = value if isinstance(value, int) and not isinstance(value, bool) else -1
        if not 0 <= own <= _HIGHEST_ID:
            raise SpecError(
                f"{_OPTION} {source} gives {key!r} the id {value!r}; an id is a whole number of 0 "
                f"to {_HIGHEST_ID}"
            )
        if found.setdefault(name, own) != own:
            raise SpecError(
                f"{_OPTION} {source} gives {key!r} two ids, {found[name]} and {own}; leave one out"
            )
    return found


def _read_pairs(path: Path) -> list[_Pair]:
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise SpecError(
            f"{_OPTION} {path} is neither a file ({error.strerror}) nor one of {', '.join(_NAMES)}"
        ) from None
    except UnicodeDecodeError:
        raise SpecError(
            f"{_OPTION} {path} is not text in UTF-8; write a line name,id a class"
        ) from None
    return _parse_json(path, text) if path.suffix.lower() == ".json" else _parse_lines(path, text)


def _parse_json(path: Path, text: str) -> list[_Pair]:
    try:
        pairs = json.loads(text, object_pairs_hook=list)
    except (json.JSONDecodeError, RecursionError) as error:
        raise SpecError(f"{_OPTION} {path} is not JSON: {error}") from None
    if not text.lstrip().startswith("{"):
        raise SpecError(f'{_OPTION} {path} is not a JSON object of ids: {{"road": 7, "car": 26}}')
    found: list[_Pair] = pairs
    return found


def _parse_lines(path: Path, text: str) -> list[_Pair]:
    """Parse lines of a name and an id; the first one may be a header."""
    rows = [row for row in csv.reader(text.splitlines(), skipinitialspace=True) if any(row)]
    pairs: list[_Pair] = []
    for number, row in enumerate(rows):
        name, own = row if len(row) == 2 else ("", "")
        if own.strip().isdecimal():
            pairs.append((name, int(own)))
        elif number or len(row) != 2:
            raise SpecError(f"{_OPTION} {path} has the line {','.join(row)!r}; write name,id")
    return pairs
