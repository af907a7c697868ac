"""Reads with PyAV what a file's container says and OpenCV does not pass on.

Without PyAV the functions find nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from edgeseg.machine.pyav import import_pyav

if TYPE_CHECKING:
    from av.container import InputContainer

__all__ = ["Color", "read_color", "read_last_frame_s", "read_times"]

T = TypeVar("T")


def read_times(path: Path) -> list[float]:
    """Read when each frame of a clip is shown, in seconds from the first frame, in order.

    Every packet is read, and none is decoded. The list is empty where PyAV is absent or a frame has
    no time.
    """
    nothing: list[float] = []
    times = _ask(path, _read_times, nothing)
    return [time - times[0] for time in times]


def read_last_frame_s(path: Path) -> float | None:
    """Read how long a clip's last frame is shown, in seconds; None where unknown."""
    return _ask(path, _find_last_frame_s, None)


class Color(NamedTuple):
    """What a clip's colors mean, in the numbers of ITU-T H.273; 2 means "unspecified"."""

    transfer: int
    primaries: int


def read_color(path: Path) -> Color | None:
    """Read what a clip says about its colors; None where PyAV is absent or cannot read it."""
    return _ask(path, _find_color, None)


class _Shown(NamedTuple):
    """When a frame is shown and for how long, in seconds; a length of 0 means unknown."""

    at: float
    lasts: float


def _ask(path: Path, question: Callable[[InputContainer], T], unknown: T) -> T:
    if import_pyav() is None:
        return unknown
    import av

    try:
        with av.open(str(path)) as container:
            return question(container)
    except (OSError, av.FFmpegError, IndexError):  # unreadable, or without a video stream
        return unknown


def _read_times(container: InputContainer) -> list[float]:
    times = []
    for packet in container.demux(video=0):
        if packet.pts is not None and packet.time_base is not None:
            times.append(float(packet.pts * packet.time_base))
        elif packet.size:  # the last packet is empty, and holds no frame
            return []  # the frames' times are unknown then
    return sorted(times)


def _list_shown(container: InputContainer) -> Iterator[_Shown]:
    for packet in container.demux(video=0):
        if packet.pts is not None and packet.time_base is not None:
            yield _Shown(
                at=float(packet.pts * packet.time_base),
                lasts=float((packet.duration or 0) * packet.time_base),
            )


def _find_last_frame_s(container: InputContainer) -> float | None:
    import av

    # A file without an index cannot be sought in; it is read from its start.
    with suppress(OSError, av.FFmpegError):
        container.seek((container.start_time or 0) + (container.duration or 0))
    return max(_list_shown(container), default=_Shown(0.0, 0.0)).lasts or None


def _find_color(container: InputContainer) -> Color:
    codec = container.streams.video[0].codec_context
    return Color(transfer=int(codec.color_trc), primaries=int(codec.color_primaries))
