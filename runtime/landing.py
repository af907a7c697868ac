"""Makes a segmentation of what came back from the path of a device."""

from __future__ import annotations

from edgeseg.runtime.finish import Finish
from edgeseg.runtime.gpu.lane import Flight
from edgeseg.runtime.result import Segmentation
from edgeseg.runtime.timing import time_call

__all__ = ["land"]


def land(flight: Flight, finish: Finish, *, host_ms: float, reused: bool = False) -> Segmentation:
    """Wait for a flight, and make what `finish` asks for: class ids, under other names or not.

    `host_ms` is what the host took to compare the frame, or to copy and queue it. It counts as
    preparing, beside what the device took for that. A `reused` flight took the device nothing.

    Raises:
        BackendError: the engine's output is not usable, or a call failed.
    """
    flight.wait()
    landed, take_ms = time_call(flight.take)
    device = None if reused else landed.device
    renamed = bool(finish.becomes)
    return Segmentation(
        mask=finish.rename(landed.mask),
        prepare_ms=host_ms + (device.upload_ms + device.prepare_ms if device else 0.0),
        infer_ms=device.engine_ms if device else 0.0,
        mask_ms=take_ms + (device.mask_ms + device.download_ms if device else 0.0),
        device=device,
        counts=None if renamed else landed.counts,
        overlay=landed.overlay,
        nv12=landed.nv12,
    )
