"""Reads the samples of a data set that can be measured, and notes why others cannot."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edgeseg.datasets import FilePair, Item, Matched, Sample, Survey, read_for_survey
from edgeseg.errors import DatasetError, SourceError, TruthError
from edgeseg.reports.report import Noted, note_image

__all__ = ["Measured", "Readable", "hash_readable"]


@dataclass(frozen=True, slots=True)
class Measured:
    """An item and the hash of its files' bytes, which no renaming of classes changes."""

    item: Item
    sha256: str


class Readable:
    """Reads one item after another and keeps none; notes what cannot be measured.

    `hashes` are those of all items reached so far; `survey` describes the masks that were read.
    With `strict`, anything that would be noted is an error.
    """

    def __init__(self, items: Iterable[Item], *, strict: bool) -> None:
        self._items = items
        self._strict = strict
        self.hashes: list[str] = []
        self.skipped: list[Noted] = []
        self.converted: list[Noted] = []
        self.measured: list[Measured] = []
        self.survey = Survey()

    def __iter__(self) -> Iterator[tuple[Measured, Sample]]:
        for item in self._items:
            measured = Measured(item, hash_readable(item))
            self.hashes.append(measured.sha256)
            sample = self._read(item)
            if sample is not None:
                self.measured.append(measured)
                self.survey.add(sample)
                yield measured, sample
                del sample  # a large image is not kept while the next one is read

    def _read(self, item: Item) -> Sample | None:
        try:
            sample = read_for_survey(item)
            if sample.conversions:
                self._convert(sample)
        except (SourceError, DatasetError) as error:
            if self._strict or isinstance(error, TruthError):
                raise
            _check_given(item)
            self.skipped.append(note_image(item.name, str(error)))
            return None
        return sample

    def _convert(self, sample: Sample) -> None:
        how = ", ".join(sample.conversions)
        if self._strict:
            raise DatasetError(f"--strict: image {sample.name} had to be converted: {how}")
        self.converted.append(note_image(sample.name, how))


def _find_lying(item: Item) -> Item:
    """Return the item as its files are, before its classes are mapped."""
    return item.item if isinstance(item, Matched) else item


def _check_given(item: Item) -> None:
    """Check that a server gave the files; only damaged files may be skipped.

    Raises:
        DatasetError: the server did not give them.
    """
    lying = _find_lying(item)
    withheld = lying.withheld if isinstance(lying, FilePair) else None
    if withheld is not None:
        raise DatasetError(f"{withheld}; run this again when it answers")


def hash_readable(item: Item) -> str:
    """Hash an item's files, or its name if they cannot be read; reading then reports why."""
    try:
        return _find_lying(item).sha256
    except SourceError:
        _check_given(item)
        return hashlib.sha256(os.fsencode(item.name)).hexdigest()
