"""Turns the image messages of ROS into BGR pixels."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edgeseg.errors import SourceError
from edgeseg.pixels import Bgr
from edgeseg.runtime.sources.captures.formats import convert_colors
from edgeseg.runtime.sources.files.pictures import decode_picture
from edgeseg.text import join_words

__all__ = ["COMPRESSED", "IMAGE", "convert_message"]

IMAGE: Final = "sensor_msgs/msg/Image"
COMPRESSED: Final = "sensor_msgs/msg/CompressedImage"

_Bytes = npt.NDArray[np.uint8]


class _Encoding(NamedTuple):
    """Bytes a pixel, and how rows of them, (H, W, bytes), become BGR."""

    width: int
    convert: Callable[[_Bytes], _Bytes]


def _pick(*channels: int) -> Callable[[_Bytes], _Bytes]:
    return lambda pixels: pixels[:, :, list(channels)]


def _convert_by(code: str) -> Callable[[_Bytes], _Bytes]:
    """Convert by the color code of OpenCV that has this name."""
    what = "reading images of YUV or of a Bayer pattern"
    return lambda pixels: convert_colors(np.ascontiguousarray(pixels), code, what)


_UYVY: Final = _Encoding(2, _convert_by("COLOR_YUV2BGR_UYVY"))
_YUYV: Final = _Encoding(2, _convert_by("COLOR_YUV2BGR_YUY2"))
# The names of sensor_msgs/image_encodings.hpp, of 8 bits a channel. OpenCV names a Bayer pattern by
# its second row.
_ENCODINGS: Final = MappingProxyType(
    {
        "bgr8": _Encoding(3, _pick(0, 1, 2)),
        "8UC3": _Encoding(3, _pick(0, 1, 2)),
        "rgb8": _Encoding(3, _pick(2, 1, 0)),
        "bgra8": _Encoding(4, _pick(0, 1, 2)),
        "8UC4": _Encoding(4, _pick(0, 1, 2)),
        "rgba8": _Encoding(4, _pick(2, 1, 0)),
        "mono8": _Encoding(1, _pick(0, 0, 0)),
        "8UC1": _Encoding(1, _pick(0, 0, 0)),
        "yuv422": _UYVY,
        "uyvy": _UYVY,
        "yuv422_yuy2": _YUYV,
        "yuyv": _YUYV,
        "bayer_rggb8": _Encoding(1, _convert_by("COLOR_BayerBG2BGR")),
        "bayer_bggr8": _Encoding(1, _convert_by("COLOR_BayerRG2BGR")),
        "bayer_gbrg8": _Encoding(1, _convert_by("COLOR_BayerGR2BGR")),
        "bayer_grbg8": _Encoding(1, _convert_by("COLOR_BayerGB2BGR")),
    }
)


def convert_message(message: Any, kind: str, name: str) -> Bgr:  # noqa: ANN401  # of rosbags, made by name
    """Turn a message of type `kind`, `IMAGE` or `COMPRESSED`, into uint8 BGR (H, W, 3).

    `is_bigendian` has no effect, since no pixel has more than 8 bits a channel. Alpha is dropped.

    Raises:
        SourceError: the encoding is not known, or the data does not fit it; `name` names the topic.
        MissingPackageError: it is YUV or a Bayer pattern, and OpenCV is not installed.
    """
    convert = _decompress if kind == COMPRESSED else _arrange
    return convert(message, name)


def _decompress(message: Any, name: str) -> Bgr:  # noqa: ANN401  # as above
    image = decode_picture(message.data.tobytes())
    if image is None or "compressedDepth" in message.format:
        raise SourceError(
            f"{name}: a compressed image ({message.format or 'of no format'}) is no whole JPEG or "
            f"PNG of 8 bits; video and depth in messages are not read"
        )
    return image


def _arrange(message: Any, name: str) -> Bgr:  # noqa: ANN401  # as above
    encoding = _ENCODINGS.get(message.encoding)
    if encoding is None:
        raise SourceError(
            f"{name}: images of encoding {message.encoding} are not read, but those of 8 bits: "
            f"{join_words([*_ENCODINGS])}; convert them first (image_proc, cv_bridge)"
        )
    height, row = message.height, message.width * encoding.width
    step = message.step or row
    if not row or not height or step < row or message.data.size < step * height:
        raise SourceError(
            f"{name}: an image of {height}x{message.width} {message.encoding} has "
            f"{message.data.size} bytes in rows of {step}, which does not fit; is the file whole?"
        )
    rows = message.data[: step * height].reshape(height, step)[:, :row]
    pixels = rows.reshape(height, message.width, encoding.width)
    return np.ascontiguousarray(encoding.convert(pixels))
