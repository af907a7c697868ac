"""The parts of a report that hold measurements: classes, images, costs, sizes, corruptions.

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
    "Windows",
]

_MOST_PIXELS: Final = 1 << 40  # of one image; sums over a data set then stay exact as floats


class Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value that cannot be changed, and whose types are checked as it is read from JSON."""


class Windows(Value, frozen=True, kw_only=True):
    """Windows through which a network saw images: their size, and how far apart they are.

    All are pixels. `short_px` is the short side to which the images were rescaled first; None where
    they kept their own size.
    """

    height: int
    width: int
    stride_down: int
    stride_across: int
    short_px: int | None = None

    @property
    def words(self) -> str:
        """The windows and the rescaling, for people."""
        over = "images at their own size"
        if self.short_px is not None:
            over = f"images rescaled to a short side of {self.short_px}"
        return (
            f"windows of {self.height}x{self.width} pixels, {self.stride_down} apart down and "
            f"{self.stride_across} across, over {over}"
        )


class ClassDrop(Value, frozen=True, kw_only=True):
    """How much IoU a class lost against the reference, in points."""

    name: str
    drop: float


class ClassResult(Value, frozen=True, kw_only=True):
    """A class of the model, and its IoU in points.

    `share` is the class's part of the labelled pixels in %, `images` the number of images that show
    it. `counted` says whether the class is frequent enough for a gate. `iou` is the candidate's; it
    is None if the class occurs neither in the truth nor in a prediction. `drop` is `reference_iou`
    less `iou`. The intervals from `drop_low` to `drop_high` hold for all counted classes together,
    with 95 % confidence.
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
    """Counts of one image, in pixels.

    `classes` are the ids that occur in the image's truth or masks, in rising order; the other
    tuples have a number for each of them. `labelled` counts the pixels of the class in the truth,
    `predicted` the labelled pixels that the candidate gives to the class, and `hits` those that are
    both. `reference_hits` and `reference_predicted` are the reference's.

    `lost` is the IoU that the candidate loses in this image, in points, over the classes with at
    least 0.1 % of its labelled pixels. `agreement` is the share of all pixels with the reference's
    class, in %.

    Raises:
        SpecError: the counts cannot be of one image.
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
    """What a frame costs with one model.

    `latency_ms` is the median time of a whole frame in milliseconds. `bytes` is the size of the
    files that the engine opens. `memory_mb` is the peak memory, in MB (10^6 bytes), of a fresh
    process that segments such a frame.
    """

    latency_ms: float
    bytes: int | None = None
    memory_mb: float | None = None


class Costs(Value, frozen=True, kw_only=True):
    """What a frame costs on the machine of the report.

    `frame` is the height and width of the timed image in pixels, `rounds` how often it was timed.
    `latency_ratio` is the candidate's time divided by the reference's, both timed in turns. A limit
    judges this ratio; people are shown the `speedup`.
    """

    frame: tuple[int, int]
    rounds: int
    candidate: Cost
    reference: Cost | None = None
    latency_ratio: float | None = None

    @property
    def speedup(self) -> float | None:
        """How many times as fast as the reference the candidate is; above 1 is faster."""
        return None if self.latency_ratio is None else 1 / self.latency_ratio


class SidePoint(Value, frozen=True, kw_only=True):
    """A checkpoint at one input size.

    `short_px` is the shorter side of the network's input in pixels, `height` and `width` the whole
    input. `miou` is points, `latency_ms` the median time of a frame in milliseconds.

    Raises:
        SpecError: the mIoU is not 0 to 100, or the latency is negative or infinite.
    """

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
    """Accuracy in points on images that one corruption changed (see `edgeseg.corruptions`).

    `name` and `family` are those of the corruption. `severity` is 1 to 5. `drop` is
    `reference_miou` less `miou`, the candidate's.
    """

    name: str
    family: str
    severity: int
    miou: float
    reference_miou: float | None = None
    drop: float | None = None


class FamilyResult(Value, frozen=True, kw_only=True):
    """Accuracy in points on a family of corruptions: means over its kinds and severities.

    `drop` is `reference_miou` less `miou`, the candidate's. `extra_drop` is `drop` less the drop on
    clean images. The intervals from `extra_low` to `extra_high` hold for all families together,
    with 95 % confidence; they are None if there are too few images.
    """

    name: str
    corruptions: tuple[str, ...]
    miou: float
    reference_miou: float | None = None
    drop: float | None = None
    extra_drop: float | None = None
    extra_low: float | None = None
    extra_high: float | None = None
