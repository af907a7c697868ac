"""Gathers the images of an export: to calibrate, to guide the search and to decide."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from edgeseg.bundle.manifest import CalibrationInfo, Evaluation
from edgeseg.calibration.pictures import Picture, find_calibration_rules
from edgeseg.calibration.sets import (
    CalibrationSet,
    choose_calibration_set,
    find_shared_images,
    keep_frames,
)
from edgeseg.datasets import Dataset, Item
from edgeseg.deploy.job import ExportJob
from edgeseg.deploy.truths import find_truths
from edgeseg.errors import CalibrationError, DatasetError
from edgeseg.images import IMAGE_SUFFIXES
from edgeseg.images.doubts import DoubtTeller
from edgeseg.images.sizes import SizeTeller
from edgeseg.pixels import Bgr, ClassMap
from edgeseg.pixels.shrinking import ShrinkTeller
from edgeseg.progress import begin
from edgeseg.quantize.meter import Read
from edgeseg.recovery.options import check_images
from edgeseg.spec import RGB
from edgeseg.text import pluralize

__all__ = ["ExportData", "gather_images"]

# Images held back from calibration to measure agreement on, where there is no ground truth.
HELD_BACK: Final = 100
_SEED: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportData:
    """The images to calibrate on, and those to measure on.

    Each of `images` is read as its pixels, uint8 (H, W, C), and its ground truth, (H, W), or
    None. `truths` are those of calibration images, by the hashes of their pixels, that may take
    part in a training. `sha256` is of all that `images` read; `ignore_index` marks pixels without
    ground truth, and is None where no image has any.
    """

    calibration: CalibrationSet | None
    images: tuple[Read, ...]
    data: str
    split: str | None
    sha256: str
    ignore_index: int | None
    truths: Mapping[str, Item] = field(default_factory=dict)

    @property
    def labelled(self) -> bool:
        """Whether there is ground truth."""
        return self.ignore_index is not None

    @property
    def search_places(self) -> tuple[int, ...]:
        """Places of the images that guide the search: a seeded draw of one half."""
        order = self._shuffled_places
        return tuple(sorted(order[: len(order) // 2]))

    @property
    def gate_places(self) -> tuple[int, ...]:
        """Places of the images that decide: the other half."""
        order = self._shuffled_places
        return tuple(sorted(order[len(order) // 2 :]))

    @property
    def _shuffled_places(self) -> list[int]:
        order: list[int] = np.random.default_rng(_SEED).permutation(len(self.images)).tolist()
        return order

    @property
    def evaluation(self) -> Evaluation:
        """Describe the images to measure on, for the manifest."""
        return Evaluation(
            data=self.data,
            split=self.split,
            labelled=self.labelled,
            searched=len(self.search_places),
            gated=len(self.gate_places),
            sha256=self.sha256,
        )

    def describe_calibration(self, estimator: str) -> CalibrationInfo | None:
        """Describe the calibration images, for the manifest; `estimator` found the ranges."""
        if self.calibration is None:
            return None
        return CalibrationInfo(
            source=_get_title(self.calibration.source),
            images=len(self.calibration.pictures),
            sha256=self.calibration.sha256,
            estimator=estimator,
        )


@contextlib.contextmanager
def gather_images(job: ExportJob) -> Iterator[ExportData | None]:
    """Gather the images; yield None if only exact FP32 is requested, which needs no proof.

    Without a data set some of the calibration images are held back to measure on. Frames of a video
    lie in a temporary folder while the block runs.

    Raises:
        CalibrationError: no images, too few, or images that also decide.
        DatasetError: fewer than two images to measure on.
        SourceError: images that cannot be read.
    """
    begin(job.progress, "choosing images")
    form = job.request.form
    if job.request.precision == "fp32" and form is not None and form.is_exact:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="edgeseg-frames-") as scratch:
        dataset = job.request.dataset
        if dataset is None:
            data = _hold_back(job, Path(scratch))
        else:
            data = _gather_labelled(job, dataset, Path(scratch))
        recover = job.request.recover
        if recover is not None and data.calibration is not None:
            check_images(len(data.calibration.pictures))
            if recover.labels:
                data = replace(data, truths=find_truths(job, data.calibration))
        remedy = "choose a larger --size, or segment them with edgeseg run --tile"
        teller = ShrinkTeller(job.checkpoint.input, job.progress.say, remedy=remedy)
        tellers = (teller, SizeTeller(job.progress.say))
        yield replace(data, images=tuple(partial(_read, read, tellers) for read in data.images))


def _gather_labelled(job: ExportJob, dataset: Dataset, scratch: Path) -> ExportData:
    """Gather a data set's images, and the calibration images if there are any."""
    if len(dataset) < 2:
        raise DatasetError(
            f"{dataset.origin} has too few images ({len(dataset)}): one half guides the search, "
            f"the other decides"
        )
    source = job.request.calibration
    chosen: CalibrationSet | None = None
    if source is not None:
        count = job.request.calibration_images
        chosen = _collect(job, source, count, scratch)
        shared = find_shared_images(chosen, dataset, progress=job.progress)
        if shared:
            raise CalibrationError(
                f"{' '.join(filter(None, (dataset.origin, dataset.split)))} shares "
                f"{pluralize(len(shared), 'image')} with the calibration set "
                f"{source}, the first: {shared[0]}; calibrate "
                f"on others: what is calibrated on may not decide"
            )
    labels = job.checkpoint.labels if dataset.labels is None else dataset.labels
    doubts = DoubtTeller(job.progress.say)
    return ExportData(
        calibration=chosen,
        images=tuple(partial(_read_item, item, doubts) for item in dataset.items),
        data=dataset.title,
        split=dataset.split,
        sha256=dataset.compute_sha256(job.progress),
        ignore_index=labels.ignore_index,
    )


