"""Turns frames into network input. Normalization is part of the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from edgeseg.errors import MissingPackageError
from edgeseg.pixels.arrays import Bgr, Frame
from edgeseg.spec import RGB, Aspect, InputSpec, Resize

__all__ = [
    "find_padding",
    "fit_size",
    "measure_coverage",
    "resize_bands",
    "resize_by_opencv",
    "resize_image",
    "to_input",
]


T = TypeVar("T", bound=np.generic)


def to_input(frame: Bgr, spec: InputSpec) -> Frame:
    """Resize a camera's image to the network's input, uint8 (1, height, width, 3) BGR.

    An image of other than three channels, (H, W, C), becomes (1, height, width, C).

    Pillow's rules equal Hugging Face's image processor to the bit: it also uses Pillow, on uint8.
    `Resize.OPENCV_BILINEAR` needs OpenCV.

    Raises:
        MissingPackageError: the rule is OpenCV's and OpenCV is not installed.
    """
    height, width = fit_size(frame.shape[0], frame.shape[1], spec)
    resized = resize_image(frame, height=height, width=width, rule=spec.resize)
    if (height, width) == (spec.height, spec.width):
        return resized[None]
    canvas = np.empty((1, spec.height, spec.width, spec.channels), np.uint8)
    canvas[:] = find_padding(spec)
    canvas[0, :height, :width] = resized
    return canvas


def find_padding(spec: InputSpec) -> npt.NDArray[np.uint8]:
    """Find the color beside a frame: uint8 (channels,), in the order of the frame's channels.

    It is the mean color, which is zero after normalization, as mmsegmentation pads; the nearest
    color to it where no pixel can have it.
    """
    mean = np.rint(255 * np.array(spec.frame_mean))
    color: npt.NDArray[np.uint8] = np.clip(mean, 0, 255).astype(np.uint8)
    return color


def resize_by_opencv(frame: Bgr, *, height: int, width: int) -> Bgr:
    """Resize a frame by OpenCV's bilinear rule, which is mmsegmentation's.

    From uint8 (H, W, C) to uint8 (height, width, C), in pixels.

    Raises:
        MissingPackageError: OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError:
        raise MissingPackageError(
            "OpenCV",
            purpose="mmsegmentation's resizing rule",
            command="pip install 'edgeseg[opencv]' -c constraints.txt",
        ) from None

    def resize(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(resized, np.uint8)

    return resize_bands(frame, resize)


def resize_bands(
    frame: Bgr, resize: Callable[[npt.NDArray[np.uint8]], npt.NDArray[T]]
) -> npt.NDArray[T]:
    """Resize a color frame, uint8 (H, W, 3), at once, and any other (H, W, C) band by band.

    `resize` takes uint8 (H, W, 3) or (H, W). Pillow would take four bands for a color with alpha,
    and no package takes every number of bands.
    """
    if frame.shape[2] == RGB:
        return resize(np.ascontiguousarray(frame))
    bands = [resize(np.ascontiguousarray(frame[:, :, band])) for band in range(frame.shape[2])]
    return np.stack(bands, axis=2)


def fit_size(height: int, width: int, spec: InputSpec) -> tuple[int, int]:
    """Compute the height and width, in pixels, that a frame takes in the network's input."""
    if spec.aspect is Aspect.SQUASH:
        return spec.height, spec.width
    factor = min(spec.height / height, spec.width / width)
    # Round half up, as mmcv.imrescale does.
    return (
        min(max(int(height * factor + 0.5), 1), spec.height),
        min(max(int(width * factor + 0.5), 1), spec.width),
    )


def measure_coverage(height: int, width: int, spec: InputSpec) -> tuple[float, float]:
    """Compute the part of the network's input that a frame covers, down and across, 0..1."""
    fitted_height, fitted_width = fit_size(height, width, spec)
    return fitted_height / spec.height, fitted_width / spec.width


def resize_image(frame: Bgr, *, height: int, width: int, rule: Resize) -> Bgr:
    """Resize an image by a rule, from uint8 (H, W, C) to uint8 (height, width, C), in pixels.

    Raises:
        MissingPackageError: the rule is OpenCV's and OpenCV is not installed.
    """
    if rule is Resize.OPENCV_BILINEAR:
        return resize_by_opencv(frame, height=height, width=width)
    from PIL import Image

    # `pillow-bicubic` is Image.Resampling.BICUBIC, and so on.
    how = Image.Resampling[rule.value.removeprefix("pillow-").upper()]
    # Pillow works channel by channel, so blue-first data may pass as RGB.
    return resize_bands(
        frame, lambda image: np.asarray(Image.fromarray(image).resize((width, height), how))
    )
