"""What a web server sends may be a file, whatever its address ends in: then it is read once."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
import web
from clips import write_clip

from edgeseg.bundle.store import Bundle
from edgeseg.demo import draw_scene
from edgeseg.runtime.sources import open_source
from edgeseg.runtime.sources.live import device as live
from edgeseg.runtime.sources.options import Retry

SCENES = [draw_scene(1, index, height=48, width=64).image for index in range(7)]
TIMES = [index / 10 for index in range(7)]
PNG = cv2.imencode(".png", SCENES[0])[1].tobytes()


@pytest.fixture
def clip(tmp_path: Path) -> bytes:
    return write_clip(tmp_path / "b.ts", TIMES, images=SCENES).read_bytes()


@pytest.mark.parametrize("form", ["ts", "mp4"])
def test_a_clip_without_a_known_ending_is_read_once(reader: str, form: str, tmp_path: Path) -> None:
    if (reader, form) == ("OpenCV", "ts"):
        pytest.skip("OpenCV tells only what the container says, and MPEG-TS says nothing")
    clip = write_clip(tmp_path / f"c.{form}", TIMES, images=SCENES).read_bytes()
    said: list[str] = []
    with (
        web.served(web.whole(clip)) as port,
        open_source(f"http://127.0.0.1:{port}/b", retry=Retry(say=said.append)) as source,
    ):
        assert not source.live
        captured = list(itertools.islice(source.frames, 20))
    assert [one.time_s for one in captured] == pytest.approx(TIMES, abs=1e-3)
    assert any(line.endswith("so it is a file, and is read once") for line in said)


def test_a_picture_is_read_once(edgeseg, seeded_bundle: Bundle, tmp_path: Path) -> None:
    with web.served(web.whole(PNG)) as port:
        source = f"http://127.0.0.1:{port}/000003.png"
        outcome = edgeseg("run", seeded_bundle.folder, "--source", source, "--masks", "o", "--json")
    assert outcome.status == 0, outcome.err
    assert outcome.json["frames"] == 1
    assert f"{source}: its server tells how long it is" in outcome.err
    with web.served(web.whole(PNG)) as port, open_source(f"http://127.0.0.1:{port}/x") as opened:
        (captured,) = opened.frames
    np.testing.assert_array_equal(captured.image, SCENES[0])


def test_a_file_that_was_not_there_at_first_is_read_once_too(
    clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where several sources run, the others do not wait for it."""
    monkeypatch.setattr(live, "BACK_OFF_S", (0.05,))
    given = web.whole(clip)
    asked = itertools.count()
    retry = Retry(attempts=None, wait=True)
    with (
        web.served(lambda request: given(request) if next(asked) else None) as port,
        open_source(f"http://127.0.0.1:{port}/b", retry=retry) as source,
    ):
        assert source.absent is not None
        assert len(list(itertools.islice(source.frames, 20))) == 7


@pytest.mark.parametrize("camera", [True, False], ids=["camera", "unknown length"])
def test_what_may_go_on_is_a_stream(clip: bytes, *, camera: bool) -> None:
    answer = web.jpegs(20) if camera else web.whole(clip, length=False)
    with web.served(answer) as port, open_source(f"http://127.0.0.1:{port}/b") as source:
        assert source.live
