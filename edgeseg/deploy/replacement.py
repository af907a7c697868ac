"""Whether an export takes the place of the bundle that stands under its name, and what is said.

A name that the user gave with -o is a word in itself. Under the name that edgeseg makes up, only
the same export replaces a bundle, unless --force says otherwise.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgeseg.bundle.manifest import Manifest
from edgeseg.deploy.data import Evidence
from edgeseg.errors import BundleError

if TYPE_CHECKING:
    from edgeseg.export.checkpoint import Checkpoint

__all__ = ["check_same_images", "check_same_model", "replaced"]


def replaced(folder: Path, old: Manifest) -> str:
    """What is told of a bundle that is replaced."""
    return f"the bundle in {folder} is replaced: {_about(old)}"


def check_same_model(folder: Path, old: Manifest, checkpoint: Checkpoint) -> None:
    """Before anything long is done.

    Raises:
        BundleError: the bundle that stands there is of other weights, input or classes.
    """
    own = checkpoint.input
    found = {
        "other weights": old.checkpoint.sha256 != checkpoint.sha256,
        f"another input ({own.height}x{own.width})": old.input != own,
        "other classes": old.labels != checkpoint.labels,
    }
    _refuse(folder, old, [what for what, differs in found.items() if differs])


def check_same_images(folder: Path, old: Manifest, evidence: Evidence | None) -> None:
    """Once they are known.

    Raises:
        BundleError: the bundle that stands there was calibrated or measured on other images.
    """
    calibration = None if evidence is None else evidence.calibration
    evaluation = None if evidence is None else evidence.evaluation
    before = None if old.calibration is None else old.calibration.sha256
    found = {
        "other calibration images": before != (calibration and calibration.sha256),
        "other images to measure on": old.evaluation != evaluation,
    }
    _refuse(folder, old, [what for what, differs in found.items() if differs])


def _refuse(folder: Path, old: Manifest, differences: list[str]) -> None:
    if differences:
        raise BundleError(
            f"{folder} holds another bundle ({_about(old)}), and this export is of "
            f"{' and '.join(differences)}; choose a name with -o, or replace it with --force"
        )


def _about(old: Manifest) -> str:
    size = f"{old.input.height}x{old.input.width}"
    chosen = old.chosen.variant
    return f"{old.checkpoint.source}, {old.target}, {size}, {chosen}"
