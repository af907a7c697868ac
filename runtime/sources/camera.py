"""Opens a camera with the requested settings, and reads back what the camera gives."""

from __future__ import annotations

from typing import Any

from edgeseg.machine.opencv import import_opencv
from edgeseg.runtime.sources.naming import name_source
from edgeseg.runtime.sources.options import CameraOptions
from edgeseg.runtime.sources.patient import PatientCapture
from edgeseg.runtime.sources.rate import read_rate

__all__ = ["describe_opened", "open_camera"]


def open_camera(index: int, options: CameraOptions) -> Any:  # noqa: ANN401  # cv2.VideoCapture
    """Open a camera; ask for MJPG first, since USB 2 carries few uncompressed frames a second."""
    cv2 = import_opencv(f"reading camera {index}")
    device = cv2.VideoCapture(index)
    if device.isOpened():
        device.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter_fourcc(*"MJPG"))
        wanted = (
            (cv2.CAP_PROP_FRAME_WIDTH, options.width),
            (cv2.CAP_PROP_FRAME_HEIGHT, options.height),
            (cv2.CAP_PROP_FPS, options.fps),
            (cv2.CAP_PROP_BUFFERSIZE, 1),  # a longer driver queue would hold old frames
        )
        for prop, value in wanted:
            if value is not None:
                device.set(prop, value)
    return device


def describe_opened(capture: PatientCapture, uri: str | int) -> str:
    """Describe a camera by name and actual settings, which may differ from the requested ones."""
    name = name_source(uri)
    if not isinstance(uri, int):
        return name
    cv2 = import_opencv(f"reading {name}")
    code = int(capture.get(cv2.CAP_PROP_FOURCC))
    kind = "".join(chr(code >> shift & 0x7F) for shift in (0, 8, 16, 24)).strip("\0 ")
    width, height = (
        int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
    )
    rate = read_rate(capture)
    return f"{name} ({height}x{width}, {rate:g} a second, {kind or 'format unknown'})"