def _hold_back(job: ExportJob, scratch: Path) -> ExportData:
    """Hold back a quarter of the calibration images, at most `HELD_BACK`, to measure on."""
    source = job.request.calibration
    if source is None:
        raise CalibrationError("accuracy needs images; add --data DATASET, or --calibration SOURCE")
    count = job.request.calibration_images + HELD_BACK
    found = _collect(job, source, count, scratch)
    order = np.random.default_rng(_SEED).permutation(len(found.pictures)).tolist()
    back = min(HELD_BACK, len(order) // 4)
    if back < 2:
        raise CalibrationError(
            f"{found.source} has too few images ({len(order)}) to calibrate on and to measure "
            f"agreement with; give 8 or more, or --data with ground truth"
        )
    measured = found.part(sorted(order[:back]))
    return ExportData(
        calibration=found.part(sorted(order[back:])),
        images=tuple(partial(_read_picture, picture) for picture in measured.pictures),
        data=_get_title(found.source),
        split=None,
        sha256=measured.sha256,
        ignore_index=None,
    )


def _collect(job: ExportJob, source: str, count: int, scratch: Path) -> CalibrationSet:
    """Choose images to calibrate on; a video's frames are written to `scratch` first."""
    channels = job.checkpoint.input.channels
    from edgeseg.runtime.sources import open_source
    from edgeseg.runtime.sources.options import Retry

    rules = find_calibration_rules(source, job.request.dataset, job.request.rules)
    if not Path(source).is_file():
        return choose_calibration_set(
            source,
            count=count,
            seed=_SEED,
            channels=channels,
            rules=rules,
            progress=job.progress,
        )
    if channels != RGB:
        raise CalibrationError(
            f"{source} is a video or an image, and the network takes images of "
            f"{pluralize(channels, 'channel')}; give a folder of such images with --calibration"
        )
    of_images = rules.range if Path(source).suffix.lower() in IMAGE_SUFFIXES else None
    with open_source(source, retry=Retry(say=job.progress.say), value_range=of_images) as feed:
        frames = (captured.image for captured in feed.frames)
        chosen = keep_frames(frames, scratch, count=count, seed=_SEED, progress=job.progress)
    return replace(chosen, source=source)


def _read(read: Read, tellers: Sequence[ShrinkTeller | SizeTeller]) -> tuple[Bgr, ClassMap | None]:
    image, truth = read()
    for teller in tellers:
        teller.see(*image.shape[:2])
    return image, truth


def _read_item(item: Item, doubts: DoubtTeller) -> tuple[Bgr, ClassMap | None]:
    sample = item.read()
    doubts.see(sample.name, sample.conversions)
    return sample.image, sample.mask


def _read_picture(picture: Picture) -> tuple[Bgr, ClassMap | None]:
    return picture.image(), None


def _get_title(source: str) -> str:
    """Get the name of a folder or file without its path, which means nothing on other machines."""
    return Path(source).resolve().name
