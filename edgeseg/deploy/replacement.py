"""Checks whether an export may replace the bundle in its folder, and says what is replaced.

A bundle in a folder that the user named with -o is replaced. In the folder that edgeseg names, only
the same export replaces a bundle, unless --force is given.
"""

from __future__ import annotations

from pathlib import Path

from edgeseg.bundle.manifest import Manifest
from edgeseg.bundle.staging import check_replaceable
from edgeseg.deploy.data import ExportData
from edgeseg.deploy.job import ExportJob
from edgeseg.errors import BundleError

__all__ = ["check_same_images", "find_replaced"]


def find_replaced(job: ExportJob) -> Manifest | None:
    """Find what the export would replace, before anything long is done.

    Raises:
        BundleError: the folder holds no bundle, or one with other weights, input or classes.
    """
    old = check_replaceable(job.folder)
    if old is None or _may_replace_any(job):
        return old
    own = job.checkpoint.input
    found = {
        "other weights": old.checkpoint.sha256 != job.checkpoint.sha256,
        f"another input ({own.height}x{own.width})": old.input != own,
        "other sizes": [(one.height, one.width) for one in old.sizes]
        != list(job.request.further_sizes),
        "other classes": old.labels != job.checkpoint.labels,
    }
    _refuse(job.folder, old, [what for what, differs in found.items() if differs])
    return old


def check_same_images(job: ExportJob, old: Manifest | None, data: ExportData | None) -> None:
    """Say what the export replaces, once its images are known.

    Raises:
        BundleError: the old bundle was calibrated or measured on other images.
    """
    if old is None:
        return
    if not _may_replace_any(job):
        calibration = None if data is None else data.calibration
        evaluation = None if data is None else data.evaluation
        before = None if old.calibration is None else old.calibration.sha256
        found = {
            "other calibration images": before != (calibration and calibration.sha256),
            "other images to measure on": old.evaluation != evaluation,
        }
        _refuse(job.folder, old, [what for what, differs in found.items() if differs])
    job.progress.say(f"the bundle in {job.folder} is replaced: {_describe(old)}")


def _may_replace_any(job: ExportJob) -> bool:
    return job.request.folder is not None or job.request.force


def _refuse(folder: Path, old: Manifest, differences: list[str]) -> None:
    if differences:
        raise BundleError(
            f"{folder} holds another bundle ({_describe(old)}), and this export is of "
            f"{' and '.join(differences)}; choose a name with -o, or replace it with --force"
        )


def _describe(old: Manifest) -> str:
    size = f"{old.input.height}x{old.input.width}"
    chosen = old.chosen.variant
    return f"{old.checkpoint.source}, {old.target}, {size}, {chosen}"
