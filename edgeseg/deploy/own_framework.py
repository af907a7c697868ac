"""Checks the float graph against the framework that trained the checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np

from edgeseg.bundle.manifest import FrameworkCheck
from edgeseg.deploy.job import ExportJob
from edgeseg.errors import ExportError
from edgeseg.pixels import Bgr, to_frame_mask, to_input
from edgeseg.progress import track
from edgeseg.runtime.backends.backend import open_artifact
from edgeseg.spec import GRAY, RGB
from edgeseg.text import pluralize

__all__ = ["MIN_AGREEMENT", "check_own_framework"]

# In % of the pixels. Two frameworks differ by rounding, which decides where two classes tie.
MIN_AGREEMENT: Final = 99.9


def check_own_framework(
    job: ExportJob, graph: Path, frames: Sequence[Bgr]
) -> FrameworkCheck | None:
    """Compare the masks of the float graph with those of the checkpoint's own framework.

    Returns None where that framework is not installed and was not asked for.

    Raises:
        ExportError: fewer than `MIN_AGREEMENT` % of the pixels have the same class.
        CheckpointError: the framework cannot load the checkpoint.
        MissingPackageError: the framework that was asked for is not installed.
    """
    from edgeseg.export.frameworks.own import open_framework

    checkpoint, request = job.checkpoint, job.request
    if checkpoint.spec.channels == GRAY:
        frames = [_turn_gray(frame) for frame in frames]
    own = open_framework(
        request.weights, checkpoint, asked=request.check_with, say=job.progress.say
    )
    if own is None:
        return None
    same = pixels = 0
    with closing(open_artifact("onnxruntime", graph)) as engine:
        for frame in track(job.progress, f"comparing with {own.name}", frames):
            logits = engine.infer(to_input(frame, checkpoint.input))
            mask = to_frame_mask(logits, checkpoint.input, frame)
            same += int((own.segment(frame) == mask).sum())
            pixels += mask.size
    agreement = 100 * same / pixels
    told = f"{agreement:.3f} % of the pixels as in {own.name} {own.version}"
    if agreement < MIN_AGREEMENT:
        raise ExportError(
            f"only {told}, on {pluralize(len(frames), 'image')} (at least {MIN_AGREEMENT} %); "
            f"nothing was written. edgeseg may read the checkpoint differently from how it was "
            f"trained: check what the lines above assume, or report this"
        )
    job.progress.say(f"masks: {told}, on {pluralize(len(frames), 'image')}")
    return FrameworkCheck(
        name=own.name, version=own.version, agreement=agreement, images=len(frames)
    )


def _turn_gray(frame: Bgr) -> Bgr:
    """Turn a color frame into that of a gray camera, which the framework's own package reads."""
    from PIL import Image

    gray = np.asarray(Image.fromarray(np.ascontiguousarray(frame[:, :, ::-1])).convert("L"))
    return np.repeat(gray[:, :, None], RGB, axis=2)
