"""The protocols behind mmsegmentation's published accuracy, step by step.

    keep             the image rescaled, its aspect kept, and seen whole
    slide            rescaled, and seen through windows that overlap
    ms-flip          rescaled to six sizes, each also mirrored: twelve views' mean probabilities
    slide-ms-flip    the same, each view through windows

The protocols are those of mmsegmentation 0.x, which made its figures for SegFormer:
`MultiScaleFlipAug` and `tools/test.py --aug-test` (sizes, mirroring), `EncoderDecoder` (windows,
logits to classes), and mmcv's `imrescale`. For ADE20K it has `keep` and `ms-flip` with a short side
of 512 pixels (640 for the B5 of that size), for Cityscapes `slide` and `slide-ms-flip` with 1024.

Others differ: mmsegmentation 1.x applies the ratios to the image's own size, not to the rescaled
one. NVlabs' code, whose figures are the paper's, rounds rescaled sides up to multiples of 32 for
ADE20K, with ratios 0.75, 0.875, 1, 1.125 and 1.25, and has a ratio of 2 as well for Cityscapes.

A view's logits are resized to the network's input first and to the frame's size then. One step
would give another result. The protocol `ss` is the runtime's own way from a frame to its mask; this
module does not run it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import product
from typing import Final, NamedTuple

import numpy as np

from edgeseg.errors import SpecError
from edgeseg.pixels import Bgr, ClassMap, Planes, resize_by_opencv, resize_rows, to_mask
from edgeseg.pixels.windows import split_rows
from edgeseg.spec import MIN_SIDE_PX
from edgeseg.verification.windows import Network, View, look_through

__all__ = [
    "PROTOCOLS",
    "PUBLISHED",
    "Network",
    "Settings",
    "check_fits",
    "list_input_sizes",
    "rescale_size",
    "segment_by",
]

PROTOCOLS: Final = ("ss", "keep", "slide", "ms-flip", "slide-ms-flip")

_WHOLE: Final = sys.maxsize  # a window that no image exceeds


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The protocols' numbers; by default those of the published figures.

    The long side of an image is rescaled to `long_px` at most, the short side to what the data set
    asks for. Each of the `ratios` multiplies both limits. Windows are `window_px` high and wide,
    and `stride_px` apart (`test_cfg` of SegFormer's Cityscapes configurations, in mmsegmentation
    and NVlabs alike).
    """

    long_px: int = 2048
    window_px: int = 1024
    stride_px: int = 768
    ratios: tuple[float, ...] = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)

    def __post_init__(self) -> None:
        if not 0 < self.stride_px <= self.window_px:
            raise SpecError(
                f"windows of {self.window_px} pixels cover an image at strides of 1 to "
                f"{self.window_px}, got {self.stride_px}"
            )
        if not self.ratios or min(self.ratios) <= 0:
            raise SpecError(f"an image is rescaled by ratios above 0, got {self.ratios}")


PUBLISHED: Final = Settings()


def segment_by(
    protocol: str,
    network: Network,
    frame: Bgr,
    *,
    short_px: int,
    settings: Settings = PUBLISHED,
    threshold: float | None = None,
) -> ClassMap:
    """Segment a frame by a protocol: class ids (H, W) at the frame's own size.

    `threshold` is that of a network which had one logit, and whose second logit is now shifted by
    it. The framework averages the probabilities of that one logit, and then compares.

    Memory holds the network's own logits, at a quarter of that size a side, one float32 array of
    (classes, H, W), and blocks of it of a few megabytes. H and W are the frame's where several
    views are averaged, else the rescaled image's.

    Raises:
        SpecError: the network does not take what the protocol needs (see `check_fits`).
        BackendError: a logit is NaN or plus infinity, as FP16 overflow makes them.
        MissingPackageError: there is no OpenCV.
    """
    height, width = frame.shape[:2]
    check_fits(protocol, network, height=height, width=width, short_px=short_px, settings=settings)
    plan = _make_plan(protocol, settings)
    weights = None if threshold is None else _weigh_classes(threshold)
    total: Planes | None = None
    for ratio, mirrored in plan.views:
        size = rescale_size(height, width, short_px=short_px, ratio=ratio, long_px=settings.long_px)
        image = resize_by_opencv(frame, height=size[0], width=size[1])
        if mirrored:
            image = image[:, ::-1]
        view = look_through(network, image, window_px=plan.window_px, stride_px=settings.stride_px)
        if len(plan.views) == 1:
            return to_mask(view.all_rows()[None], height=height, width=width)
        if total is None:
            total = np.zeros((view.classes, height, width), np.float32)
        _add_probabilities(total, view, mirrored=mirrored, weights=weights)
    assert total is not None, "a plan has views"
    if weights is not None:  # p > t is the same as p (1 - t) > (1 - p) t
        total *= weights[::-1]
    # mmsegmentation divides by the number of views. That does not change which class is highest.
    return to_mask(total[None], height=height, width=width)


