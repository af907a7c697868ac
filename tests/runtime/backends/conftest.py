"""Fixtures of these tests."""

from __future__ import annotations

from pathlib import Path

import fake_tensorrt
import pytest
from fake_tensorrt import State
from made_once import made_once
from search_limits import STEADY

from edgeseg.accuracy.limits import Limits
from edgeseg.bundle.store import Bundle, open_bundle
from edgeseg.datasets import open_dataset
from edgeseg.deploy.export import export_bundle
from edgeseg.deploy.request import ExportRequest
from edgeseg.progress import Progress
from edgeseg.quantize.targets import jetson
from edgeseg.runtime.gpu.module import Module


@pytest.fixture(scope="session")
def bundle(checkpoint_folder: Path, street: Path, common: Path) -> Bundle:
    """A Jetson bundle with every form of one recipe."""

    def make(folder: Path) -> None:
        request = ExportRequest(
            weights=str(checkpoint_folder),
            target="jetson",
            folder=folder / "jetson",
            dataset=open_dataset(street, split="test"),
            calibration=str(street),
            calibration_images=STEADY,
            precision="auto",
            recipes=(jetson.RECIPES["int8-linear"],),
            limits=Limits(max_drop=60, max_class_drop=None),
        )
        export_bundle(request)

    return open_bundle(made_once(common / "jetson", make) / "jetson")


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: Module) -> State:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return fake_tensorrt.install(monkeypatch, module)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def progress(said: list[str]) -> Progress:
    return Progress(say=said.append)
