"""What the tests of an export share."""

from __future__ import annotations

from pathlib import Path

import pytest
from search_limits import LENIENT, LINEAR

from edgeseg.datasets import open_dataset
from edgeseg.deploy.request import ExportRequest


@pytest.fixture
def request_(
    checkpoint_folder: Path, street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ExportRequest:
    """A small INT8 export that remembers nothing of those before."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return ExportRequest(
        weights=str(checkpoint_folder),
        target="onnxruntime",
        folder=tmp_path / "bundle",
        dataset=open_dataset(street, split="test"),
        calibration=str(street),
        precision="int8",
        recipes=LINEAR,
        limits=LENIENT,
    )
