"""Fixtures of these tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from host_driver import build_driver
from made_once import made_once

from edgeseg.bundle.store import Bundle, open_bundle
from edgeseg.deploy.defaults import fill_defaults
from edgeseg.deploy.export import export_bundle
from edgeseg.deploy.request import ExportOptions
from edgeseg.runtime.gpu import module as modules
from edgeseg.runtime.gpu.module import Module
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


@pytest.fixture(scope="session")
def host_driver(common: Path) -> str:
    """CUDA's driver with the kernels, for the host."""
    if shutil.which("g++") is None:
        pytest.skip("needs g++, which compiles the kernels for the host")
    return str(made_once(common / "kernels", build_driver) / "libcuda.so")


@pytest.fixture(scope="session")
def module(host_driver: str) -> Iterator[Module]:
    """The kernels, compiled for the host."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modules, "_LIBRARIES", (host_driver,))
        kernels = Module(b"for the host")
    yield kernels
    kernels.close()
