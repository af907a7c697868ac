"""Reads which classes are kept, and how sure a pixel of each class must be."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from edgeseg.errors import SpecError
from edgeseg.labels import Labels
from edgeseg.text import find_alike, list_some

__all__ = ["MinScore", "check_min_scores", "find_class_ids", "find_min_scores"]

MinScore = float | str | Mapping[str, float]
"""A probability for every class; or what `--min-score` takes; or probabilities by class."""

# Stands for every class that is not named.
_OTHERS: Final = "*"
_CLASSES: Final = "--classes"
_MIN_SCORE: Final = "--min-score"
_MOST_NAMED: Final = 12


def find_class_ids(names: Sequence[str], labels: Labels) -> tuple[int, ...]:
    """Find the ids of classes, ascending, by their names or numbers.

    Raises:
        SpecError: the model has no such class; or no name is given.
    """
    found = {_find_id(name, labels, _CLASSES) for name in names if name.strip()}
    if not found:
        raise SpecError(f"{_CLASSES} names no class; give one or more of {_list(labels)}")
    return tuple(sorted(found))


def find_min_scores(given: MinScore, labels: Labels) -> tuple[float, ...]:
    """Find the least probability, 0..1, of each class.

    `given` is a number for all classes; or text: a number, `road=0.5,person=0.8` with a number or
    `*=0.4` for the others, or the name of a .json file; or numbers by class, which a file holds,
    too. Classes that are not named have no limit.

    Raises:
        SpecError: a class is unknown or named twice, a number is not a probability, or the file
            cannot be read.
    """
    origin, pairs = _read_given(given)
    named = _index_pairs(pairs, labels, origin)
    others = named.get(None, 0.0)
    return tuple(named.get(index, others) for index in range(len(labels.classes)))


def check_min_scores(given: MinScore) -> None:
    """Check, before there is a model and before a file is read, what `find_min_scores` is given.

    Raises:
        SpecError: a number is not a probability, or the text has another form.
    """
    if _is_file(given):
        return
    origin, pairs = _read_given(given)
    for name, value in pairs:
        _check_probability(value, name, origin)


def _is_file(given: MinScore) -> bool:
    return isinstance(given, str) and given.lower().endswith(".json")


def _read_given(given: MinScore) -> tuple[str, list[tuple[str, object]]]:
    """Read what was given: how messages name it, and its pairs of a class and a number."""
    if isinstance(given, str):
        pairs = _read_pairs(Path(given)) if _is_file(given) else _parse_pairs(given)
        return f"{_MIN_SCORE} {given}", pairs
    if isinstance(given, Mapping):
        return _MIN_SCORE, list(given.items())
    return _MIN_SCORE, [(_OTHERS, given)]


def _index_pairs(
    pairs: Iterable[tuple[str, object]], labels: Labels, origin: str
) -> dict[int | None, float]:
    """Index probabilities by class id; None stands for the classes that are not named."""
    found: dict[int | None, float] = {}
    for name, value in pairs:
        index = None if name == _OTHERS else _find_id(name, labels, _MIN_SCORE)
        if index in found:
            raise SpecError(f"{origin} has two numbers for {name!r}; leave one out")
        found[index] = _check_probability(value, name, origin)
    return found


def _check_probability(value: object, name: str, origin: str) -> float:
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if number is None or not 0 <= number <= 1:
        of = "every class" if name == _OTHERS else repr(name)
        raise SpecError(f"{origin}: {value!r} for {of} is not a probability; give 0 to 1")
    return float(number)


def _parse_pairs(text: str) -> list[tuple[str, object]]:
    """Parse `road=0.5,person=0.8`; a number without a class is for the others."""
    pairs: list[tuple[str, object]] = []
    for part in text.split(","):
        name, _, number = part.rpartition("=")
        try:
            pairs.append((name.strip() or _OTHERS, float(number)))
        except ValueError:
            raise SpecError(
                f"{_MIN_SCORE} {text}: {part!r} is neither a probability nor CLASS=PROBABILITY; "
                f"give 0.5, or road=0.5,person=0.8, or a .json file"
            ) from None
    return pairs


def _read_pairs(path: Path) -> list[tuple[str, object]]:
    """Read a file: JSON such as {"road": 0.5, "*": 0.3}."""
    try:
        text = path.read_text("utf-8-sig")
        pairs = json.loads(text, object_pairs_hook=list)
    except OSError as error:
        raise SpecError(f"{_MIN_SCORE} {path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{_MIN_SCORE} {path} is not JSON: {error}") from None
    if not text.lstrip().startswith("{"):
        raise SpecError(
            f'{_MIN_SCORE} {path} is not a JSON object of probabilities: {{"road": 0.5, "*": 0.3}}'
        )
    found: list[tuple[str, object]] = pairs
    return found


def _find_id(name: str, labels: Labels, option: str) -> int:
    """Find a class by its name, without case and blanks, or by its number."""
    plain = {_plain(one): index for index, one in enumerate(labels.classes)}
    index = plain.get(_plain(name))
    if index is None and name.strip().isdecimal():
        index = int(name)
    if index is None or index >= len(labels.classes):
        near = find_alike(_plain(name), plain)
        meant = f"did you mean {labels.classes[plain[near]]!r}? " if near else ""
        raise SpecError(
            f"{option}: the model has no class {name.strip()!r}; {meant}it has {_list(labels)}"
        )
    return index


def _plain(name: str) -> str:
    return "".join(name.split()).casefold()


def _list(labels: Labels) -> str:
    return list_some(labels.classes, _MOST_NAMED)
