"""Class names, colors and the ignore index, from four known data sets or from a file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

from edgeseg.errors import SpecError

__all__ = [
    "KNOWN",
    "Labels",
    "Rgb",
    "are_placeholders",
    "choose_ignore_index",
    "get_known_labels",
    "find_labels",
    "normalize_name",
    "order_names",
    "parse_colors",
    "parse_labels",
    "parse_names",
    "read_labels",
    "to_hex",
]

Rgb = tuple[int, int, int]  # 0..255

KNOWN: Final = ("ade20k", "camvid", "cityscapes", "cocostuff")

_PLAIN: Final = ("", ".txt", ".names", ".labels")
_NUMBERED: Final = re.compile(r"\d+\s*[:;=,\t]|\d+\s+\S")

# The first for masks of one byte a pixel, the second for two bytes, where 255 is a class.
DEFAULT_IGNORE_INDEX: Final = 255
WIDE_IGNORE_INDEX: Final = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What the class ids mean. `classes[i]` and `palette[i]` belong to id i."""

    classes: tuple[str, ...]
    palette: tuple[Rgb, ...]
    ignore_index: int = DEFAULT_IGNORE_INDEX

    def __post_init__(self) -> None:
        if len(self.classes) != len(self.palette):
            raise SpecError(
                f"{len(self.classes)} class names but {len(self.palette)} colors; give one a class"
            )
        repeated = sorted({name for name in self.classes if self.classes.count(name) > 1})
        if repeated:
            raise SpecError(
                f"class names {', '.join(repeated[:5])} occur more than once; give each class its "
                f"own with --labels"
            )
        if any(not 0 <= value <= 255 for color in self.palette for value in color):
            raise SpecError("a palette color is three values of 0 to 255")
        if not 0 <= self.ignore_index <= WIDE_IGNORE_INDEX:
            usual = choose_ignore_index(len(self.classes))
            raise SpecError(
                f"ignore index {self.ignore_index} is no id that a mask can hold; choose one of 0 "
                f"to {WIDE_IGNORE_INDEX} that is no class, as {usual}"
            )
        if self.ignore_index < len(self.classes):
            raise SpecError(
                f"ignore index {self.ignore_index} is also the class "
                f"{self.classes[self.ignore_index]!r}; choose one outside the classes"
            )


def get_known_labels(name: str) -> Labels:
    """Get the labels of one of `KNOWN`, in the order that its models are trained with."""
    return parse_labels(_load_known()[name], origin=name)


def find_labels(names: Sequence[str] | None, classes: int) -> tuple[Labels, str]:
    """Find the best labels for a checkpoint, and say where they come from.

    A checkpoint's own names come first, with the colors of the known data set that has the same
    names. Without names it is the known data set with as many classes, or else numbers.
    """
    if names is not None and not are_placeholders(names):
        cleaned = tuple(name.strip() for name in names)
        for known in map(get_known_labels, KNOWN):
            if [normalize_name(name) for name in known.classes] == [
                normalize_name(name) for name in cleaned
            ]:
                return Labels(
                    classes=cleaned, palette=known.palette, ignore_index=known.ignore_index
                ), "the checkpoint"
        return _color_labels(cleaned), "the checkpoint"
    for name in KNOWN:
        if len(get_known_labels(name).classes) == classes:
            return get_known_labels(name), (
                f"{name}, guessed from their number: are these its classes? If not, give --labels"
            )
    return _color_labels(
        tuple(f"class {i}" for i in range(classes))
    ), "numbers, because the checkpoint has no names"


def read_labels(name_or_path: str) -> Labels:
    """Read labels by name (one of `KNOWN`), from JSON, or from a text file with one name a line.

    The JSON file has the form of `dataset.json` (`classes`, and optionally `palette` and
    `ignore_index`), or gives names by id: {"0": "road"}, also below `id2label` as in Hugging Face's
    config.json.

    Raises:
        SpecError: there is no such name or file, or the file has another form.
    """
    if name_or_path in KNOWN:
        return get_known_labels(name_or_path)
    path = Path(name_or_path)
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise SpecError(
            f"labels {name_or_path} are neither a file ({error.strerror}) nor one of "
            f"{', '.join(KNOWN)}"
        ) from None
    except UnicodeDecodeError:
        raise SpecError(f"labels {path} are not text in UTF-8; write a class name a line") from None
    if path.suffix.lower() != ".json":
        return parse_labels({"classes": list(parse_names(path, text))}, origin=str(path))
    try:
        content = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise SpecError(f"{path} is not JSON: {error}") from None
    if isinstance(content, dict) and "classes" not in content:
        by_id = content.get("id2label", content)
        if isinstance(by_id, dict) and by_id and any(str(key).isdecimal() for key in by_id):
            names = list(order_names(by_id, origin=str(path)))
            return parse_labels({"classes": names}, origin=str(path))
    return parse_labels(content, origin=str(path))


