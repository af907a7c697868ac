"""Fixtures of these tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from made_once import made_once

from edgeseg.bundle.store import Bundle, open_bundle
from edgeseg.deploy.defaults import fill_defaults
from edgeseg.deploy.export import export_bundle
from edgeseg.deploy.request import ExportOptions
from edgeseg.runtime.segmenter import Segmenter


@pytest.fixture
def segmenter(seeded_bundle: Bundle) -> Iterator[Segmenter]:
    with Segmenter(seeded_bundle) as opened:
        yield opened


@pytest.fixture(scope="session")
def openvino_bundle(checkpoint_folder: Path, common: Path) -> Bundle:
    """A small bundle for OpenVINO, in FP32."""

    def make(folder: Path) -> None:
        options = ExportOptions(
            weights=str(checkpoint_folder),
            target="openvino",
            precision="fp32",
            size=(64, 96),
            folder=folder / "small",
        )
        export_bundle(fill_defaults(options))

    return open_bundle(made_once(common / "on-openvino", make) / "small")
