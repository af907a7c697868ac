"""Every form in which a source may be named."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
from captures import FakeCapture, in_turn

from edgeseg.errors import SourceError
from edgeseg.machine.cameras import find_number
from edgeseg.runtime.sources import list_files_read, naming, open_source
from edgeseg.runtime.sources.address import SCHEMES, is_camera, is_stream, is_web_video, read_name
from edgeseg.runtime.sources.live import device as live
from edgeseg.runtime.sources.options import Retry


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (3, 3),
        ("0", 0),
        ("007", 7),
        ("/dev/video0", "/dev/video0"),
        ("RTSP://Host/X", "rtsp://Host/X"),
        ("file:///a%20b/%C3%A4%23.mp4", "/a b/ä#.mp4"),
        ("FILE://localhost/a.mp4", "/a.mp4"),
        ("drive.mp4", "drive.mp4"),
        ("gstreamer:rtspsrc location=ftp://h ! appsink", None),
        ("demo", "demo"),
    ],
)
def test_a_name_is_read_once(given: str | int, read: str | int | None) -> None:
    assert read_name(given) == (given if read is None else read)
    assert read_name(read_name(given)) == read_name(given)


@pytest.mark.parametrize("scheme", [name for name in SCHEMES if name != "file"])
def test_each_scheme_of_a_stream(scheme: str) -> None:
    assert is_stream(read_name(f"{scheme.upper()}://host:5000/x"))
    assert is_web_video(f"{scheme}://host/x.MP4?y=1") is scheme.startswith("http")
    assert list_files_read(f"{scheme}://host:5000/x") == []


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        (
            "rstp://admin:zqxj@host/x",
            "rstp:// is no scheme of a source; those are rtsp://, rtsps://, rtmp://, rtmps://,",
        ),
        ("file://drive.mp4", "file://drive.mp4 is no file of this machine; a file's address has"),
        ("file://server/x.mp4", "file://server/x.mp4 is no file of this machine"),
    ],
)
def test_an_address_that_leads_nowhere(uri: str, says: str) -> None:
    with pytest.raises(SourceError) as refused, open_source(uri):
        pass
    assert says in str(refused.value)
    assert "zqxj" not in str(refused.value)


def test_a_file_by_its_address(tmp_path: Path) -> None:
    path = tmp_path / "ein Bild#1.png"
    cv2.imwrite(str(path), np.zeros((4, 4, 3), np.uint8))
    address = f"file://{tmp_path}/ein%20Bild%231.png"
    assert list_files_read(address) == [path]
    with open_source(address) as source:
        assert [captured.path for captured in source.frames] == [path]


def test_devices_and_what_is_none(tmp_path: Path) -> None:
    assert is_camera("/dev/video0")
    assert is_camera("/dev/v4l/by-id/usb-Maker_Camera-video-index0")
    assert not is_camera(str(tmp_path))
    clip = Path("/dev/shm") / f"{tmp_path.name}.mp4"
    clip.touch()
    try:
        assert not is_camera(str(clip))
    finally:
        clip.unlink()


def test_a_number_that_is_a_folder_is_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("7").mkdir()
    assert (read_name("7"), read_name("8")) == ("7", 8)


BY_ID = "/dev/v4l/by-id/usb-Maker_Camera-video-index0"


def test_a_camera_that_comes_back_under_another_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its link is followed at each opening; while it is unplugged, nothing is opened."""
    leads_to: list[int | None] = [2, 2, None, 5]
    monkeypatch.setattr(
        "edgeseg.runtime.sources.live.camera.find_number",
        lambda _path: leads_to.pop(0) if len(leads_to) > 1 else leads_to[0],
    )
    monkeypatch.setattr(live, "BACK_OFF_S", (0.0,))
    asked: list[tuple[int, ...]] = []
    opens = in_turn(FakeCapture(2), FakeCapture(0, opens=False), FakeCapture(2))

    def open_(*arguments: int) -> FakeCapture:
        asked.append(arguments)
        return opens()

    monkeypatch.setattr(cv2, "VideoCapture", open_)
    said: list[str] = []
    with open_source(BY_ID, retry=Retry(attempts=3, say=said.append)) as source:
        assert source.live
        assert source.name.startswith(f"camera {BY_ID} (/dev/video2, 0x0, ")
        assert len(list(itertools.islice(source.frames, 4))) == 4
    assert asked == [(2,), (), (5,)]
    told = [line.partition(f"camera {BY_ID}: ")[2] for line in said]
    assert told == [
        "lost after 2 frames, attempt 1 in 0 s",
        "lost after 2 frames, attempt 2 in 0 s",
        "is /dev/video5 now",
        "back after attempt 2; lost 1 times so far",
    ]


