"""Turns frames of other pixel formats into BGR; those of a GStreamer pipeline by its caps."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edgeseg.errors import SourceError
from edgeseg.machine.opencv import import_opencv
from edgeseg.pixels import Bgr
from edgeseg.redact import GSTREAMER, redact

__all__ = ["convert_colors", "read_format", "to_bgr"]

# What OpenCV's appsink passes on: the name of cv2's conversion, and bytes a pixel; 0 for planes of
# YUV 4:2:0, one after the other in (1.5 H, W).
_FORMATS: Final = MappingProxyType(
    {
        "GRAY8": ("COLOR_GRAY2BGR", 1),
        "YUY2": ("COLOR_YUV2BGR_YUY2", 2),
        "YVYU": ("COLOR_YUV2BGR_YVYU", 2),
        "UYVY": ("COLOR_YUV2BGR_UYVY", 2),
        "BGRx": ("COLOR_BGRA2BGR", 4),
        "BGRA": ("COLOR_BGRA2BGR", 4),
        "RGBx": ("COLOR_RGBA2BGR", 4),
        "RGBA": ("COLOR_RGBA2BGR", 4),
        "NV12": ("COLOR_YUV2BGR_NV12", 0),
        "NV21": ("COLOR_YUV2BGR_NV21", 0),
        "I420": ("COLOR_YUV2BGR_I420", 0),
        "YV12": ("COLOR_YUV2BGR_YV12", 0),
    }
)
_QUOTED: Final = r"\"(?:\\.|[^\"])*\"|'[^']*'"
_ELEMENT: Final = re.compile(rf"(?:{_QUOTED}|[^!\"'])+")
_FORMAT: Final = re.compile(r"\bformat\s*=\s*(?:\(string\)\s*)?[\"']?(\w+)")
# Elements that leave a frame's format as it is.
_KEEPING: Final = re.compile(r"(?:appsink|capsfilter|identity|queue2?|tee|videorate|video/x-raw)\b")
_BGR_END: Final = "videoconvert ! video/x-raw,format=BGR ! appsink drop=1"


def convert_colors(pixels: npt.NDArray[np.uint8], code: str, what: str) -> Bgr:
    """Convert pixels into uint8 BGR (H, W, 3) by OpenCV's color code, such as COLOR_YUV2BGR_NV12.

    `what` names the work in an error. OpenCV reads YUV as BT.601 with limited range.

    Raises:
        MissingPackageError: OpenCV is not installed.
    """
    cv2 = import_opencv(what)
    return np.asarray(cv2.cvtColor(pixels, getattr(cv2, code)))


def read_format(pipeline: str) -> str | None:
    """Read the format of the frames that reach a pipeline's appsink; None where no caps name it.

    Caps count if nothing stands between them and the appsink that changes a frame's format.
    """
    elements = [element.strip(" \t\n\"'") for element in _ELEMENT.findall(pipeline)]
    ends = [at for at, element in enumerate(elements) if element.startswith("appsink")]
    if not ends:
        return None
    for element in reversed(elements[: ends[-1] + 1]):
        if _KEEPING.match(element) is None:
            return None
        named = _FORMAT.search(element)
        if named is not None:
            return named[1]
    return None


def to_bgr(image: Any, pipeline: str) -> Bgr:  # noqa: ANN401  # any array that OpenCV gives
    """Convert a frame of a pipeline into uint8 BGR (H, W, 3), as `cv2.cvtColor` defines it.

    A frame of three bytes a pixel is BGR already, and stays. YUV is read as BT.601 with limited
    range. `pipeline` is the text that GStreamer runs.

    Raises:
        SourceError: the caps name no format, another one, or one that the frame does not have.
    """
    if image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3:
        return np.asarray(image)
    form = read_format(pipeline)
    conversion, pixel_bytes = _FORMATS.get(form or "", ("", 0))
    if not conversion or not _fits(image, pixel_bytes):
        raise SourceError(_explain(image, pipeline, form))
    return convert_colors(image, conversion, "reading frames")


def _fits(image: Any, pixel_bytes: int) -> bool:  # noqa: ANN401  # as above
    """Tell whether a frame has the shape of its format."""
    if image.dtype != np.uint8 or image.size == 0:
        return False
    if pixel_bytes == 0:  # half as many rows and columns of color
        return bool(image.ndim == 2 and image.shape[0] % 3 == 0 and image.shape[1] % 2 == 0)
    if pixel_bytes == 2 and image.shape[1] % 2:  # two pixels share a color
        return False
    return bool((1 if image.ndim == 2 else image.shape[2]) == pixel_bytes)


def _explain(image: Any, pipeline: str, form: str | None) -> str:  # noqa: ANN401  # as above
    """Explain why frames are not converted, and what to write into the pipeline."""
    shape = "x".join(map(str, image.shape))
    what = f"{redact(f'{GSTREAMER}{pipeline}')} gives frames of {shape} {image.dtype}"
    known = ", ".join(_FORMATS)
    if form is None:
        return (
            f"{what}, and no caps before its appsink say in which format; name it, as in "
            f"video/x-raw,format=NV12 ! appsink drop=1, or end in: {_BGR_END}"
        )
    if form in _FORMATS:
        return f"{what}, which are not {form} as its caps say; end in: {_BGR_END}"
    return f"{what} in the format {form}; edgeseg reads BGR, {known}; end in: {_BGR_END}"
