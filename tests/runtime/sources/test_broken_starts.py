"""Streams that are joined, and files that are cut, between two key frames."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from pathlib import Path

import av
import numpy as np
import pytest
import web
from clips import write_clip

from edgeseg.demo import draw_scene
from edgeseg.errors import SourceError
from edgeseg.runtime.events import Event
from edgeseg.runtime.sources import open_source
from edgeseg.runtime.sources.captures import whole
from edgeseg.runtime.sources.options import Retry

EVERY = 12  # frames from one key frame to the next
CUT = 5  # packets that are missing


def cut(whole_clip: Path, path: Path, first: int) -> Path:
    """The clip without its first packets, remuxed by PyAV."""
    with av.open(str(whole_clip)) as source, av.open(str(path), "w") as target:
        given = source.streams.video[0]
        copied = target.add_stream_from_template(given)
        for index, packet in enumerate(source.demux(given)):
            if packet.size and index >= first:
                packet.stream = copied
                target.mux(packet)
    return path


def decode(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def clip(path: Path, codec: str) -> Path:
    return write(path, 40, codec=codec, every=EVERY)


def write(path: Path, count: int, *, codec: str, every: int) -> Path:
    """A street that moves on."""
    scene = draw_scene(3, 0, height=96, width=128).image
    images = [np.roll(scene, 2 * index, axis=1) for index in range(count)]
    options = {"g": str(every), "bf": "0"} | ({"sc_threshold": "0"} if codec == "libx264" else {})
    times = [index / 10 for index in range(count)]
    return write_clip(path, times, images=images, codec=codec, options=options, ticks=1000)


@pytest.mark.parametrize(
    ("codec", "ending", "skipped"),
    [("libx264", "ts", False), ("mpeg4", "avi", True), ("mpeg4", "ts", True)],
)
def test_a_file_that_is_cut_begins_with_its_first_whole_frame(
    tmp_path: Path, codec: str, ending: str, *, skipped: bool
) -> None:
    """FFmpeg drops H.264's broken frames itself; it draws those of MPEG-4 over gray."""
    complete = clip(tmp_path / f"whole.{ending}", codec)
    broken = cut(complete, tmp_path / f"cut.{ending}", CUT)
    told: list[Event] = []
    with open_source(str(broken), retry=Retry(tell=told.append)) as source:
        frames = list(source.frames)
    wanted = decode(complete)[EVERY:]
    assert len(frames) == len(wanted)
    for captured, image in zip(frames, wanted, strict=True):
        assert np.abs(captured.image.astype(int) - image).max() <= 3  # two converters to BGR
    assert [captured.index for captured in frames] == list(range(len(frames)))
    assert frames[0].time_s == 0
    text = f"{broken}: skipped {EVERY - CUT} broken frames before the first whole one"
    assert told == ([Event(kind="broken", text=text)] if skipped else [])


def test_a_whole_file_loses_nothing(tmp_path: Path) -> None:
    complete = clip(tmp_path / "whole.avi", "mpeg4")
    told: list[Event] = []
    with open_source(str(complete), retry=Retry(tell=told.append)) as source:
        assert len(list(source.frames)) == 40
    assert told == []


def test_a_stream_that_is_joined_midway_and_again(tmp_path: Path) -> None:
    """Each opening begins with a whole frame."""
    complete = clip(tmp_path / "whole.ts", "mpeg4")
    sent = cut(complete, tmp_path / "cut.ts", CUT).read_bytes()

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "video/mp2t")
        request.end_headers()
        request.wfile.write(sent)

    told: list[Event] = []
    wanted = decode(complete)[EVERY:]
    retry = Retry(attempts=1, tell=told.append)
    with (
        web.served(answer) as port,
        open_source(f"http://127.0.0.1:{port}/live", retry=retry) as source,
    ):
        images = [next(source.frames).image for _ in range(len(wanted) + 1)]
    for got, image in ((images[0], wanted[0]), (images[-1], wanted[0])):
        assert np.abs(got.astype(int) - image).max() <= 3
    assert [event.kind for event in told] == ["broken", "lost", "broken", "back"]


@pytest.mark.parametrize("most", [3, 300])
def test_a_clip_without_a_whole_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """After a while its frames are taken as they are: better than nothing."""
    monkeypatch.setattr(whole, "_MOST_FRAMES", most)
    complete = write(tmp_path / "whole.avi", 20, codec="mpeg4", every=100)
    broken = cut(complete, tmp_path / "cut.avi", CUT)
    told: list[Event] = []
    with open_source(str(broken), retry=Retry(tell=told.append)) as source:
        if most == 300:
            with pytest.raises(SourceError, match="holds no frame"):
                list(source.frames)
        else:
            assert len(list(source.frames)) == 20 - CUT - most
    assert [event.kind for event in told] == ["broken"]
