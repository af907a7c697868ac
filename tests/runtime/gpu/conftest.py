"""A bundle for Jetson, and a fake device with the real kernels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fake_tensorrt
import pytest
from failing import failing_bundle
from fake_cuda import Device, FakeCuda
from made_once import made_once

from edgeseg.bundle.store import Bundle, open_bundle
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
