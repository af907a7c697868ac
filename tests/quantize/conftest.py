"""Fixtures of these tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from search_limits import make_request

from edgeseg.deploy.request import ExportRequest
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.export.segformer.to_onnx import to_onnx
from edgeseg.targets import find_target

if TYPE_CHECKING:
    import onnx


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "edgeseg"


@pytest.fixture(scope="session")
def seeded_graph(checkpoint_folder: Path) -> onnx.ModelProto:
    """The seeded checkpoint as it is calibrated: before a target makes an artifact of it."""
    checkpoint = read_checkpoint(str(checkpoint_folder))
    spec = checkpoint.input
    deployed = rewrite(checkpoint.model, mean=spec.mean, std=spec.std)
    opset = find_target("onnxruntime").opset
    return to_onnx(deployed, height=spec.height, width=spec.width, opset=opset)


@pytest.fixture
def request_(checkpoint_folder: Path, street: Path, tmp_path: Path) -> ExportRequest:
    return make_request(checkpoint_folder, street, tmp_path / "bundle")
