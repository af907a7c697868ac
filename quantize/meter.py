"""Accuracy and speed of a candidate, measured on the engine that will run it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeseg.accuracy import Masks, compare
from edgeseg.calibration.sets import Picture
from edgeseg.images import read_mask, write_mask
from edgeseg.labels import Labels
from edgeseg.manifest import Accuracy
from edgeseg.pixels import ClassMap
from edgeseg.runtime.backend import Backend
from edgeseg.runtime.segmenter import segment_frame
from edgeseg.runtime.timing import alternate
from edgeseg.spec import InputSpec

if TYPE_CHECKING:
    from edgeseg.datasets import Item
    from edgeseg.pixels import Frame

__all__ = ["Meter", "speed_ratio"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """Images to measure on, and where the reference's masks for them are kept.

    `pictures` come with their place in the whole source, under which their masks are kept. They
    are of one kind: with ground truth (`Item`) where `labelled`, else without.
    """

    pictures: Sequence[tuple[int, Item | Picture]]
    labelled: bool
    labels: Labels
    ignore_index: int
    spec: InputSpec
    masks: Path
    open_reference: Callable[[], Backend]

    def measure(
        self, candidate: Backend, *, advance: Callable[[], None], most: int | None = None
    ) -> Accuracy:
        """Against the reference, on the first `most` images."""
        pictures = self.pictures[:most]
        return compare(
            self._masks(pictures, candidate, advance), self.labels, ignore_index=self.ignore_index
        )

    def _masks(
        self,
        pictures: Sequence[tuple[int, Item | Picture]],
        candidate: Backend,
        advance: Callable[[], None],
    ) -> Iterator[Masks]:
        reference: Backend | None = None
        try:
            for place, picture in pictures:
                truth: ClassMap | None = None
                if self.labelled:
                    sample = picture.read()  # type: ignore[union-attr]  # labelled: all are items
                    frame, truth = sample.image, sample.mask
                else:
                    frame = picture.image()
                kept = self.masks / f"{place}.png"
                if not kept.exists():
                    reference = reference or self.open_reference()
                    _write_whole(segment_frame(reference, self.spec, frame).mask, kept)
                found = segment_frame(candidate, self.spec, frame).mask
                yield Masks(truth, read_mask(kept), found)
                advance()
        finally:
            if reference is not None:
                reference.close()


def _write_whole(mask: ClassMap, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.png")
    write_mask(mask, partial)
    partial.replace(path)


def speed_ratio(candidate: Backend, baseline: Backend, frame: Frame) -> tuple[float, float]:
    """How many times faster than the baseline, and the baseline's milliseconds, in one sitting.

    The ratio is the median of the rounds' ratios.
    """
    times = alternate({"own": candidate, "other": baseline}, frame)
    return float(np.median(times["other"] / times["own"])), float(np.median(times["other"]))
