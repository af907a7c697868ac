"""The kernels' source through NVRTC, which needs no GPU: PTX for every architecture."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgeseg.errors import BackendError
from edgeseg.runtime.gpu import nvrtc as nvrtcs
from edgeseg.runtime.gpu.kernel_cache import read_sources
from edgeseg.runtime.gpu.nvrtc import Nvrtc, find_nvrtc

# Orin, Ada, Hopper, Thor and desktop Blackwell.
CAPABILITIES = ("8.7", "8.9", "9.0", "11.0", "12.0")
NEWEST = 99000  # a driver that takes the code of any library


@pytest.fixture(scope="module")
def nvrtc() -> Nvrtc:
    try:
        return find_nvrtc("11.0", NEWEST)
    except BackendError:
        pytest.skip("needs NVRTC of CUDA 13: pip install nvidia-cuda-nvrtc")


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_the_kernels_compile_for_every_architecture(nvrtc: Nvrtc, capability: str) -> None:
    ptx = nvrtc.compile_ptx(read_sources(), capability)
    assert f".target sm_{capability.replace('.', '')}" in ptx
    source = "".join(read_sources().values())
    kernels = set(re.findall(r'extern "C" __global__ void (\w+)\(', source))
    assert set(re.findall(r"\.entry (\w+)\(", ptx)) == kernels
    # Each operation rounds by itself, as in NumPy: `.rn` also forbids the driver to fuse two.
    operations = set(re.findall(r"\b((?:add|sub|mul|fma|mad)\S*\.f32)", ptx))
    assert operations == {"add.rn.f32", "mul.rn.f32"}
    assert ".f64" not in ptx  # slow on every device that edgeseg runs on


def test_code_for_the_very_device_is_an_elf_file(nvrtc: Nvrtc) -> None:
    assert nvrtc.compile_cubin(read_sources(), "8.7").startswith(b"\x7fELF")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("__global__ void f() {\n  undeclared = 1;\n}", 'a.cu(2): error: identifier "undeclared"'),
        ('#include "absent.h"', 'cannot open source file "absent.h"'),
    ],
    ids=["error", "include"],
)
def test_a_refused_source_is_one_line(nvrtc: Nvrtc, source: str, reason: str) -> None:
    with pytest.raises(BackendError, match=re.escape(reason)) as caught:
        nvrtc.compile_ptx({"a.cu": source}, "9.0")
    assert str(caught.value).startswith(
        f"NVRTC {nvrtc.name} does not compile a.cu for compute_90: "
    )
    assert "\n" not in str(caught.value)


def test_an_unknown_architecture_is_one_line(nvrtc: Nvrtc) -> None:
    with pytest.raises(BackendError, match="compute_33: nvrtc: error: invalid value"):
        nvrtc.compile_ptx(read_sources(), "3.3")


@pytest.mark.parametrize(
    ("capability", "driver", "package"),
    [("3.3", NEWEST, "nvidia-cuda-nvrtc"), ("8.7", 11040, "nvidia-cuda-nvrtc-cu12")],
    ids=["architecture", "driver"],
)
def test_a_library_that_does_not_serve_is_passed_over(
    nvrtc: Nvrtc, capability: str, driver: int, package: str
) -> None:
    """It does not know the architecture, or the driver is too old to load what it makes."""
    assert capability == "3.3" or capability in nvrtc.capabilities
    with pytest.raises(BackendError, match=rf"no NVRTC .* pip install {package}$"):
        find_nvrtc(capability, driver)


def test_no_library_is_one_line_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(nvrtcs, "_LIBRARIES", (str(tmp_path / "libnothing.so"),))
    with pytest.raises(BackendError) as caught:
        find_nvrtc("8.7", 12060)
    assert str(caught.value) == (
        "no NVRTC (libnvrtc) compiles for compute capability 8.7 and CUDA 12; on a Jetson install "
        "JetPack: sudo apt install nvidia-jetpack; elsewhere: pip install nvidia-cuda-nvrtc-cu12"
    )
