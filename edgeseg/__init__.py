"""Trained SegFormer checkpoints, live on a device, with the accuracy proved.

import edgeseg

with edgeseg.open("street") as segmenter:
    mask = segmenter.segment(frame).mask  # (H, W) class ids of a uint8 BGR (H, W, 3) frame
    for result in segmenter.stream("drive.mp4"):  # a camera's number, a URL, a file, `demo`
        print(result.captured.index, result.mask.shape)
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from edgeseg.runtime.segmenter import Segmenter

__version__ = "0.1.0"

__all__ = ["open"]

# ONNX Runtime (1.31, Linux) writes an identity and usage events into the user's cache, for its
# maker. A robot does not do so unasked; whoever wants it sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def open(bundle: str | Path) -> Segmenter:  # noqa: A001  # edgeseg.open reads as io.open does
    """Open a bundle with its variant for this machine, which is found out on first use.

    Raises:
        BundleError: it is not a bundle, or was changed.
        GateMissedError: no variant of it works here.
        BackendError: its engine is not installed.
    """
    from pathlib import Path

    from edgeseg.bundle import open_bundle
    from edgeseg.runtime.build import variant_here
    from edgeseg.runtime.segmenter import Segmenter

    opened = open_bundle(Path(bundle))
    return Segmenter(opened, variant=variant_here(opened))
