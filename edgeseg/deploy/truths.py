"""Finds the ground truth of calibration images, where it takes part in a training."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from edgeseg.calibration.pictures import find_calibration_rules, open_train_split
from edgeseg.calibration.sets import CalibrationSet, hash_content
from edgeseg.datasets import Dataset, Item, match_classes
from edgeseg.deploy.job import ExportJob
from edgeseg.errors import CalibrationError, DatasetError, SourceError
from edgeseg.progress import track
from edgeseg.text import pluralize

__all__ = ["find_truths"]

_REMEDY = "give a data set with --calibration, or leave --recover-labels out"


def find_truths(job: ExportJob, chosen: CalibrationSet) -> dict[str, Item]:
    """Find the ground truth of the chosen images, in the model's class ids, by the pixels' hashes.

    All of it is read once, so that no fault in a mask ends a training.

    Raises:
        CalibrationError: the source of the images has none.
        DatasetError: a mask cannot be read, does not fit its image, or has an id without a class.
    """
    try:
        matched = _open_labelled(job, chosen.source)
    except (CalibrationError, DatasetError) as error:
        raise CalibrationError(
            f"--recover-labels finds no ground truth of the calibration images; {_REMEDY}: {error}"
        ) from None
    candidates: dict[str, list[Item]] = defaultdict(list)
    for item in matched.items:
        candidates[item.name].append(item)
    found: dict[str, Item] = {}
    pairs = list(zip(chosen.pictures, chosen.hashes, strict=True))
    for picture, hashed in track(job.progress, "reading labels", pairs):
        same = _find_same(candidates[picture.name], hashed)
        if same is not None:
            found[hashed] = same
    if not found:
        raise CalibrationError(
            f"--recover-labels finds no ground truth of the images of {chosen.source}; {_REMEDY}"
        )
    job.progress.say(
        f"ground truth of {len(found)} of {pluralize(len(pairs), 'calibration image')} may take "
        f"part in --recover"
    )
    return found


def _open_labelled(job: ExportJob, source: str) -> Dataset:
    """Open the source as a data set, its masks read by the rules that were given."""
    request, checkpoint = job.request, job.checkpoint
    rules = find_calibration_rules(source, request.dataset, request.rules)
    labelled = open_train_split(source, request.rules.over(rules))
    matched, differences = match_classes(
        labelled.read_as(checkpoint.input.channels),
        checkpoint.labels,
        reduce_labels=checkpoint.reduce_labels,
    )
    if request.dataset is None or request.dataset.origin != source:
        for line in (*differences.lines, *matched.notes):
            job.progress.say(f"labels of the calibration images: {line}")
    return matched


def _find_same(items: Sequence[Item], hashed: str) -> Item | None:
    """Find the item of a name whose image has the same pixels; images in folders share names."""
    for item in items:
        try:
            sample = item.read()
        except (DatasetError, SourceError) as error:
            raise DatasetError(f"{error}; or leave --recover-labels out") from None
        if hash_content(sample.image) == hashed:
            return item
    return None
