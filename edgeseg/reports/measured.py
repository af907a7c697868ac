"""What was measured, as values: classes, images, costs, input sizes, corrupted images.

Accuracies are points (0..100). A field is None where it was not measured.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

from edgeseg.errors import SpecError

__all__ = [
    "ClassDrop",
    "ClassResult",
    "CorruptionResult",
    "Cost",
    "Costs",
    "FamilyResult",
    "ImageResult",
    "SidePoint",
    "Value",
]

_MOST_PIXELS: Final = 1 << 40  # of one image: sums over a data set stay exact as floats


class Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Immutable, and read from JSON with its types checked."""


class ClassDrop(Value, frozen=True, kw_only=True):
    """How much IoU a class lost against the reference, in points."""

    name: str
    drop: float


class ClassResult(Value, frozen=True, kw_only=True):
    """A class of the model.

    `share` is its part of the labelled pixels in %, `images` how many show it. `iou` is None where
    it occurs neither in the truth nor in a prediction. `counted` says whether it is frequent enough
    for a gate. The intervals of all counted classes hold together, with 95 % confidence.
    """

    name: str
    share: float
    images: int
    counted: bool
    iou: float | None = None
    reference_iou: float | None = None
    drop: float | None = None
    drop_low: float | None = None
    drop_high: float | None = None


class ImageResult(Value, frozen=True, kw_only=True):
    """Counts of one image, in pixels, a column for each of `classes`: those that occur in it.

    `hits` are pixels with the true class, `predicted` those given to a class, both among the
    labelled ones. `lost` is the IoU that the candidate loses here, in points, over the classes with
    at least 0.1 % of the image's labelled pixels; `agreement` the share of all pixels with the
    reference's class, in %.
    """

    name: str
    sha256: str
    classes: tuple[int, ...]
    labelled: tuple[int, ...]
    hits: tuple[int, ...]
    predicted: tuple[int, ...]
    reference_hits: tuple[int, ...] | None = None
    reference_predicted: tuple[int, ...] | None = None
    lost: float | None = None
    agreement: float | None = None

    def __post_init__(self) -> None:
        labelled, predicted = self.labelled, self.predicted
        sides = [(self.hits, predicted)]
        if self.reference_hits is not None and self.reference_predicted is not None:
            sides.append((self.reference_hits, self.reference_predicted))
        for hits, given in sides:
            lengths = {len(column) for column in (self.classes, labelled, hits, given)}
            if len(lengths) > 1 or not all(
                0 <= hit <= min(pair) and max(pair) <= _MOST_PIXELS
                for hit, *pair in zip(hits, labelled, given, strict=True)
            ):
                raise SpecError(f"the counts of image {self.name} cannot be of one image")
        if list(self.classes) != sorted(set(self.classes)) or min(self.classes, default=0) < 0:
            raise SpecError(f"the classes of image {self.name} are not in order")


class Cost(Value, frozen=True, kw_only=True):
    """`latency_ms` is the median of whole frames, `bytes` of the files that the engine opens.

    `memory_mb` is the peak of a fresh process that segments such a frame.
    """

    latency_ms: float
    bytes: int | None = None
    memory_mb: float | None = None


class Costs(Value, frozen=True, kw_only=True):
    """What a frame costs here; `frame` is the timed image's height and width.

    `latency_ratio` is the candidate's time over the reference's, timed in turns: what a limit on
    it looks at. People are shown the `speedup`.
    """

    frame: tuple[int, int]
    rounds: int
    candidate: Cost
    reference: Cost | None = None
    latency_ratio: float | None = None

    @property
    def speedup(self) -> float | None:
        """How many times as fast as the reference: above 1 is faster."""
        return None if self.latency_ratio is None else 1 / self.latency_ratio


class SidePoint(Value, frozen=True, kw_only=True):
    """A checkpoint at one short side: the network's input in pixels, mIoU, and a frame's time."""

    short_px: int
    height: int
    width: int
    miou: float
    latency_ms: float

    def __post_init__(self) -> None:
        if not (0 <= self.miou <= 100 and 0 <= self.latency_ms < math.inf):
            raise SpecError(
                f"a short side of {self.short_px} pixels cannot have an mIoU of {self.miou} points "
                f"at {self.latency_ms} ms"
            )


class CorruptionResult(Value, frozen=True, kw_only=True):
    """Accuracy on images that went through one corruption (see `edgeseg.corruptions`), in points.

    `severity` is 1 to 5.
    """

    name: str
    family: str
    severity: int
    miou: float
    reference_miou: float | None = None
    drop: float | None = None


class FamilyResult(Value, frozen=True, kw_only=True):
    """A family of corruptions: means over its kinds and severities, in points.

    `extra_drop` is how much more the candidate loses against the reference than on clean images;
    its intervals hold for all families together, with 95 % confidence, and are None where images
    are too few for one.
    """

    name: str
    corruptions: tuple[str, ...]
    miou: float
    reference_miou: float | None = None
    drop: float | None = None
    extra_drop: float | None = None
    extra_low: float | None = None
    extra_high: float | None = None
