"""Finds the ground truth of calibration images, where it takes part in a training."""

from __future__ import annotations

from edgeseg.calibration.pictures import find_calibration_rules, open_train_split
from edgeseg.calibration.sets import CalibrationSet
from edgeseg.datasets import Item, match_classes
from edgeseg.deploy.job import ExportJob
from edgeseg.errors import CalibrationError, DatasetError
from edgeseg.text import pluralize

__all__ = ["find_truths"]


def find_truths(job: ExportJob, chosen: CalibrationSet) -> dict[str, Item]:
    """Find the ground truth of the chosen images, by their names, in the model's class ids.

    Raises:
        CalibrationError: the source of the images has none.
    """
    request, checkpoint = job.request, job.checkpoint
    rules = find_calibration_rules(chosen.source, request.dataset, request.rules)
    try:
        labelled = open_train_split(chosen.source, rules).read_as(checkpoint.input.channels)
        matched, differences = match_classes(
            labelled, checkpoint.labels, reduce_labels=checkpoint.reduce_labels
        )
    except (CalibrationError, DatasetError) as error:
        raise CalibrationError(
            f"--recover-labels needs ground truth of the calibration images: {error}"
        ) from None
    items = {item.name: item for item in matched.items}
    found = {one.name: items[one.name] for one in chosen.pictures if one.name in items}
    if not found:
        raise CalibrationError(
            f"--recover-labels needs ground truth of the calibration images, and {chosen.source} "
            f"has none of them"
        )
    if request.dataset is None or request.dataset.origin != chosen.source:
        for line in (*differences.lines, *matched.notes):
            job.progress.say(f"labels of the calibration images: {line}")
    job.progress.say(
        f"ground truth of {len(found)} of {pluralize(len(chosen.pictures), 'calibration image')} "
        f"takes part in --recover"
    )
    return found
