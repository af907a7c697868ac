"""How a protocol shows images to a model: whole, rescaled, or through windows.

Protocol `slide` has two forms. A checkpoint takes images of any size, and follows mmsegmentation's
published numbers. A bundle takes one size, and sees each image at the image's own resolution
through windows of that size, as `edgeseg run --tile` does. `find_windows` tells them apart, and the
report keeps its answer.
"""

from __future__ import annotations

from typing import NamedTuple

from edgeseg.pixels import Bgr, ClassMap
from edgeseg.pixels.tiles import find_stride
from edgeseg.reports.measured import Windows
from edgeseg.reports.report import Report
from edgeseg.verification.protocols import PUBLISHED, segment_by
from edgeseg.verification.subjects import Model

__all__ = ["Way", "describe_way", "find_windows", "is_tiled", "recall_way", "segment_as"]


class Way(NamedTuple):
    """A protocol, its windows if there are any, and the height and width of the network's input."""

    protocol: str
    windows: Windows | None
    size: tuple[int, int]


def describe_way(protocol: str, candidate: Model) -> Way:
    """Describe how the candidate is measured, for a comparison with an earlier report."""
    size = (candidate.input.height, candidate.input.width)
    return Way(protocol, find_windows(protocol, candidate), size)


def is_tiled(protocol: str, candidate: Model) -> bool:
    """Whether all models see windows of their own size, over images that are not rescaled."""
    return protocol == "slide" and candidate.size is not None


def find_windows(protocol: str, candidate: Model) -> Windows | None:
    """Find the windows through which the candidate sees images; None if it sees them whole."""
    spec = candidate.input
    if is_tiled(protocol, candidate):
        return Windows(
            height=spec.height,
            width=spec.width,
            stride_down=find_stride(spec.height),
            stride_across=find_stride(spec.width),
        )
    if not protocol.startswith("slide"):
        return None
    return _make_published_windows(_find_short_side(spec.height, spec.width))


def recall_way(report: Report) -> Way:
    """Recall how a report was made; the windows of an older edgeseg's were the published ones."""
    about, windows = report.candidate, report.windows
    if windows is None and report.protocol.startswith("slide"):
        windows = _make_published_windows(_find_short_side(about.height, about.width))
    return Way(report.protocol, windows, (about.height, about.width))


def _make_published_windows(short_px: int) -> Windows:
    """Make mmsegmentation's published windows."""
    side, stride = PUBLISHED.window_px, PUBLISHED.stride_px
    return Windows(
        height=side,
        width=side,
        stride_down=stride,
        stride_across=stride,
        short_px=short_px,
    )


def segment_as(protocol: str, model: Model, frame: Bgr, *, candidate: Model) -> ClassMap:
    """Segment a frame with a model in the way in which the candidate is measured."""
    if protocol == "ss":
        return model.segment(frame)
    if is_tiled(protocol, candidate):
        return model.segment(frame, tile=True)
    return segment_by(
        protocol,
        model,
        frame,
        short_px=_find_short_side(candidate.input.height, candidate.input.width),
        threshold=model.threshold,
    )


def _find_short_side(height: int, width: int) -> int:
    """Find the short side to which mmsegmentation's protocols rescale, from a network's input."""
    return min(height, width)
