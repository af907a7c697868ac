"""The counts of each image that IoU needs, for the classes that occur in the image.

An image shows some ten of 150 classes. Without the others, 100,000 images take 40 MB a model, and
not 360.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from edgeseg.accuracy.metrics import Confusion

__all__ = ["ImageTally", "Tally", "collect_tally", "make_image_tally", "spread", "tally_image"]

# Four bytes a count: of any image of less than two gigapixels, whose sums of two counts fit, too.
_NARROW: Final = np.iinfo(np.int32).max
# Counts that are spread over all classes at a time, 8 bytes each and three for each class.
_BLOCK: Final = 1 << 18

ImageTally = npt.NDArray[np.uint32 | np.int64]
"""(4, occurring): the class ids in rising order, and the pixels hit, labelled and predicted."""


def tally_image(counts: Confusion) -> ImageTally:
    """Count what IoU needs of one image, for each class of its truth or its mask."""
    labelled, predicted = counts.sum(axis=1), counts.sum(axis=0)
    classes = np.flatnonzero(labelled + predicted)
    hits = np.diag(counts)
    return make_image_tally(classes, hits[classes], labelled[classes], predicted[classes])


def make_image_tally(
    classes: npt.ArrayLike, hits: npt.ArrayLike, labelled: npt.ArrayLike, predicted: npt.ArrayLike
) -> ImageTally:
    """Make the counts of one image of its columns, with four bytes a count where they fit."""
    found = np.array([classes, hits, labelled, predicted], np.int64)
    return found.astype(np.uint32) if found.max(initial=0) <= _NARROW else found


def spread(image: ImageTally, classes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Spread an image's counts over `classes`, in rising order, which include all of its own.

    The result is (3, classes): hits, labelled, predicted; zero where a class does not occur.
    """
    found = np.zeros((3, len(classes)), np.int64)
    found[:, np.searchsorted(classes, image[0])] = image[1:]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The counts of many images: `rows` are those of each `ImageTally`, (4, rows), in order.

    The rows from `starts[i]` to `starts[i + 1]` are those of image i; `starts` is int64
    (images + 1,). `classes` is how many classes there are.
    """

    classes: int
    starts: npt.NDArray[np.int64]
    rows: ImageTally

    def __len__(self) -> int:
        """Count the images."""
        return len(self.starts) - 1

    @property
    def shown(self) -> npt.NDArray[np.int64]:
        """How many images show each class in their truth, (classes,)."""
        return np.bincount(self.rows[0, self.rows[2] > 0], minlength=self.classes)

    @property
    def images(self) -> npt.NDArray[np.int64]:
        """The index of each row's image, (rows,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    def iterate_blocks(self) -> Iterator[tuple[slice, npt.NDArray[np.float64]]]:
        """Yield some images at a time, and their counts, (3, images, classes).

        The counts are hits, labelled and predicted, as floats: exact up to 2^53.
        """
        step = max(1, _BLOCK // self.classes)
        for start in range(0, len(self), step):
            stop = min(start + step, len(self))
            own = self.rows[:, self.starts[start] : self.starts[stop]]
            images = np.repeat(np.arange(stop - start), np.diff(self.starts[start : stop + 1]))
            found = np.zeros((3, stop - start, self.classes))
            found[:, images, own[0]] = own[1:]
            yield slice(start, stop), found

    def select(self, images: npt.NDArray[np.bool_], classes: Sequence[int]) -> Tally:
        """Select some images, in their order, and some classes, in the given order."""
        places = np.full(self.classes, -1)
        places[list(classes)] = np.arange(len(classes))
        renamed, owners = places[self.rows[0]], self.images
        kept = images[owners] & (renamed >= 0)
        names = renamed[None, kept].astype(self.rows.dtype)
        rows = np.concatenate([names, self.rows[1:, kept]])
        sizes = np.bincount(owners[kept], minlength=len(self))[images]
        return Tally(classes=len(classes), starts=_sum_up(sizes), rows=rows)


def collect_tally(images: Sequence[ImageTally], *, classes: int) -> Tally:
    """Collect the counts of some images, to resample them; `classes` is how many there are."""
    sizes = np.array([image.shape[1] for image in images], np.int64)
    rows = np.concatenate(images, axis=1)
    return Tally(classes=classes, starts=_sum_up(sizes), rows=rows)


def _sum_up(sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Compute where each of some parts starts, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(sizes)])
