from __future__ import annotations

from pathlib import Path

import pytest
from damaged_bundle import damage
from made_once import made_once
from small import write_street

from edgeseg.bundle.store import Bundle, open_bundle


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
