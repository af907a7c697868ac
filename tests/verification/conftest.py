from __future__ import annotations

from pathlib import Path

import pytest
from damaged_bundle import damage
from small import write_street

from edgeseg.bundle.store import Bundle


@pytest.fixture(scope="package")
def street(seeded_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten scenes larger than the network's input, a tenth of the pixels without truth."""
    root = tmp_path_factory.mktemp("scenes") / "street"
    return write_street(
        root, seeded_bundle, train=0, test=10, height=120, width=160, ignored=0.1
    )  # fmt: skip


@pytest.fixture(scope="package")
def damaged(seeded_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("damaged") / "damaged"
    return damage(seeded_bundle, folder)
