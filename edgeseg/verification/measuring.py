"""A candidate, and perhaps a reference, over a data set, image by image."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from edgeseg.accuracy import Counts, Masks
from edgeseg.datasets import Dataset, Differences, Item, Sample, match_classes
from edgeseg.errors import DatasetError, SourceError
from edgeseg.pixels import Bgr, ClassMap
from edgeseg.reports.report import Data
from edgeseg.verification.models import Model
from edgeseg.verification.protocols import segment_by
from edgeseg.verification.samples import Readable, Track

__all__ = ["Measurement", "Pair", "measure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Who is measured, and how; `reference` is measured in the same way."""

    candidate: Model
    reference: Model | None
    protocol: str

    def masks(self, sample: Sample) -> Masks:
        """Everybody's mask of an image, the truth's first."""
        expected = None if self.reference is None else self._segment(self.reference, sample.image)
        return Masks(sample.mask, expected, self._segment(self.candidate, sample.image))

    def _segment(self, model: Model, frame: Bgr) -> ClassMap:
        if self.protocol == "ss":
            return model.segment(frame)
        size = self.candidate.input
        return segment_by(self.protocol, model, frame, short_px=min(size.height, size.width))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What came of it; `readable` knows the images that were measured, and those that were not."""

    counts: Counts
    readable: Readable
    data: Data
    differences: Differences


def measure(pair: Pair, dataset: Dataset, *, strict: bool, track: Track) -> Measurement:
    """Count every image that can be measured; `strict` allows no other, nor classes that differ.

    Raises:
        DatasetError: the data set does not fit the model, or nothing in it can be measured.
        SourceError: with `strict`, an image that cannot be read.
        SpecError: the protocol does not fit a model.
    """
    labels = pair.candidate.labels
    matched, differences = match_classes(dataset, labels)
    if strict and differences:
        raise DatasetError(f"--strict: {'; '.join(differences.lines)}")
    hashes = [_hash(item) for item in dataset.items]
    readable = Readable(matched, hashes, track, strict=strict)
    counts = Counts(labels, ignore_index=labels.ignore_index)
    for sample in readable:
        counts.add(pair.masks(sample))
    data = Data(name=dataset.title, split=dataset.split, sha256=_combined(hashes))
    return Measurement(counts=counts, readable=readable, data=data, differences=differences)


def _hash(item: Item) -> str:
    """Of its files; of its name where they cannot be read, and reading will tell why."""
    try:
        return item.sha256
    except SourceError:
        return hashlib.sha256(os.fsencode(item.name)).hexdigest()


def _combined(hashes: Sequence[str]) -> str:
    """As `Dataset.sha256` does it."""
    return hashlib.sha256("".join(hashes).encode()).hexdigest()
