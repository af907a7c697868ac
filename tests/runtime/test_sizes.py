"""Two real input sizes in one run: the engine becomes slow midway, and fast again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from subprocess import PIPE

import cv2
import numpy as np
import pytest
from live_parts import frames

from edgeseg.bundle.store import Bundle
from edgeseg.pixels import Frame, Output
from edgeseg.progress import SILENT
from edgeseg.runtime.backends.backend import Backend
from edgeseg.runtime.events import Events
from edgeseg.runtime.live.ladder import Patience
from edgeseg.runtime.live.network import Choice
from edgeseg.runtime.live.pace import Pace
from edgeseg.runtime.live.pipeline import stream
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.runtime.sizes import SizeKeeper, open_smaller
from edgeseg.runtime.sources import Captured, Source


class Burdened:
    """A real engine that takes longer while the machine is said to be busy."""

    def __init__(self, inner: Backend) -> None:
        self.inner, self.name, self.reuses_output = inner, inner.name, inner.reuses_output
        self.pause_s = 0.0

    def infer(self, frame: Frame, /) -> Output:
        time.sleep(self.pause_s)
        return self.inner.infer(frame)

    def close(self) -> None:
        self.inner.close()


@pytest.fixture
def segmenters(sized_bundle: Bundle) -> Iterator[list[Segmenter]]:
    with ExitStack() as stack:
        largest = stack.enter_context(Segmenter(sized_bundle, threads=1))
        yield [largest, *open_smaller(sized_bundle, stack, SILENT)]


def make_camera(every_s: float) -> Source:
    def give() -> Iterator[Captured]:
        (picture,) = frames(1)
        for index in count():
            time.sleep(every_s)
            now = time.perf_counter()
            image = np.roll(picture.image, index, axis=1)  # no two are the same for a network
            yield Captured(index=index, name=str(index), time_s=now, at=now, image=image)

    return Source(name="camera", frames=give(), fps=1 / every_s, length=None, live=True)


def test_a_burdened_machine_takes_the_smaller_size_and_comes_back(
    segmenters: list[Segmenter],
) -> None:
    engine = Burdened(segmenters[0].backend)
    segmenters[0].backend = engine
    said: list[str] = []
    events = Events(said.append)
    # Five frames a second leave a busy test machine ten times what these networks take.
    keeper = SizeKeeper(
        segmenters, rate=5, tell=events.tell, patience=Patience(watched_s=1.0, stay_s=1.0)
    )
    assert keeper.name == "96x128"
    used: list[int] = []
    until = time.monotonic() + 60
    with stream(keeper.choice, make_camera(0.1), pace=Pace(fps=5)) as results:
        for result in results:
            keeper.see(result)
            assert result.mask.shape == (48, 64)
            used.append(result.network)
            engine.pause_s = 0.6 if len(used) > 3 and events.counts["size"] == 0 else 0.0
            if (events.counts["size"] >= 2 and result.network == 0) or time.monotonic() > until:
                break
    assert used[0] == 0
    assert 1 in used
    assert used[-1] == 0
    assert "the input is 48x64 from now on: with 96x128, " in said[0]
    assert "the input is 96x128 from now on (before: 48x64)" in said[1]


def test_each_frame_has_the_mask_of_the_size_that_was_picked(segmenters: list[Segmenter]) -> None:
    """Frames that repeat, too: a mask of one size is not reused for the other."""
    picks = iter([0, 1, 0, 0, 1, 1, 1, 0])
    (one,) = frames(1)
    clip = (
        Captured(index=index, name=str(index), time_s=index / 10, at=one.at, image=one.image)
        for index in range(8)
    )
    choice = Choice(networks=segmenters, pick=lambda: next(picks))
    with stream(choice, Source(name="clip", frames=clip, fps=10, length=8)) as results:
        given = list(results)
    assert [result.network for result in given] == [0, 1, 0, 0, 1, 1, 1, 0]
    assert [result.reused for result in given] == [False, False, *[True] * 6]
    expected = [segmenter.segment(one.image).mask for segmenter in segmenters]
    assert not np.array_equal(*expected)
    for result in given:
        np.testing.assert_array_equal(result.mask, expected[result.network])


def test_a_run_on_a_pipe_chooses_among_the_sizes(sized_bundle: Bundle) -> None:
    """The command line, with a live source: half of its frames are skipped."""
    command = [sys.executable, "-m", "edgeseg", "run", str(sized_bundle.folder), "--source", "-"]
    given = ["--raw-size", "48x64", "--raw-format", "bgr24", "--fps", "5", "--json"]
    with subprocess.Popen([*command, *given], stdin=PIPE, stdout=PIPE, stderr=PIPE) as running:
        assert running.stdin is not None
        for captured in frames(12, pause_s=0.1):
            running.stdin.write(captured.image.tobytes())
            running.stdin.flush()
        out, err = running.communicate(timeout=120)
    assert running.returncode == 0, err
    assert b"the input is 96x128 at first" in err
    summary = json.loads(out)
    assert summary["skipped"] > 0
    assert summary["frames"] + summary["skipped"] + summary["dropped"] == 12


def test_a_file_opens_no_engine_of_a_smaller_size(
    edgeseg, sized_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object) -> None:
        raise AssertionError("an engine that no frame will see")

    monkeypatch.setattr("edgeseg.runtime.session.open_smaller", refuse)
    cv2.imwrite(str(tmp_path / "a.png"), next(frames(1)).image)
    outcome = edgeseg("run", sized_bundle.folder, "--source", tmp_path / "a.png", "--fps", 5)
    assert outcome.status == 0
    assert "the input is 96x128, the largest" in outcome.err


def test_a_file_takes_the_largest_size(edgeseg, sized_bundle: Bundle) -> None:
    args = ["--source", "demo", "--frames", 2]
    outcome = edgeseg("run", sized_bundle.folder, *args, "--fps", 5)
    assert outcome.status == 0
    assert "a file has no rate to hold: the input is 96x128, the largest" in outcome.err
    assert "the input is" not in edgeseg("run", sized_bundle.folder, *args).err
