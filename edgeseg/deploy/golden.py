"""Golden frames: a few images of camera size, with the masks that PyTorch computes for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from edgeseg.bundle.manifest import Golden
from edgeseg.deploy.graph import read_examples
from edgeseg.deploy.job import ExportJob
from edgeseg.images import write_mask
from edgeseg.images.bands import BANDS_SUFFIX
from edgeseg.pixels import Bgr, ClassMap
from edgeseg.progress import begin
from edgeseg.spec import RGB

__all__ = ["GoldenFrames", "write_golden"]

GOLDEN_FRAMES: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenFrames:
    """The frames, uint8 (H, W, C), and the reference's mask of each, (H, W)."""

    frames: Sequence[Bgr]
    masks: Sequence[ClassMap]

    def describe(self, agreements: Mapping[str, Sequence[float]]) -> tuple[Golden, ...]:
        """Describe the frames for the manifest; agreement is in %, per variant name and frame."""
        return tuple(
            Golden(
                frame=_name_frame(index, frame),
                mask=f"golden/mask_{index}.png",
                agreement={name: figures[index] for name, figures in agreements.items()},
            )
            for index, frame in enumerate(self.frames)
        )


def write_golden(job: ExportJob) -> GoldenFrames:
    """Write golden frames and their masks into the staging folder."""
    from edgeseg.export.reference import compute_reference_mask

    begin(job.progress, "segmenting golden frames with PyTorch")
    folder = job.staging / "golden"
    folder.mkdir()
    frames = tuple(read_examples(job.request.dataset, GOLDEN_FRAMES))
    masks = []
    for index, frame in enumerate(frames):
        _write_frame(frame, job.staging / _name_frame(index, frame))
        mask = compute_reference_mask(job.checkpoint.model, job.checkpoint.input, frame)
        write_mask(mask, folder / f"mask_{index}.png")
        masks.append(mask)
    return GoldenFrames(frames=frames, masks=tuple(masks))


def _name_frame(index: int, frame: Bgr) -> str:
    suffix = ".png" if frame.shape[2] == RGB else BANDS_SUFFIX
    return f"golden/frame_{index}{suffix}"


def _write_frame(frame: Bgr, path: Path) -> None:
    """Write a frame as a PNG, or as an array if it is no color image."""
    from PIL import Image

    if path.suffix == BANDS_SUFFIX:
        np.save(path, frame)
    else:
        Image.fromarray(frame[:, :, ::-1].copy()).save(path)
