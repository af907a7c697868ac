"""What a file's container says that OpenCV does not pass on. Needs PyAV; without it, nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from av.container import InputContainer

__all__ = ["Color", "read_color", "read_last_frame_s", "read_times"]

T = TypeVar("T")


def read_times(path: Path) -> list[float]:
    """When each frame of a clip is shown, in seconds from the first, in order.

    Every packet is read and none is decoded. Empty where PyAV is absent or a frame has no time.
    """
    nothing: list[float] = []
    times = _ask(path, _read_times, nothing)
    return [time - times[0] for time in times]


def read_last_frame_s(path: Path) -> float | None:
    """How long a clip's last frame is shown, in seconds; None where nobody says."""
    return _ask(path, _find_last_frame_s, None)


class Color(NamedTuple):
    """What a clip's colors mean, in the numbers of ITU-T H.273; 2 is "not said"."""

    transfer: int
    primaries: int


def read_color(path: Path) -> Color | None:
    """What a clip says of its colors; None where PyAV is absent or cannot read it."""
    return _ask(path, _find_color, None)


class _Shown(NamedTuple):
    """When a frame is shown and for how long, in seconds; 0 where nobody says how long."""

    at: float
    lasts: float


def _ask(path: Path, question: Callable[[InputContainer], T], unknown: T) -> T:
    try:
        import av
    except ImportError:
        return unknown
    av.logging.set_level(None)
    try:
        with av.open(str(path)) as container:
            return question(container)
    except (OSError, av.FFmpegError, IndexError):  # without a video stream
        return unknown


def _read_times(container: InputContainer) -> list[float]:
    times = []
    for packet in container.demux(video=0):
        if packet.pts is not None and packet.time_base is not None:
            times.append(float(packet.pts * packet.time_base))
        elif packet.size:  # the last one is empty, and no frame
            return []  # which frame has which time is not known then
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

    # What has no index cannot be sought in, and is read from its start.
    with suppress(OSError, av.FFmpegError):
        container.seek((container.start_time or 0) + (container.duration or 0))
    return max(_list_shown(container), default=_Shown(0.0, 0.0)).lasts or None


def _find_color(container: InputContainer) -> Color:
    codec = container.streams.video[0].codec_context
    return Color(transfer=int(codec.color_trc), primaries=int(codec.color_primaries))
