from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeseg.cli import examination as doctor
from edgeseg.cli.answers.doctor import describe_findings
from edgeseg.cli.examination import examine


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """What a Jetson's files say."""
    files = {
        "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic",
        "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
        "var/lib/nvpmodel/status": "pmode:0002\n",
        "proc/meminfo": "MemTotal: 7800000 kB\nMemAvailable:    1500000 kB\n",
        "dev/video0": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def problems(findings: dict) -> dict[str, str]:
    return {problem["what"]: problem["remedy"] for problem in findings["problems"]}


@pytest.mark.parametrize("installed", [None, "1.7.1"])
def test_a_workstation_has_no_board(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: str | None
) -> None:
    """It needs a driver where TensorRT-RTX is there, and none elsewhere."""
    monkeypatch.setattr(doctor, "find_engine_version", lambda _row: installed)
    monkeypatch.setattr("edgeseg.runtime.gpu.cuda._LIBRARIES", ("libnothing.so",))
    monkeypatch.setattr("edgeseg.runtime.gpu.cuda._list_pip_folders", list)
    findings = examine(tmp_path)
    assert findings["jetson"] is None
    assert findings["cameras"] == []
    told = {what: remedy for what, remedy in problems(findings).items() if "TensorRT" in what}
    assert len(told) == (installed is not None)
    for what, remedy in told.items():
        assert what.startswith("TensorRT-RTX has no GPU: no CUDA runtime library was found")
        assert "driver 580 or newer" in remedy


def test_a_jetson_says_what_it_lacks(board: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeseg.runtime.gpu.cuda._LIBRARIES", ("libnothing.so",))
    findings = examine(board)
    assert findings["jetson"] == {
        "model": "NVIDIA Jetson Orin Nano Developer Kit",
        "l4t": "36.4.3",
        "jetpack": "6",
        "power_mode": "2",
        "gpu_mhz": None,
        "temperature_c": None,
    }
    assert findings["cameras"] == ["video0"]
    assert findings["memory_free"] == 1500000 << 10
    told = problems(findings)
    remedy = told["TensorRT is not visible to this Python"]
    assert "--system-site-packages" in remedy
    assert any(what.startswith("only 1.5 GB of memory") for what in told)
    assert any("no CUDA runtime library" in what for what in told)
    lines = describe_findings(findings)
    assert any("L4T 36.4.3 (JetPack 6), power mode 2" in line for line in lines)
    assert sum(line.startswith("problem: ") for line in lines) == len(told)


def test_a_jetson_without_nvrtc_is_told_so(board: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its frames take the CPU's path."""

    class Orin:
        def capability(self) -> str:
            return "8.7"

        def driver(self) -> int:
            return 12060

    monkeypatch.setattr("edgeseg.runtime.gpu.cuda.Cuda", Orin)
    monkeypatch.setattr("edgeseg.runtime.gpu.nvrtc._LIBRARIES", ("libnothing.so",))
    findings = examine(board)
    what = "no NVRTC (libnvrtc) compiles for compute capability 8.7 and CUDA 12"
    assert problems(findings)[what] == "sudo apt install nvidia-jetpack"
    line = "CUDA: driver 12060, compute capability 8.7, NVRTC not installed"
    assert line in describe_findings(findings)


@pytest.fixture
def broken_opencv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """An OpenCV that is installed, and raises an error when it is imported."""

    def install(error: str) -> None:
        folder = tmp_path / "modules"
        folder.mkdir()
        (folder / "cv2.py").write_text(f"raise {error}\n")
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.delitem(sys.modules, "cv2", raising=False)

    return install


# JetPack 6's own OpenCV is built against NumPy 1; opencv-python needs a library of the desktop.
@pytest.mark.parametrize(
    ("error", "told", "remedy"),
    [
        (
            "AttributeError('_ARRAY_API not found')",
            "NumPy 2 does not fit this OpenCV: _ARRAY_API not found",
            "pip install 'numpy<2'",
        ),
        (
            "ImportError('numpy.core.multiarray failed to import')",
            "NumPy 2 does not fit this OpenCV: numpy.core.multiarray failed to import",
            "pip install 'numpy<2'",
        ),
        (
            "ImportError('libGL.so.1: cannot open shared object file')",
            "OpenCV does not load: libGL.so.1: cannot open shared object file",
            "sudo apt install libgl1; or use opencv-python-headless, which needs no screen",
        ),
        (
            "ImportError()",
            "OpenCV does not load: ImportError",
            (
                "pip uninstall opencv-python opencv-python-headless; "
                "pip install 'edgeseg[opencv]' -c constraints.txt"
            ),
        ),
    ],
)
def test_an_opencv_that_does_not_load(
    board: Path, broken_opencv: Callable[[str], None], error: str, told: str, remedy: str
) -> None:
    broken_opencv(error)
    findings = examine(board)
    assert problems(findings)[told] == remedy
    assert f"OpenCV: {findings['opencv']['error']}" in describe_findings(findings)


def test_a_video_names_what_an_opencv_that_does_not_load_says(
    edgeseg,
    broken_opencv: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Where PyAV cannot stand in for it."""
    monkeypatch.setitem(sys.modules, "av", None)
    broken_opencv("ImportError('libGL.so.1: cannot open shared object file')")
    (tmp_path / "drive.mp4").write_bytes(b"frames")
    outcome = edgeseg("run", "--source", "drive.mp4")
    assert outcome.status == 1
    assert (
        "reading drive.mp4 needs OpenCV, which is installed but does not load (libGL.so.1: cannot "
        "open shared object file); run: edgeseg doctor" in outcome.err
    )


def test_an_opencv_without_gstreamer(board: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"version": "4.10.0", "ffmpeg": True, "gstreamer": False, "window": False}
    monkeypatch.setattr(doctor, "examine_opencv", lambda: found)
    assert any("CSI cameras" in what for what in problems(examine(board)))


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = types.SimpleNamespace(free=10**8)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _path: usage)
    assert any(what.startswith("only 0.1 GB are free") for what in problems(examine(tmp_path)))


def test_the_nearest_folder_that_is_open(tmp_path: Path) -> None:
    """A cache in a closed folder, as of a service or under sudo -u."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o000)
    me = os.geteuid()
    if me == 0:  # whom no folder is closed to
        os.seteuid(65534)
    try:
        found = doctor._find_existing(closed / "cache" / "edgeseg")
    finally:
        os.seteuid(me)
    assert closed.is_relative_to(found)
