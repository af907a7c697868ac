"""Opens a camera with the requested settings, and reads back what the camera gives."""

from __future__ import annotations

from typing import Any

from edgeseg.machine.cameras import find_number
from edgeseg.machine.opencv import import_opencv
from edgeseg.runtime.events import Event, Tell
from edgeseg.runtime.sources.address import is_camera
from edgeseg.runtime.sources.captures.patient import PatientCapture
from edgeseg.runtime.sources.captures.rate import find_rate
from edgeseg.runtime.sources.naming import name_source
from edgeseg.runtime.sources.options import CameraOptions

__all__ = ["CameraOpener", "describe_opened"]


class CameraOpener:
    """Opens a camera by its number or its device's path; a link is followed at each opening.

    `tell` receives an event where the link leads to another device than before, as after a re-plug.
    """

    def __init__(self, uri: str | int, options: CameraOptions, tell: Tell) -> None:
        self._uri = uri
        self._options = options
        self._tell = tell
        self._number: int | None = None

    def __call__(self) -> Any:  # noqa: ANN401  # cv2.VideoCapture
        """Open the camera; the capture is closed where no camera has the name now."""
        cv2 = import_opencv(f"reading {name_source(self._uri)}")
        number = self._uri if isinstance(self._uri, int) else find_number(self._uri)
        if number is None:
            return cv2.VideoCapture()
        if self._number not in {None, number}:
            text = f"{name_source(self._uri)}: is /dev/video{number} now"
            self._tell(Event(kind="moved", text=text))
        self._number = number
        return _open_camera(number, self._options)


def _open_camera(number: int, options: CameraOptions) -> Any:  # noqa: ANN401  # as above
    """Open a camera; ask for MJPG first, since USB 2 carries few uncompressed frames a second."""
    cv2 = import_opencv(f"reading camera {number}")
    device = cv2.VideoCapture(number)
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
    if not is_camera(uri):
        return name
    cv2 = import_opencv(f"reading {name}")
    code = int(capture.get(cv2.CAP_PROP_FOURCC))
    kind = "".join(chr(code >> shift & 0x7F) for shift in (0, 8, 16, 24)).strip("\0 ")
    width, height = (
        int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
    )
    rate = find_rate(capture)
    told = "rate unknown" if rate is None else f"{rate:g} a second"
    return f"{name} ({_name_device(uri)}{height}x{width}, {told}, {kind or 'format unknown'})"


def _name_device(uri: str | int) -> str:
    """Name the device that a link leads to now, with a comma; nothing where `uri` names it."""
    number = None if isinstance(uri, int) else find_number(uri)
    device = f"/dev/video{number}"
    return "" if number is None or device == uri else f"{device}, "
