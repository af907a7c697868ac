"""Image topics of ROS bags and MCAP files: each frame once, in order, with its pixels and times."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from bags import KINDS, TOPIC, Sent, send, write_bag
from PIL import Image

from edgeseg.bundle.store import Bundle
from edgeseg.demo import draw_scene
from edgeseg.errors import MissingPackageError, SourceError
from edgeseg.runtime.sources import list_files_read, open_source
from edgeseg.runtime.sources.options import Retry
from edgeseg.runtime.sources.source import Captured

SCENES = [draw_scene(1, index, height=48, width=64).image for index in range(4)]
EPOCH = 1_700_000_000.0
TIMES = [0.0, 0.1, 0.35, 0.4]


def read(uri: str, said: list[str] | None = None) -> list[Captured]:
    retry = Retry(say=(said if said is not None else []).append)
    with open_source(uri, retry=retry) as source:
        assert not source.live
        frames = list(source.frames)
        assert source.length == len(frames)
    return frames


def send_all(images: list[np.ndarray] = SCENES, **fields: object) -> list[Sent]:
    """Recorded a little after they were taken, and unevenly so."""
    return [
        send(image, stamp_s=EPOCH + at, logged_s=EPOCH + at + 0.01 * (index % 3), **fields)
        for index, (image, at) in enumerate(zip(images, TIMES, strict=True))
    ]


@pytest.mark.parametrize("named", [True, False], ids=["topic", "the only one"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_was_recorded_is_read(tmp_path: Path, kind: str, *, named: bool) -> None:
    path = write_bag(tmp_path, kind, send_all())
    said: list[str] = []
    frames = read(f"{path}:{TOPIC}" if named else str(path), said)
    np.testing.assert_array_equal([frame.image for frame in frames], SCENES)
    assert [frame.time_s for frame in frames] == pytest.approx(TIMES, abs=1e-6)
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert said == []


def test_times_of_recording_where_headers_have_none(tmp_path: Path) -> None:
    sent = [send(image, logged_s=EPOCH + 2 * at) for image, at in zip(SCENES, TIMES, strict=True)]
    said: list[str] = []
    path = write_bag(tmp_path, "mcap", sent)
    times = [frame.time_s for frame in read(str(path), said)]
    assert times == pytest.approx([2 * at for at in TIMES], abs=1e-6)
    assert said == [f"{path}:{TOPIC} has no times in its headers: the times of recording are taken"]


GRAY = np.ascontiguousarray(SCENES[0][:, :, 1])
OPAQUE = np.full((48, 64, 1), 255, np.uint8)


@pytest.mark.parametrize(
    ("encoding", "stored", "expected"),
    [
        ("bgr8", SCENES[0], SCENES[0]),
        ("8UC3", SCENES[0], SCENES[0]),
        ("rgb8", SCENES[0][:, :, ::-1], SCENES[0]),
        ("bgra8", np.concatenate([SCENES[0], OPAQUE], axis=2), SCENES[0]),
        ("rgba8", np.concatenate([SCENES[0][:, :, ::-1], OPAQUE], axis=2), SCENES[0]),
        ("mono8", GRAY, np.stack([GRAY] * 3, axis=2)),
    ],
)
@pytest.mark.parametrize("padding", [0, 5])
def test_encodings(
    tmp_path: Path, encoding: str, stored: np.ndarray, expected: np.ndarray, padding: int
) -> None:
    """Also with rows that are padded, and from a machine whose bytes are in the other order."""
    rows = np.pad(stored.reshape(48, -1), ((0, 0), (0, padding)), constant_values=99)
    step = rows.shape[1]
    sent = Sent(rows.tobytes(), 48, 64, step, encoding, big_endian=bool(padding), logged_s=1)
    (frame,) = read(str(write_bag(tmp_path, "mcap", [sent])))
    np.testing.assert_array_equal(frame.image, expected)


@pytest.mark.parametrize("encoding", ["yuv422", "uyvy", "yuyv", "yuv422_yuy2"])
def test_yuv(tmp_path: Path, encoding: str) -> None:
    """By BT.601's equations for video range, each two pixels with one color."""
    luma, u, v = np.random.default_rng(0).integers(16, 236, (3, 4, 8)).astype(np.uint8)
    chroma = np.where(
        np.arange(8) % 2, v[:, [0, 0, 2, 2, 4, 4, 6, 6]], u[:, [0, 0, 2, 2, 4, 4, 6, 6]]
    )
    first, second = (luma, chroma) if "yuy" in encoding else (chroma, luma)
    stored = np.stack([first, second], axis=2)
    (frame,) = read(str(write_bag(tmp_path, "mcap", [send(stored, encoding=encoding)])))
    y = 255 / 219 * (luma - 16.0)
    b, r = (part[:, [0, 0, 2, 2, 4, 4, 6, 6]] - 128.0 for part in (u, v))
    expected = np.stack([y + 2.018 * b, y - 0.813 * r - 0.391 * b, y + 1.596 * r], axis=2)
    assert np.abs(frame.image - np.clip(expected, 0, 255)).max() <= 1.5  # fixed point, rounded


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_patterns(tmp_path: Path, pattern: str) -> None:
    """A surface of one color keeps it."""
    color = {"b": 30, "g": 90, "r": 200}
    tile = np.array([color[letter] for letter in pattern], np.uint8).reshape(2, 2)
    sent = send(np.tile(tile, (24, 32)), encoding=f"bayer_{pattern}8")
    (frame,) = read(str(write_bag(tmp_path, "mcap", [sent])))
    np.testing.assert_array_equal(frame.image, np.full((48, 64, 3), [30, 90, 200]))


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_compressed_images(tmp_path: Path, form: str) -> None:
    content = io.BytesIO()
    Image.fromarray(SCENES[0][:, :, ::-1]).save(content, form)
    said = "rgb8; jpeg compressed bgr8" if form == "JPEG" else "png"
    path = write_bag(tmp_path, "bag", [Sent(content.getvalue(), compressed=said, logged_s=1)])
    (frame,) = read(str(path))
    expected = cv2.imdecode(np.frombuffer(content.getvalue(), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(frame.image, expected)


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (send(GRAY, width=32, encoding="mono16"), "encoding mono16 are not read, but those of 8"),
        (
            send(SCENES[0], height=49),
            r"49x64 bgr8 has 9216 bytes in rows of 192, which does not fit",
        ),
        (send(SCENES[0], step=100), "in rows of 100, which does not fit"),
        (Sent(b"\0\0\0\1", compressed="h264"), r"\(h264\) is no whole JPEG or PNG of 8 bits"),
    ],
)
def test_what_is_not_read_is_named(tmp_path: Path, sent: Sent, says: str) -> None:
    path = write_bag(tmp_path, "mcap", [sent])
    with pytest.raises(SourceError, match=f"{path}:{TOPIC}: .*{says}"):
        read(str(path))


