"""The network's input: its size, and how a frame becomes it."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Final

from edgeseg.errors import SpecError

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "GRAY",
    "MIN_SIDE_PX",
    "RGB",
    "Aspect",
    "ChannelOrder",
    "InputSpec",
    "PerChannel",
    "Resize",
    "Upsampling",
    "check_above_zero",
    "check_number",
    "check_size",
    "count_frame_channels",
]

# Numbers of an image's channels.
RGB: Final = 3
GRAY: Final = 1

PerChannel = tuple[float, ...]  # one value for each channel

# ImageNet statistics of RGB values in 0..1, as every published SegFormer uses them.
IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)

# The coarsest published stage sees 1/32 of the input, which must leave it one position.
MIN_SIDE_PX: Final = 32


class Resize(enum.Enum):
    """How a frame becomes the network's size."""

    PILLOW_BILINEAR = "pillow-bilinear"
    """Antialiased, on uint8: the default of Hugging Face's image processor."""

    PILLOW_NEAREST = "pillow-nearest"
    PILLOW_BICUBIC = "pillow-bicubic"
    PILLOW_LANCZOS = "pillow-lanczos"

    OPENCV_BILINEAR = "opencv-bilinear"
    """Four neighbors, no antialiasing: mmsegmentation and NVlabs."""


class Aspect(enum.Enum):
    """What happens to a frame whose aspect ratio is not the network's."""

    SQUASH = "squash"
    """The frame is stretched to fit, as in Hugging Face."""

    KEEP = "keep"
    """The frame is scaled to fit inside, as in mmsegmentation; the rest is the mean color."""


class Upsampling(enum.Enum):
    """How logits become as large as the frame. Every way is bilinear."""

    HALF_PIXEL = "half-pixel"
    """In one step, with torch's `align_corners=False`: Hugging Face, NVlabs, mmsegmentation."""

    ALIGN_CORNERS = "align-corners"
    """To the size of the network's input with `align_corners=True`, then to the frame's size
    without: segmentation_models_pytorch."""


class ChannelOrder(enum.Enum):
    """The order of color channels that a network was trained with."""

    RGB = "rgb"
    BGR = "bgr"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """The network's input: size in pixels, how a frame becomes it, and how logits become a mask."""

    height: int
    width: int
    resize: Resize = Resize.PILLOW_BILINEAR
    aspect: Aspect = Aspect.SQUASH
    # For values in 0..1, one for each channel of a frame: red, green, blue of a color frame, which
    # a gray network takes too; otherwise the channels in the files' own order.
    mean: PerChannel = IMAGENET_MEAN
    std: PerChannel = IMAGENET_STD
    upsampling: Upsampling = Upsampling.HALF_PIXEL

    def __post_init__(self) -> None:
        if min(self.height, self.width) < MIN_SIDE_PX:
            raise SpecError(
                f"input size must be at least {MIN_SIDE_PX}x{MIN_SIDE_PX} (height x width), "
                f"the least that leaves SegFormer's last stage a position, got "
                f"{self.height}x{self.width}; choose a larger --size: smaller frames are enlarged "
                f"to it"
            )
        if not len(self.mean) == len(self.std) > 0:
            raise SpecError(
                f"normalization takes one mean and one std for each channel, got {len(self.mean)} "
                f"and {len(self.std)}"
            )
        if min(self.std) <= 0:
            raise SpecError(f"normalization std must be above 0, got {self.std}")

    @property
    def channels(self) -> int:
        """The number of a frame's channels: 3 for color and gray networks."""
        return len(self.mean)

    @property
    def frame_mean(self) -> PerChannel:
        """The mean in the order of a frame's channels: blue, green, red of a color frame."""
        return self.mean[::-1] if self.channels == RGB else self.mean


def count_frame_channels(channels: int) -> int:
    """Count a frame's channels by the network's own: a gray network takes color frames."""
    return RGB if channels == GRAY else channels


def check_number(name: str, value: object, *, least: float, whole: bool = False) -> None:
    """Refuse what is no number of at least `least`; None means that nothing was given.

    Raises:
        SpecError: it is another kind of value, not whole where that is asked for, or too small.
    """
    if value is None:
        return
    kind = Integral if whole else Real
    if isinstance(value, bool) or not isinstance(value, kind) or not float(value) >= least:
        what = "a whole number" if whole else "a number"
        raise SpecError(f"{name} is {what} of {least:g} or more; got {value!r}")


def check_above_zero(name: str, value: object) -> None:
    """Refuse what is no finite number above 0; None means that nothing was given.

    Raises:
        SpecError: it is another kind of value, 0 or less, or without end.
    """
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < math.inf:
        raise SpecError(f"{name} is a finite number above 0; got {value!r}")


def check_size(size: object) -> None:
    """Refuse a size that is not height and width in pixels; None means that none was given.

    Raises:
        SpecError: it is something else.
    """
    if size is None:
        return
    pair = isinstance(size, tuple) and len(size) == 2 and all(isinstance(s, Integral) for s in size)
    if not pair:
        raise SpecError(f"size is (height, width) in pixels, as (512, 1024); got {size!r}")
