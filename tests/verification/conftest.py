from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from baselines import CLASSES
from damaged_bundle import damage
from made_once import made_once
from small import write_street

import edgeseg
from edgeseg.bundle.store import Bundle, open_bundle
from edgeseg.reports.report import Report
from edgeseg.verification.request import VerifyRequest


@pytest.fixture(scope="session")
def street(seeded_bundle: Bundle, common: Path) -> Path:
    """Ten scenes larger than the network's input, a tenth of the pixels without truth."""

    def make(folder: Path) -> None:
        scenes = {"train": 0, "test": 10, "height": 120, "width": 160}
        write_street(folder / "street", seeded_bundle, **scenes, ignored=0.1)

    return made_once(common / "scenes", make) / "street"


@pytest.fixture(scope="session")
def damaged(seeded_bundle: Bundle, common: Path) -> Bundle:
    def make(folder: Path) -> None:
        damage(seeded_bundle, folder / "damaged")

    return open_bundle(made_once(common / "damaged", make) / "damaged")


@pytest.fixture(scope="module")
def report(seeded_bundle: Bundle, street: Path) -> Report:

    return edgeseg.verify(seeded_bundle.folder, data=street, split="test")


@pytest.fixture
def data(tmp_path: Path, street: Path, report: Report) -> Path:
    """Three images of the street, without splits, and a report on them."""
    for part in ("images", "masks"):
        (tmp_path / "data" / part).mkdir(parents=True)
        for path in sorted((street / "test" / part).iterdir())[:3]:
            shutil.copy(path, tmp_path / "data" / part)
    shutil.copy(street / "dataset.json", tmp_path / "data")
    return tmp_path


@pytest.fixture
def hits() -> np.ndarray:
    """Images that differ much more among each other than two models do."""
    random = np.random.default_rng(0)
    return random.integers(300, 950, (60, len(CLASSES)))


@pytest.fixture
def asked(seeded_bundle: Bundle, damaged: Bundle, street: Path) -> VerifyRequest:
    return VerifyRequest(
        source=str(damaged.folder),
        data=str(street),
        split="test",
        reference=str(seeded_bundle.folder),
        threads=1,
    )