def test_a_link_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = tmp_path / "front"
    link.symlink_to("/dev/video97")
    assert find_number(str(link)) is None  # it is unplugged
    assert find_number("/dev/null") is None
    monkeypatch.setattr("os.path.exists", lambda path: path == "/dev/video97")
    assert find_number(str(link)) == find_number("/dev/video97") == 97


def test_a_camera_that_is_not_there() -> None:
    with (
        pytest.raises(SourceError, match=f"camera {BY_ID} cannot be opened; is it connected"),
        open_source(BY_ID),
    ):
        pass


def write(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        cv2.imwrite(str(folder / name), np.full((4, 4, 3), len(name), np.uint8))


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("%04d.png", ["0007.png", "0008.png", "0010.png", "10000.png"]),
        ("%d.png", ["7.png", "9.png", "10.png"]),
        ("f%%%02d_l.jpg", ["f%00_l.jpg", "f%03_l.jpg"]),
    ],
)
def test_a_sequence_by_its_numbers(tmp_path: Path, pattern: str, names: list[str]) -> None:
    folder = tmp_path / "frames"
    write(folder, *names, "007.png", "x9.png")
    (folder / "0011.txt").touch()
    said: list[str] = []
    with open_source(str(folder / pattern), retry=Retry(say=said.append)) as source:
        assert source.length == len(names)
        assert [Path(c.path or "").name for c in source.frames] == names
    (line,) = said
    assert f"{folder / pattern}: {len(names)} images, numbers " in line
    assert " without " in line
    assert line.endswith("; the frames follow each other as if none were missing")


def test_a_sequence_without_gaps_says_nothing(tmp_path: Path) -> None:
    write(tmp_path, "08.png", "09.png", "10.png")
    said: list[str] = []
    with open_source(str(tmp_path / "%02d.png"), retry=Retry(say=said.append)) as source:
        assert [c.name for c in source.frames] == ["08", "09", "10"]
    assert said == []


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("%06d.png", "no image matches "),
        ("%d_%d.png", "one number, in the file's name, as frames/%06d.png"),
        ("%d/a.png", "one number, in the file's name"),
    ],
)
def test_a_sequence_that_is_none(tmp_path: Path, pattern: str, says: str) -> None:
    write(tmp_path, "1.png")
    with pytest.raises(SourceError, match=says), open_source(str(tmp_path / pattern)):
        pass


@pytest.mark.parametrize(
    ("known", "says"),
    [
        ({"cv2": False, "av": False}, "is built without srt://; let a whole FFmpeg pass"),
        ({"cv2": False, "av": None}, "is built without srt://"),
        ({"cv2": False, "av": True}, "is the address right"),
        ({"cv2": None, "av": None}, "is the address right"),
    ],
)
def test_a_scheme_that_no_ffmpeg_here_opens(
    monkeypatch: pytest.MonkeyPatch, known: dict[str, bool | None], says: str
) -> None:
    monkeypatch.setattr(naming, "opens_scheme", lambda module, _scheme: known[module])
    told = naming.explain_cannot_open("srt://host:9000?passphrase=zqxjvkwz&streamid=zqxj")
    assert says in told
    assert "zqxj" not in told
