"""Fixtures of these tests."""

from __future__ import annotations

from pathlib import Path

import fake_tensorrt
import pytest
from fake_tensorrt import State
from small import write_street

from edgeseg.accuracy.limits import Limits
from edgeseg.bundle.store import Bundle
from edgeseg.datasets import open_dataset
from edgeseg.deploy.export import export_bundle
from edgeseg.deploy.request import ExportRequest
from edgeseg.progress import Progress
from edgeseg.quantize.targets import jetson


@pytest.fixture(scope="module")
def bundle(
    checkpoint_folder: Path, seeded_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    street = write_street(tmp_path_factory.mktemp("data") / "street", seeded_bundle)
    request = ExportRequest(
        weights=str(checkpoint_folder),
        target="jetson",
        folder=tmp_path_factory.mktemp("bundles") / "jetson",
        dataset=open_dataset(street, split="test"),
        calibration=str(street),
        precision="auto",
        recipes=(jetson.RECIPES["int8-linear"],),
        limits=Limits(max_drop=60, max_class_drop=None),
    )
    return export_bundle(request).bundle


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> State:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return fake_tensorrt.install(monkeypatch)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def progress(said: list[str]) -> Progress:
    return Progress(say=said.append)
