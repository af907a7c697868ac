"""The images that an export rests on: some calibrate, half of the others guide, the rest decide."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from edgeseg.bundle.manifest import CalibrationInfo, Evaluation
from edgeseg.calibration.sets import (
    CalibrationSet,
    Picture,
    calibration_set,
    keep_frames,
    shared_images,
)
from edgeseg.datasets import Dataset
from edgeseg.deploy.request import ExportRequest
from edgeseg.errors import CalibrationError, DatasetError
from edgeseg.pixels import Bgr, ClassMap
from edgeseg.progress import Say
from edgeseg.quantize.meter import Read, with_truth
from edgeseg.text import pluralize

__all__ = ["Evidence", "gathered"]

# Images held back from calibration to measure agreement on, where there is no ground truth.
HELD_BACK: Final = 100
_SEED: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """`images` are to measure on: each gives its pixels and, where known, the ground truth.

    `sha256` is of all that they read, ground truth included; `ignore_index` marks pixels without.
    """

    calibration: CalibrationSet | None
    images: tuple[Read, ...]
    data: str
    split: str | None
    sha256: str
    ignore_index: int | None

    @property
    def labelled(self) -> bool:
        """Whether there is ground truth."""
        return self.ignore_index is not None

    @property
    def halves(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Places of the images that guide the search, and of those that decide; a seeded draw."""
        order = np.random.default_rng(_SEED).permutation(len(self.images)).tolist()
        middle = len(order) // 2
        return tuple(sorted(order[:middle])), tuple(sorted(order[middle:]))

    @property
    def evaluation(self) -> Evaluation:
        """As the manifest tells it."""
        search, gate = self.halves
        return Evaluation(
            data=self.data,
            split=self.split,
            labelled=self.labelled,
            searched=len(search),
            gated=len(gate),
            sha256=self.sha256,
        )

    def calibration_info(self, estimator: str) -> CalibrationInfo | None:
        """As the manifest tells it."""
        if self.calibration is None:
            return None
        return CalibrationInfo(
            source=_title(self.calibration.source),
            images=len(self.calibration.pictures),
            sha256=self.calibration.sha256,
            estimator=estimator,
        )


@contextlib.contextmanager
def gathered(
    request: ExportRequest,
    *,
    ignore_index: int,
    seen: Callable[[int, int], None],
    say: Say,
) -> Iterator[Evidence | None]:
    """What a request rests on; None where FP32 alone is asked for, which nothing has to prove.

    Without a data set some of the calibration images are held back to measure on. Frames of a video
    lie in a temporary folder while the block runs. `ignore_index` serves where the data set names
    none. `seen` hears the height and width of each image that is measured on, `say` what is
    doubtful about a video.

    Raises:
        CalibrationError: no images, too few, or images that also decide.
        DatasetError: fewer than two images to measure on.
        SourceError: images that cannot be read.
    """
    if request.precision == "fp32":
        yield None
        return
    with contextlib.ExitStack() as stack:
        if request.dataset is not None:
            found = _labelled(request, request.dataset, ignore_index, stack, say)
        else:
            found = _held_back(request, stack, say)
        yield replace(found, images=tuple(partial(_shown, read, seen) for read in found.images))


def _labelled(
    request: ExportRequest,
    dataset: Dataset,
    ignore_index: int,
    stack: contextlib.ExitStack,
    say: Say,
) -> Evidence:
    if len(dataset) < 2:
        raise DatasetError(
            f"{dataset.origin} has too few images ({len(dataset)}): one half guides the search, "
            f"the other decides"
        )
    chosen: CalibrationSet | None = None
    if request.calibration is not None:
        chosen = _collect(request.calibration, request.calibration_images, stack, say)
        shared = shared_images(chosen, dataset)
        if shared:
            raise CalibrationError(
                f"{' '.join(filter(None, (dataset.origin, dataset.split)))} shares "
                f"{pluralize(len(shared), 'image')} with the calibration set "
                f"{request.calibration}, the first: {shared[0]}; calibrate "
                f"on others: what is calibrated on may not decide"
            )
    return Evidence(
        calibration=chosen,
        images=tuple(partial(with_truth, item) for item in dataset.items),
        data=dataset.title,
        split=dataset.split,
        sha256=dataset.sha256,
        ignore_index=ignore_index if dataset.labels is None else dataset.labels.ignore_index,
    )


def _held_back(request: ExportRequest, stack: contextlib.ExitStack, say: Say) -> Evidence:
    """A quarter of the calibration images, at most `HELD_BACK`, to measure agreement on."""
    if request.calibration is None:
        raise CalibrationError("accuracy needs images; add --data DATASET, or --calibration SOURCE")
    found = _collect(request.calibration, request.calibration_images + HELD_BACK, stack, say)
    order = np.random.default_rng(_SEED).permutation(len(found.pictures)).tolist()
    back = min(HELD_BACK, len(order) // 4)
    if back < 2:
        raise CalibrationError(
            f"{found.source} has too few images ({len(order)}) to calibrate on and to measure "
            f"agreement with; give 8 or more, or --data with ground truth"
        )
    measured = found.part(sorted(order[:back]))
    return Evidence(
        calibration=found.part(sorted(order[back:])),
        images=tuple(partial(_without_truth, picture) for picture in measured.pictures),
        data=_title(found.source),
        split=None,
        sha256=measured.sha256,
        ignore_index=None,
    )


def _collect(source: str, count: int, stack: contextlib.ExitStack, say: Say) -> CalibrationSet:
    """From images where they lie; a video's frames are written to a temporary folder first."""
    from edgeseg.runtime.sources import open_source
    from edgeseg.runtime.sources.options import Retry

    if not Path(source).is_file():
        return calibration_set(source, count=count, seed=_SEED)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgeseg-frames-")))
    with open_source(source, retry=Retry(say=say)) as feed:
        chosen = keep_frames((c.image for c in feed.frames), folder, count=count, seed=_SEED)
    return replace(chosen, source=source)


def _shown(read: Read, seen: Callable[[int, int], None]) -> tuple[Bgr, ClassMap | None]:
    image, truth = read()
    seen(*image.shape[:2])
    return image, truth


def _without_truth(picture: Picture) -> tuple[Bgr, ClassMap | None]:
    return picture.image(), None


def _title(source: str) -> str:
    """A folder's or file's own name: paths of one machine say nothing on another."""
    return Path(source).resolve().name
