"""The samples of a data set that can be measured; of the others it is told why not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from edgeseg.datasets import Dataset, Item, Sample
from edgeseg.errors import DatasetError, SourceError
from edgeseg.reports.report import Noted, noted

__all__ = ["Measured", "Readable", "Track"]

Track = Callable[[Sequence["Measured"]], Iterable["Measured"]]


@dataclass(frozen=True, slots=True)
class Measured:
    """An item, and the hash of its files as they lie: whatever the classes are called."""

    item: Item
    sha256: str


class Readable:
    """Reads one after another and holds none; what cannot be measured is noted.

    `strict` makes anything that would be noted an error.
    """

    def __init__(
        self, dataset: Dataset, hashes: Sequence[str], track: Track, *, strict: bool
    ) -> None:
        self._items = [Measured(*pair) for pair in zip(dataset.items, hashes, strict=True)]
        self._track = track
        self._strict = strict
        self.skipped = [noted(gap.name, gap.reason) for gap in dataset.unpaired]
        if strict and self.skipped:
            raise DatasetError(f"--strict: {len(self.skipped)} files: {self.skipped[0].reason}")
        self.converted: list[Noted] = []
        self.measured: list[Measured] = []

    def __iter__(self) -> Iterator[Sample]:
        for measured in self._track(self._items):
            sample = self._read(measured.item)
            if sample is not None:
                self.measured.append(measured)
                yield sample
        if not self.measured:
            raise DatasetError(
                f"none of {len(self._items)} images can be measured, the first for: "
                f"{self.skipped[0].reason}"
            )

    def _read(self, item: Item) -> Sample | None:
        try:
            sample = item.read()
            if sample.conversions:
                self._convert(sample)
        except (SourceError, DatasetError) as error:
            if self._strict:
                raise
            self.skipped.append(noted(item.name, str(error)))
            return None
        return sample

    def _convert(self, sample: Sample) -> None:
        how = ", ".join(sample.conversions)
        if self._strict:
            raise DatasetError(f"--strict: image {sample.name} had to be converted: {how}")
        self.converted.append(noted(sample.name, how))
