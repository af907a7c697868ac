"""What a user may say of a training: how long, on how many images, and whether labels take part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edgeseg.errors import CalibrationError
from edgeseg.spec import check_number

__all__ = ["FEWEST", "WORTH", "WORTH_IN_CONTRAST", "Recover", "check_images"]

# With fewer images nothing can be held back.
FEWEST: Final = 8
# Points of mIoU that a variant may cost without being trained: on clean images, and more than on
# those in low contrast.
WORTH: Final = 0.05
WORTH_IN_CONTRAST: Final = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Recover:
    """How long to train INT8 variants that cost too much, and on how many calibration images.

    `images` is None for all of them. With `labels`, their ground truth takes part beside FP32.

    Raises:
        SpecError: no time, or fewer images than a training needs.
    """

    seconds: float
    images: int | None = None
    labels: bool = False

    def __post_init__(self) -> None:
        check_number("--recover (in seconds)", self.seconds, least=1)
        if self.images is not None:
            check_number("--recover-images", self.images, least=FEWEST)


def check_images(count: int) -> None:
    """Check that a training has images enough.

    Raises:
        CalibrationError: fewer than `FEWEST`.
    """
    if count < FEWEST:
        raise CalibrationError(
            f"{count} images are too few to recover accuracy with; give {FEWEST} or more with "
            f"--calibration"
        )
