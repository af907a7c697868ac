"""A bundle for Jetson, and a fake device with the real kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import fake_tensorrt
import numpy as np
import onnx
import pytest
from batches import add_batch
from failing import failing_bundle
from fake_cuda import Device, FakeCuda
from made_once import made_once

from edgeseg.bundle.store import Bundle, open_bundle
from edgeseg.progress import Progress
from edgeseg.runtime import batch
from edgeseg.runtime.gpu.batch import FrameBatch
from edgeseg.runtime.gpu.module import Module


@pytest.fixture(scope="session")
def jetson(seeded_bundle: Bundle, common: Path) -> Bundle:
    """The seeded bundle as one for Jetson."""

    def make(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        model = seeded_bundle.path("model.onnx").read_bytes()
        failing_bundle(seeded_bundle, folder / "jetson", {"fp16": model}, target="jetson")

    return open_bundle(made_once(common / "device", make) / "jetson")


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: Module) -> Iterator[Device]:
    """A device, on which nothing may be held at the end."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fake_tensorrt.install(monkeypatch, module)
    yield FakeCuda.device
    assert FakeCuda.held == 0


@pytest.fixture
def batched(jetson: Bundle, tmp_path: Path) -> Bundle:
    return add_batch(jetson, tmp_path / "batched", onnx.load(jetson.path(jetson.chosen.file)))


@pytest.fixture
def share(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """What groups take, as a share of their frames one by one: half, if a test says nothing."""
    told = {"together": 0.5, "one by one": 1.0}

    def time_once(
        calls: Mapping[str, Callable[[], object]], *, progress: Progress
    ) -> dict[str, np.ndarray]:
        del progress
        for call in calls.values():
            call()
        return {name: np.array([told[name]]) for name in calls}

    monkeypatch.setattr(batch, "alternate", time_once)
    return told


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many frames each launch of several had."""
    found: list[int] = []
    launch = FrameBatch.launch

    def note(self, group):
        found.append(len(group))
        launch(self, group)

    monkeypatch.setattr(FrameBatch, "launch", note)
    return found
