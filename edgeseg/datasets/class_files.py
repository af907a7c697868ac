"""Finds what names a data set's classes: dataset.json, or a file as labelling tools export it."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from edgeseg.data_rules import NO_RULES, Rules, parse_rules
from edgeseg.datasets.truth.color_table import ColorTable, make_color_table
from edgeseg.datasets.truth.void_colors import VOID_COLORS
from edgeseg.errors import SourceError, SpecError
from edgeseg.labels import (
    KNOWN,
    Labels,
    Rgb,
    choose_ignore_index,
    get_known_labels,
    parse_colors,
    parse_labels,
    parse_names,
)
from edgeseg.text import explain

__all__ = ["DATASET_FILE", "Classes", "find_classes"]

DATASET_FILE: Final = "dataset.json"
# As CamVid's copies, SuperAnnotate, Roboflow, CVAT and VOC exports name the file.
_TABLES: Final = ("classes.csv", "class_dict.csv", "_classes.csv")
_LISTS: Final = ("labelmap.txt", "label_colors.txt")
# A name a line: as labelme's labelme2voc, several labelling tools and fastai's CamVid have it.
_NAMES: Final = ("class_names.txt", "classes.txt", "codes.txt")
# As edgeseg itself writes it beside masks.
_LEGEND: Final = "legend.json"

_KEYS: Final = frozenset({"classes", "palette", "ignore_colors", *Rules.__dataclass_fields__})
_CSV_NAMES: Final = ("name", "class", "label", "class_name")
_CSV_CHANNELS: Final = (("r", "red"), ("g", "green"), ("b", "blue"))
_CSV_IDS: Final = ("id", "pixel value", "value", "index")


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """What a file says of a data set's classes.

    `labels` are None if nothing names them. `colors` are what the colors of painted masks mean, if
    the file has colors. `said` are the keys of dataset.json. `notes` are lines for the user.
    """

    labels: Labels | None = None
    colors: ColorTable | None = None
    rules: Rules = NO_RULES
    said: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def find_classes(*folders: Path, given: Rules = NO_RULES) -> Classes:
    """Read the first file that names classes: dataset.json in one of the folders, then others.

    The rules of the result are those `given`, and those of the file where these say nothing.

    Raises:
        SourceError: the file cannot be read, or has another form.
    """
    readers: tuple[tuple[str, Callable[[Path, Rules], Classes]], ...] = (
        (DATASET_FILE, _read_dataset_file),
        *((name, _read_table) for name in _TABLES),
        *((name, _read_list) for name in _LISTS),
        *((name, _read_names) for name in _NAMES),
        (_LEGEND, _read_legend),
    )
    for name, read in readers:
        for folder in folders:
            path = folder / name
            if path.exists():
                try:
                    return read(path, given)
                except (OSError, ValueError, RecursionError, csv.Error) as error:
                    raise SourceError(f"{path} cannot be read: {explain(error)}") from None
    return Classes(rules=given)


def _read_dataset_file(path: Path, given: Rules) -> Classes:
    content = json.loads(path.read_text("utf-8"))
    if not isinstance(content, dict):
        raise SpecError(f"{path} is not a JSON object with `classes`")
    rules = given.over(parse_rules(content, origin=str(path)))
    content, void = _split_off_void(content, rules)
    labels, palette = _parse_labels(content, rules, origin=str(path))
    colors = None
    if labels is not None and palette:
        given_colors = content.get("ignore_colors", [])
        ignored = parse_colors(given_colors, "ignore_colors", origin=str(path))
        ignored += parse_colors(void, "palette", origin=str(path))
        colors = make_color_table(labels, origin=str(path), ignored=ignored)
    return Classes(
        labels=labels,
        colors=colors,
        rules=rules,
        said=frozenset(content),
        notes=tuple(_find_slips(content, path)),
    )


def _split_off_void(
    content: dict[str, object], rules: Rules
) -> tuple[dict[str, object], Sequence[object]]:
    """Return the content without a color of the ignored id, and the colors of what is no class.

    A list of colors may have one more than there are classes, if the next id is ignored.
    """
    palette, classes = content.get("palette"), content.get("classes")
    if isinstance(palette, str):
        return content, VOID_COLORS.get(palette, ())
    if isinstance(palette, list) and isinstance(classes, list):
        count = len(classes)
        if len(palette) == count + 1 and count in (rules.ignore_index or ()):
            return content | {"palette": palette[:count]}, palette[count:]
    return content, ()


def _find_slips(content: Iterable[str], path: Path) -> Iterator[str]:
    """Name keys that mean nothing, and are much like one that does."""
    for key in sorted(set(content) - _KEYS):
        meant = get_close_matches(key, _KEYS, n=1)
        if meant:
            yield f"{path} has the key {key!r}, which means nothing; did you mean {meant[0]!r}?"


def _parse_labels(
    content: dict[str, object], rules: Rules, *, origin: str
) -> tuple[Labels | None, bool]:
    """Parse the labels, and tell whether the file has colors."""
    palette = content.get("palette")
    if palette in KNOWN:  # a published data set's colors, and its classes
        known = get_known_labels(str(palette))
        named = content.get("classes", list(known.classes))
        content = content | {"classes": named, "palette": list(known.palette)}
    if "classes" not in content and rules.given:
        return None, False  # rules alone: the ids are the model's
    labels = parse_labels(content | {"ignore_index": _find_ignored(content, rules)}, origin=origin)
    return labels, palette is not None


def _find_ignored(content: dict[str, object], rules: Rules) -> int:
    """Find an id for pixels that are not counted: the file's own, if that is no class as well."""
    classes = content.get("classes")
    count = len(classes) if isinstance(classes, list) else 0
    own = [one for one in rules.ignore_index or () if one >= count]
    return own[0] if own else choose_ignore_index(count)


