"""The results of a segmenter for one frame, and of a stream for each of its frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edgeseg.pixels import Bgr, ClassMap, Scores
from edgeseg.runtime.sources import Captured

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["MASK_STAGES", "DeviceTimes", "Result", "Segmentation"]

# The stages from a source to a mask, in their order.
MASK_STAGES: Final = ("grab", "prepare", "infer", "mask")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTimes:
    """The milliseconds that a GPU took for each step of a frame, by its own clock."""

    upload_ms: float
    prepare_ms: float
    engine_ms: float
    mask_ms: float
    download_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmentation:
    """A frame's mask, and the milliseconds that each step took.

    `mask` holds class ids (H, W) at the frame's own size; uint8 up to 256 classes, else uint16.
    `scores` are uint8 (H, W), 255 times the probability of each pixel's class; None where nobody
    asked for them.

    Where a GPU makes whole frames, `device` says what it took, which the three steps hold;
    `counts` are the pixels of each class, int32 (classes,); and `overlay` is the frame with the
    classes' colors, uint8 BGR (H, W, 3), where an output asks for it. Where only encoders do,
    `nv12` is there in its place, uint8 (3/2 H, W), both sides rounded up to even.
    """

    mask: ClassMap
    prepare_ms: float
    infer_ms: float
    mask_ms: float
    scores: Scores | None = None
    device: DeviceTimes | None = None
    counts: npt.NDArray[np.int32] | None = None
    overlay: Bgr | None = None
    nv12: npt.NDArray[np.uint8] | None = None

    @property
    def latency_ms(self) -> float:
        """The milliseconds from a frame to its mask."""
        return self.prepare_ms + self.infer_ms + self.mask_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A frame, its mask, and how long the mask took.

    `feed` is the index of its source. `dropped` counts that source's frames so far that newer ones
    replaced or that waited too long, `skipped` those that the pace left out, and `failed` those for
    which the engine gave no mask. `reused` says whether the mask is that of an earlier frame, and
    `network` is the index of the network that gave it, where there are several.
    """

    captured: Captured
    segmentation: Segmentation
    grab_ms: float
    feed: int = 0
    dropped: int = 0
    skipped: int = 0
    failed: int = 0
    reused: bool = False
    network: int = 0

    @property
    def stages_ms(self) -> dict[str, float]:
        """The milliseconds that each of `MASK_STAGES` took."""
        part = self.segmentation
        times_ms = (self.grab_ms, part.prepare_ms, part.infer_ms, part.mask_ms)
        return dict(zip(MASK_STAGES, times_ms, strict=True))

    @property
    def mask(self) -> ClassMap:
        """Class ids (H, W) at the frame's own size; uint8 up to 256 classes, else uint16."""
        return self.segmentation.mask