def test_topics_are_listed_and_asked_for(tmp_path: Path) -> None:
    sent = [*send_all(), *send_all(topic="/rear/image")]
    path = write_bag(tmp_path, "mcap", sent)
    with pytest.raises(
        SourceError, match="several topics of images: /camera/image and /rear/image"
    ):
        read(str(path))
    assert len(read(f"{path}:/rear/image")) == 4
    with pytest.raises(SourceError, match="/front is not in it; name a topic of images: those are"):
        read(f"{path}:/front")
    with pytest.raises(
        SourceError,
        match=r"camera/image is not in it; name a topic of images \(with a slash before camera/im",
    ):
        read(f"{path}:camera/image")
    for uri in (f"{path}:", f"{path}:front"):
        with pytest.raises(SourceError, match="those are /camera/image and /rear/image"):
            read(uri)


def test_a_topic_may_have_no_slash(tmp_path: Path) -> None:
    """As in an MCAP file that no ROS wrote."""
    path = write_bag(tmp_path, "mcap", send_all(topic="camera"))
    assert len(read(f"{path}:camera")) == 4


@pytest.mark.parametrize("name", ["drive.mcap", "drive.bag", "drive.db3"])
def test_a_bag_that_is_none(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(SourceError, match=f"no bag at {path}; is the path right"):
        read(f"{path}:/x")
    path.write_bytes(b"nothing of the kind" * 50)
    with pytest.raises(SourceError, match=f"{path} cannot be read as a ROS bag: "):
        read(f"{path}:/x")


@pytest.mark.parametrize("kind", ["bag", "mcap"])
def test_a_recording_that_was_cut_off(tmp_path: Path, kind: str) -> None:
    path = write_bag(tmp_path, kind, send_all())
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(SourceError, match="cannot be read as a ROS bag: .*mend it with"):
        read(str(path))


def test_without_rosbags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rosbags.highlevel", None)
    with pytest.raises(MissingPackageError, match=r"needs rosbags.*edgeseg\[bag\]"):
        read(f"{tmp_path / 'drive.mcap'}:/x")


def test_a_bags_files_are_known(tmp_path: Path) -> None:
    path = write_bag(tmp_path, "folder of db3", send_all())
    assert [file.name for file in list_files_read(f"{path}:{TOPIC}")] == [
        "drive.db3",
        "metadata.yaml",
    ]


def test_a_run(edgeseg, seeded_bundle: Bundle, tmp_path: Path) -> None:
    path = write_bag(tmp_path, "mcap", send_all())
    outcome = edgeseg("run", seeded_bundle.folder, "--source", f"{path}:{TOPIC}", "--masks", "m")
    assert outcome.status == 0, outcome.err
    assert len(list((tmp_path / "m").glob("*.png"))) == 4