def order_names(content: Mapping[str, object], *, origin: str) -> tuple[str, ...]:
    """Put names in the order of their ids. JSON keys are strings, often sorted as 0, 1, 10, 2.

    Raises:
        SpecError: a key is no id, or the ids are not 0, 1, 2 and so on.
    """
    wrong = [key for key in content if not str(key).isdecimal()]
    if wrong:
        raise SpecError(
            f"{origin} has a class name under {wrong[0]!r}, which is no id; use whole numbers from "
            f"0"
        )
    names = {int(key): str(name).strip() for key, name in content.items()}
    absent = sorted(set(range(len(content))) - names.keys())
    if absent:
        raise SpecError(
            f"{origin} has {len(content)} class names by id, but none for id {absent[0]}; "
            f"ids count from 0"
        )
    return tuple(names[index] for index in range(len(names)))


def parse_names(path: Path, text: str) -> tuple[str, ...]:
    """Parse a text file with one name a line.

    Raises:
        SpecError: the file has another ending, or its lines hold more than names.
    """
    if path.suffix.lower() not in _PLAIN:
        raise SpecError(
            f"labels {path} end in {path.suffix}, which edgeseg does not read; give a .txt file "
            f'with a class name a line, or .json with names by id: {{"0": "road", "1": "sky"}}'
        )
    names = tuple(line.strip() for line in text.splitlines() if line.strip())
    if len(names) > 1 and all(_NUMBERED.match(name) for name in names):
        raise SpecError(
            f"labels {path} have numbered lines, as {names[0]!r}; write names alone, the one of "
            f'id 0 first, or JSON with names by id: {{"0": "road", "1": "sky"}}'
        )
    return names


def parse_labels(content: object, *, origin: str) -> Labels:
    """Make labels of parsed JSON: `classes`, and optionally `palette` and `ignore_index`.

    Raises:
        SpecError: the JSON holds something else; the message names `origin`.
    """
    if not isinstance(content, dict):
        raise SpecError(f"{origin} is not a JSON object with `classes`")
    classes = content.get("classes")
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise SpecError(f"{origin} has no `classes`, a list of names")
    palette = content.get("palette")
    ignore_index = content.get("ignore_index", choose_ignore_index(len(classes)))
    if isinstance(ignore_index, bool) or not isinstance(ignore_index, int):
        raise SpecError(
            f"{origin}: `ignore_index` is {json.dumps(ignore_index)}, not a whole number of 0 to "
            f"{WIDE_IGNORE_INDEX}"
        )
    colors = (
        _make_palette(len(classes))
        if palette is None
        else parse_colors(palette, "palette", origin=origin)
    )
    try:
        return Labels(classes=tuple(classes), palette=colors, ignore_index=ignore_index)
    except SpecError as error:
        raise SpecError(f"{origin}: {error}") from None


def parse_colors(value: object, key: str, *, origin: str) -> tuple[Rgb, ...]:
    """Make colors of parsed JSON, which stands under `key` in `origin`.

    Raises:
        SpecError: the JSON holds something else.
    """
    try:
        return tuple((int(r), int(g), int(b)) for r, g, b in value)  # type: ignore[attr-defined]  # checked by trying
    except (TypeError, ValueError):
        raise SpecError(f"{origin}: `{key}` is not a list of [red, green, blue]") from None


@cache
def _load_known() -> Mapping[str, object]:
    text = resources.files("edgeseg").joinpath("data/labels.json").read_text("utf-8")
    content: dict[str, object] = json.loads(text)
    return content


def _color_labels(names: tuple[str, ...]) -> Labels:
    """Give names generated colors."""
    return Labels(
        classes=names,
        palette=_make_palette(len(names)),
        ignore_index=choose_ignore_index(len(names)),
    )


def choose_ignore_index(classes: int) -> int:
    """Choose 255 if that is no class, else 65535, which takes masks of two bytes a pixel."""
    return DEFAULT_IGNORE_INDEX if classes <= DEFAULT_IGNORE_INDEX else WIDE_IGNORE_INDEX


def are_placeholders(names: Sequence[str]) -> bool:
    """Whether names are transformers' placeholders: LABEL_0, LABEL_1 ..."""
    return all(name == f"LABEL_{index}" for index, name in enumerate(names))


def normalize_name(name: str) -> str:
    """Write a class name as names are compared: without case and surrounding blanks."""
    return name.strip().casefold()


def to_hex(color: Rgb) -> str:
    """Write a color as #rrggbb, as CSS does."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def _make_palette(classes: int) -> tuple[Rgb, ...]:
    """Make PASCAL VOC's color map: an id's bits are dealt to red, green and blue from the top down.

    VOC's map starts with black, so ids are shifted by one.
    """
    return tuple(_make_voc_color(index + 1) for index in range(classes))


def _make_voc_color(index: int) -> Rgb:
    red = green = blue = 0
    for shift in range(7, -1, -1):
        red |= (index & 1) << shift
        green |= (index >> 1 & 1) << shift
        blue |= (index >> 2 & 1) << shift
        index >>= 3
    return red, green, blue
