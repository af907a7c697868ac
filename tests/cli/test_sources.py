"""`edgeseg sources`, on a machine of the test's own with drivers of the test's own."""

from __future__ import annotations

import ctypes
import errno
from pathlib import Path

import pytest
from drivers import CAPTURE, META, OWN, WEBCAM, capability, make_driver

from edgeseg.cli.answers.sources import describe_sources, suggest_camera
from edgeseg.cli.offers import find_sources

LINK = "/dev/v4l/by-id/usb-Maker_HD-video-index0"
SOCKET = "/dev/v4l/by-path/pci-0000:00:14.0-usb-0:1:1.0-video-index0"
DRIVERS = {
    "video0": make_driver(WEBCAM),
    "video1": make_driver({(0x80685600,): capability(OWN | CAPTURE | META, OWN | META)}),
    "video2": make_driver({}),  # does not answer
}


def call_device(device: int, request: int, field: ctypes.Structure) -> object:
    name = Path(f"/proc/self/fd/{device}").readlink().name
    if name == "video3":
        raise PermissionError(errno.EACCES, "Permission denied")
    return DRIVERS[name](device, request, field)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    for folder in ("by-id", "by-path"):
        (tmp_path / "dev" / "v4l" / folder).mkdir(parents=True)
    for name in ("video0", "video1", "video2", "video3"):
        (tmp_path / "dev" / name).touch()
    for link in (LINK, SOCKET):
        (tmp_path / link[1:]).symlink_to("../../video0")
    return tmp_path


def test_a_camera_with_all_its_names(machine: Path) -> None:
    found = find_sources(machine, ioctl=call_device)
    lines = describe_sources(found)
    assert lines[:5] == [
        "camera /dev/video0: HD Webcam: Cäm (uvcvideo, usb-0000:00:14.0-1)",
        f"  also {LINK}",
        f"  also {SOCKET}",
        "  MJPG (Motion-JPEG): 720x1280 at 60, 29.97; 480x640 at 7.5",
        "  YUYV (YUYV 4:2:2): 24x32 at 60, 5; 1080x1920",
    ]
    assert not any("/dev/video1" in line for line in lines)  # metadata
    assert suggest_camera(found) == LINK
    told = {line.partition("; to fix it: ")[0] for line in lines if line.startswith("problem")}
    assert told == {
        "problem: /dev/video2 does not answer as a camera: Invalid argument",
        "problem: /dev/video3 may not be opened by this user",
    }


def test_a_camera_without_links_is_named_by_its_device(machine: Path) -> None:
    for link in (LINK, SOCKET):
        (machine / link[1:]).unlink()
    assert suggest_camera(find_sources(machine, ioctl=call_device)) == "/dev/video0"


def test_what_else_a_run_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"rtsp": {"cv2": True, "av": None}, "srt": {"cv2": False, "av": False}}
    monkeypatch.setattr(
        "edgeseg.cli.offers.opens_scheme", lambda module, name: known.get(name, {}).get(module)
    )
    monkeypatch.setattr("edgeseg.cli.offers.find_version", lambda _package: None)
    found = find_sources(tmp_path)
    assert found["cameras"] == []
    lines = describe_sources(found)
    assert lines[0].startswith("no camera: no device /dev/video* gives pictures")
    assert "PyAV: not installed; pip install 'edgeseg[video]' -c constraints.txt" in lines
    assert "streams: rtsp://" in lines
    assert "not in the FFmpeg of this OpenCV and PyAV: srt://" in lines
    assert any(line.startswith("streams that may work: rtsps://, ") for line in lines)


def test_the_command_on_this_machine(edgeseg) -> None:
    outcome = edgeseg("sources", "--json")
    assert outcome.status == 0, outcome.err
    assert outcome.json["schemes"]["rtsp"] is True
    assert isinstance(outcome.json["opencv"]["gstreamer"], bool)
    assert "next: edgeseg run --source " in outcome.err


@pytest.mark.parametrize("command", ["sources", "doctor", "inspect"])
def test_the_help_says_where_lines_go(edgeseg, command: str) -> None:
    shown = " ".join(edgeseg(command, "--help").out.replace("│", " ").split())
    assert "one JSON object on stdout, for programs. Lines for people go to stderr." in shown
