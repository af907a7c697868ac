"""What a file's container says that OpenCV does not pass on. Needs PyAV; without it, nothing."""

from __future__ import annotations

from pathlib import Path

__all__ = ["times_in"]


def times_in(path: Path) -> list[float]:
    """When each frame of a clip is shown, in seconds from the first, in order.

    Every packet is read and none is decoded. Empty where PyAV is absent or reads no times.
    """
    try:
        import av
    except ImportError:
        return []
    av.logging.set_level(None)
    try:
        with av.open(str(path)) as container:
            packets = container.demux(video=0)
            stamps = sorted(
                float(packet.pts * packet.time_base)
                for packet in packets
                if packet.pts is not None and packet.time_base is not None
            )
    except (OSError, av.FFmpegError):
        return []
    return [stamp - stamps[0] for stamp in stamps]