def _read_table(path: Path, given: Rules) -> Classes:
    """Read a CSV with a header: name,r,g,b as CamVid's copies have it, or Pixel Value, Class."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [[cell.strip() for cell in row] for row in csv.reader(file) if any(row)]
    if len(rows) < 2:
        raise ValueError("it has no line of a class below its header")
    header = [cell.casefold() for cell in rows[0]]
    names = _find_column(header, _CSV_NAMES)
    if names is None:
        raise ValueError(f"its header {','.join(rows[0])} has no column name, class or label")
    found = [_find_column(header, names) for names in _CSV_CHANNELS]
    colors = [place for place in found if place is not None]
    ids = _find_column(header, _CSV_IDS)
    rows = rows[1:]
    if ids is not None and len(colors) < 3:
        rows = _order_by_id(rows, ids)
    palette = [_take_color([row[place] for place in colors]) for row in rows if len(colors) == 3]
    return _make_classes(path, given, [row[names] for row in rows], palette)


def _find_column(header: Sequence[str], wanted: Iterable[str]) -> int | None:
    return next((header.index(name) for name in wanted if name in header), None)


def _order_by_id(rows: list[list[str]], column: int) -> list[list[str]]:
    by_id = {int(row[column]): row for row in rows}
    absent = sorted(set(range(len(rows))) - by_id.keys())
    if absent:
        raise ValueError(f"it has {len(rows)} classes, but none for the id {absent[0]}")
    return [by_id[own] for own in range(len(rows))]


def _read_list(path: Path, given: Rules) -> Classes:
    """Read `name:r,g,b:parts:actions` as CVAT writes it, or `r g b name` as CamVid has it."""
    names, palette = [], []
    for line in path.read_text("utf-8-sig").splitlines():
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        found = re.fullmatch(r"(\d+)[\s,]+(\d+)[\s,]+(\d+)\s+(\S.*)", text)
        if found:
            names.append(found[4].strip())
            palette.append(_take_color(found.groups()[:3]))
            continue
        name, _, rest = text.partition(":")
        names.append(name.strip())
        palette.append(_take_color(rest.partition(":")[0].split(",")))
    return _make_classes(path, given, names, palette)


def _read_names(path: Path, given: Rules) -> Classes:
    """Read a file with a class name a line."""
    return _make_classes(path, given, list(parse_names(path, path.read_text("utf-8-sig"))), [])


def _read_legend(path: Path, given: Rules) -> Classes:
    """Read the legend that `edgeseg run --masks` writes beside its masks.

    It names no classes for masks of other ids than 0, 1, 2, ... (`--label-ids`); a note says so.
    """
    content = json.loads(path.read_text("utf-8"))
    classes = content.get("classes", []) if isinstance(content, dict) else []
    try:
        ids = [int(one["id"]) for one in classes]
        names = [str(one["name"]) for one in classes]
        palette = [_take_hex(one["color"]) for one in classes]
    except (KeyError, TypeError):
        raise ValueError("its `classes` lack an id, a name or a color") from None
    if ids != list(range(len(ids))) or not ids:
        told = (
            f"{path} says that the masks hold other ids than 0, 1, 2, ...: give dataset.json a "
            f"list `classes` with a name at the place of each id"
        )
        return Classes(rules=given, notes=(told,))
    return _make_classes(path, given, names, palette)


def _take_hex(color: str) -> Rgb:
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue


def _take_color(cells: Sequence[str | None]) -> Rgb:
    try:
        red, green, blue = (int(cell or "") for cell in cells)
    except ValueError:
        raise ValueError(f"{cells} is no color; write a name and three numbers a line") from None
    return red, green, blue


def _make_classes(path: Path, given: Rules, names: list[str], palette: list[Rgb]) -> Classes:
    content: dict[str, object] = {"classes": names}
    if palette:
        content["palette"] = palette
    labels, _ = _parse_labels(content, given, origin=str(path))
    assert labels is not None, "the file has classes"
    colors = make_color_table(labels, origin=str(path)) if palette else None
    what = "names and colors" if palette else "names"
    return Classes(
        labels=labels,
        colors=colors,
        rules=given,
        said=frozenset(content),
        notes=(f"{what} of the classes: {path}",),
    )
