"""Target rtx: as a Jetson's, with plans of its own and with kernels that are kept."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import fake_tensorrt
import msgspec
import pytest
from fake_tensorrt import FakeCuda, State
from rtx import build_for
from trt_names import graph

from edgeseg.bundle.store import Bundle
from edgeseg.errors import BackendError
from edgeseg.progress import Progress
from edgeseg.runtime.backends import rtx, trt_cache
from edgeseg.runtime.backends.trt_library import RTX
from edgeseg.runtime.gpu.module import Module
from edgeseg.runtime.proving.choose import choose_variant
from edgeseg.runtime.segmenter import Segmenter


@pytest.fixture
def desktop(bundle: Bundle) -> Bundle:
    """The same files for the other target."""
    return replace(bundle, manifest=msgspec.structs.replace(bundle.manifest, target="rtx"))


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: Module) -> State:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return fake_tensorrt.install(monkeypatch, module, library=RTX)


def open_once(bundle: Bundle) -> None:
    path = graph(bundle, "fp16")
    rtx.open_engine(
        path, compute="f16", device="gpu", threads=None, keep=True, progress=Progress()
    ).close()


def kernels(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "cache" / "edgeseg" / "rtx_engines").glob("*.kernels")
    return path


def test_a_desktop_builds_proves_and_keeps(
    desktop: Bundle, device: State, progress: Progress, said: list[str], tmp_path: Path
) -> None:
    first = choose_variant(desktop, progress=progress)
    assert any("engine of fp16.onnx, a minute at most: there is none yet" in line for line in said)
    assert len(device.builds) == device.compiled == 10
    assert set(device.targets) == {fake_tensorrt.ComputeCapability.SM87}
    del said[:]
    with Segmenter(desktop, variant=first, progress=progress) as segmenter:
        assert segmenter.backend.name == "tensorrt-rtx 1.7.1"
    assert not any("building" in line for line in said)
    assert (len(device.builds), device.compiled) == (10, 10)  # both were kept
    assert FakeCuda.held == 0
    record = next((tmp_path / "cache" / "edgeseg" / "rtx_engines").glob("*.json"))
    assert json.loads(record.read_text())["built_for"]["library"] == "tensorrt-rtx 1.7.1"


def test_plans_of_the_two_libraries_lie_apart(
    desktop: Bundle, device: State, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    open_once(desktop)
    monkeypatch.setitem(sys.modules, "tensorrt", fake_tensorrt)
    path = graph(desktop, "fp16")
    for _ in range(2):
        trt_cache.open_engine(path, progress=Progress()).close()
        open_once(desktop)
    assert len(device.builds) == 2
    folders = (tmp_path / "cache" / "edgeseg").iterdir()
    assert {folder.name for folder in folders} == {"engines", "rtx_engines"}


@pytest.mark.parametrize("fault", ["of another GPU", "others may write"])
def test_kernels_that_do_not_fit_are_compiled_again(
    desktop: Bundle, device: State, tmp_path: Path, fault: str
) -> None:
    open_once(desktop)
    kept = kernels(tmp_path)
    assert kept.stat().st_mode & 0o777 == 0o600
    if fault == "others may write":
        kept.chmod(0o666)
    else:
        kept.write_bytes(b"of another GPU")
    open_once(desktop)
    assert (len(device.builds), device.compiled) == (1, 2)
    assert kept.read_bytes() == fake_tensorrt.KERNELS
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_gpu_without_a_name_of_its_own_is_the_current_one(
    desktop: Bundle, device: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeCuda, "compute", "9.9")
    open_once(desktop)
    assert device.targets == [fake_tensorrt.ComputeCapability.CURRENT]


def test_a_new_driver_or_library_builds_anew(
    desktop: Bundle, device: State, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    open_once(desktop)
    monkeypatch.setattr(fake_tensorrt, "__version__", "1.8.0")
    open_once(desktop)
    assert len(device.builds) == 2
    assert kernels(tmp_path).exists()  # the old ones went with their plan


def test_without_the_library_the_command_is_named(
    desktop: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in RTX.modules:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(BackendError, match=r"needs TensorRT-RTX; run: pip install 'edgeseg\[rtx\]"):
        choose_variant(desktop)


@pytest.mark.skipif(find_spec("tensorrt_rtx_bindings") is None, reason="needs TensorRT-RTX")
def test_the_real_library_builds_plans_without_a_gpu(bundle: Bundle) -> None:
    """Turing, Ada and Blackwell, and those by default."""
    sizes = build_for(graph(bundle, "fp16").read_bytes(), ["7.5", "8.9", "12.0", None])
    assert all(size > 1 << 20 for size in sizes)