def check_fits(
    protocol: str,
    network: Network,
    *,
    height: int,
    width: int,
    short_px: int,
    settings: Settings = PUBLISHED,
) -> None:
    """Check, before anything runs, that the network takes what a frame of that size becomes.

    A network of a fixed size can follow a protocol that needs that size alone.

    Raises:
        SpecError: the network does not take it (the message says what it takes), or the protocol
            is unknown.
    """
    sizes = list_input_sizes(
        protocol, height=height, width=width, short_px=short_px, settings=settings
    )
    if network.size is None or sizes == (network.size,):
        return
    smallest, largest = (f"{size[0]}x{size[1]}" for size in (sizes[0], sizes[-1]))
    needed, remedy = smallest, f"export that: edgeseg export --weights CHECKPOINT --size {smallest}"
    if len(sizes) > 1:
        needed = f"{len(sizes)} sizes, {smallest} to {largest}, which no bundle takes"
    if len(sizes) > 1 or min(sizes[0]) < MIN_SIDE_PX:
        remedy = f"measure the checkpoint itself: edgeseg verify CHECKPOINT --protocol {protocol}"
    raise SpecError(
        f"{network.name} takes {network.size[0]}x{network.size[1]} only, and for an image of "
        f"{height}x{width} --protocol {protocol} needs {needed}; {remedy}"
    )


def list_input_sizes(
    protocol: str, *, height: int, width: int, short_px: int, settings: Settings = PUBLISHED
) -> tuple[tuple[int, int], ...]:
    """List the heights and widths, in pixels, that a network gets for a frame, ascending.

    Raises:
        SpecError: the protocol is unknown, or it is `ss`.
    """
    plan = _make_plan(protocol, settings)
    sizes = set()
    for ratio, _ in plan.views:
        image_height, image_width = rescale_size(
            height, width, short_px=short_px, ratio=ratio, long_px=settings.long_px
        )
        # All windows of an image have the same size: those at its end are moved, not cut.
        sizes.add((min(image_height, plan.window_px), min(image_width, plan.window_px)))
    return tuple(sorted(sizes))


def rescale_size(
    height: int, width: int, *, short_px: int, ratio: float = 1.0, long_px: int = PUBLISHED.long_px
) -> tuple[int, int]:
    """Compute height and width of an image as large as two limits times `ratio` allow.

    The limits are rounded down, as `MultiScaleFlipAug` does. The sides are rounded half up, as
    `imrescale` does. Like `imrescale`, the function takes the larger limit for the long side.
    """
    limits = int(short_px * ratio), int(long_px * ratio)
    factor = min(max(limits) / max(height, width), min(limits) / min(height, width))
    return max(int(height * factor + 0.5), 1), max(int(width * factor + 0.5), 1)


class _Plan(NamedTuple):
    views: tuple[tuple[float, bool], ...]  # ratio, and whether the image is mirrored
    window_px: int


def _make_plan(protocol: str, settings: Settings) -> _Plan:
    views: tuple[tuple[float, bool], ...] = ((1.0, False),)
    several = tuple(product(settings.ratios, (False, True)))
    match protocol:
        case "keep":
            return _Plan(views, _WHOLE)
        case "slide":
            return _Plan(views, settings.window_px)
        case "ms-flip":
            return _Plan(several, _WHOLE)
        case "slide-ms-flip":
            return _Plan(several, settings.window_px)
        case _:
            known = ", ".join(PROTOCOLS[1:])
            raise SpecError(f"there is no protocol {protocol!r} of mmsegmentation; take {known}")


def _weigh_classes(threshold: float) -> Planes:
    """Weigh two classes so that a shifted logit has the probability of the unshifted one."""
    return np.array([1 - threshold, threshold], np.float32)[:, None, None]


def _add_probabilities(
    total: Planes, view: View, *, mirrored: bool, weights: Planes | None
) -> None:
    """Add a view's probabilities to `total` (classes, H, W) in place, to save memory."""
    classes, height, width = total.shape
    for block in split_rows(range(height), values=classes * width):
        planes = resize_rows(view.rows, of=view.height, height=height, width=width, rows=block)
        planes -= planes.max(axis=0)
        np.exp(planes, out=planes)
        if weights is not None:
            planes *= weights
        planes /= planes.sum(axis=0)
        total[:, block.start : block.stop] += planes[:, :, ::-1] if mirrored else planes
