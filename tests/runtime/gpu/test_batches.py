"""Frames of several sources at once: every mask is the host's, and what fails is counted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import fake_tensorrt
import numpy as np
import onnx
import pytest
from batches import (
    FRAMES,
    LARGE,
    ODD,
    SMALL,
    add_batch,
    check,
    file,
    opened,
    scene,
    spoil_black,
)
from fake_cuda import Device, FakeCuda
from PIL import Image

from edgeseg.bundle.store import Bundle
from edgeseg.errors import DeviceLostError
from edgeseg.runtime.drawing import Drawing
from edgeseg.runtime.gpu.batch import FrameBatch
from edgeseg.runtime.legend import Legend
from edgeseg.runtime.live.network import Choice
from edgeseg.runtime.live.pipeline import stream
from edgeseg.runtime.overlay import Overlay
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.runtime.sources import Captured, Source

if TYPE_CHECKING:
    from outcome import Outcome

pytestmark = pytest.mark.usefixtures("share")


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("refuses", [False, True])
def test_every_frame_of_every_source_has_its_own_mask(
    batched: Bundle, device: Device, groups: list[int], shared: bool, refuses: bool
) -> None:
    device.shared, device.refuses_capture = shared, refuses
    sizes = (LARGE, SMALL, ODD)
    sources = [file([scene(10 * i + k, size) for k in range(6)]) for i, size in enumerate(sizes)]
    with opened(batched) as (segmenter, said):
        tried = len(groups)
        with stream(segmenter, *sources) as results:
            found = list(results)
        check(segmenter, found)
    assert said[-1].startswith("3 frames at once where as many wait: they take 50 % of their")
    assert len(groups) > tried, "frames met"
    # Between the events of an engine, two calls of a frame alone and four of a group take a quarter
    # of a millisecond each. A frame takes its third of the group's.
    times = [one.segmentation.device for one in found]
    assert {round(one.engine_ms, 3) for one in times if one is not None} <= {0.5, 0.333}
    assert set(groups) == {FRAMES}
    for feed in range(FRAMES):
        indices = [result.captured.index for result in found if result.feed == feed]
        assert indices == list(range(6))


def test_more_sources_than_the_graph_takes(
    batched: Bundle, device: Device, groups: list[int]
) -> None:
    sources = [file([scene(10 * i + k) for k in range(4)]) for i in range(5)]
    with opened(batched, sources=5) as (segmenter, _):
        with stream(segmenter, *sources) as results:
            found = list(results)
        check(segmenter, found)
    assert (len(found), set(groups)) == (20, {FRAMES})


def test_a_frame_that_comes_again_is_not_computed(batched: Bundle, device: Device) -> None:
    still = [scene(1), scene(1), scene(1)]
    with opened(batched) as (segmenter, _):
        sources = [file(still), *(file([scene(5 * i + k) for k in range(3)]) for i in (2, 3))]
        with stream(segmenter, *sources) as results:
            found = list(results)
    reused = [[r.reused for r in found if r.feed == feed] for feed in range(FRAMES)]
    assert reused == [[False, True, True], [False] * 3, [False] * 3]


def test_live_sources_give_their_newest_frames(
    batched: Bundle, device: Device, groups: list[int]
) -> None:
    def camera(seed: int) -> Source:
        images = [scene(seed + k) for k in range(3)]

        def give() -> Iterator[Captured]:
            for index in range(90):
                time.sleep(0.003)
                at = time.perf_counter()
                image = images[index % 3].copy()
                image[0, 0] = index  # no two frames are the same
                yield Captured(index=index, name=str(index), time_s=at, at=at, image=image)

        return Source(name=f"camera {seed}", frames=give(), fps=300, length=None, live=True)

    with opened(batched) as (segmenter, _):
        tried = len(groups)
        with stream(segmenter, *map(camera, (0, 10, 20))) as results:
            found = list(results)
        check(segmenter, found[:9])
    assert len(groups) > tried
    for feed in range(FRAMES):
        indices = [result.captured.index for result in found if result.feed == feed]
        assert indices == sorted(set(indices))
        assert len(indices) + results.feeds[feed].dropped == 90


def test_each_size_of_the_input_has_its_own_graph(
    jetson: Bundle, batched: Bundle, device: Device, groups: list[int]
) -> None:
    """While a network without one is picked, frames go one by one."""
    with opened(batched) as (segmenter, _), Segmenter(jetson) as smaller:
        sources = [file([scene(10 * i + k) for k in range(5)]) for i in range(FRAMES)]
        tried = len(groups)
        choice = Choice(networks=[segmenter, smaller], pick=lambda: 1)
        with stream(choice, *sources) as results:
            found = list(results)
        assert len(groups) == tried
        assert {result.network for result in found} == {1}
        check(segmenter, found)


def test_a_source_without_memory_goes_the_hosts_way(batched: Bundle, device: Device) -> None:
    with opened(batched) as (segmenter, said):
        held = sum(block._length_ * 1 for block in device.blocks.values())
        device.memory = held + 6 * scene(0).nbytes * FRAMES
        large = file([scene(90 + k, (600, 900)) for k in range(3)])
        small = [file([scene(10 * i + k, SMALL) for k in range(3)]) for i in (1, 2)]
        with stream(segmenter, large, *small) as results:
            found = list(results)
        assert len(found) == 9
        assert results.failed == 0
        on_device = {result.feed for result in found if result.segmentation.device is not None}
        assert on_device == {1, 2}
        refused = [line for line in said if "are prepared by the CPU" in line]
        assert len(refused) == 1, refused


def test_overlays_are_those_of_each_source(batched: Bundle, device: Device) -> None:
    legend = Legend.of(batched.manifest.labels)
    with opened(batched) as (segmenter, _):
        drawing = Drawing(legend=legend)
        sources = [file([scene(7 * i + k, SMALL) for k in range(3)]) for i in range(FRAMES)]
        with stream(segmenter, *sources, drawings=[drawing, None, drawing]) as results:
            found = list(results)
    for result in found:
        drawn = result.segmentation.overlay
        assert (drawn is not None) == (result.feed != 1)
        if drawn is not None:
            expected = Overlay(legend).draw(result.captured.image, result.mask)
            np.testing.assert_array_equal(drawn, expected)


def test_an_unusable_output_is_one_frames(
    jetson: Bundle, tmp_path: Path, device: Device, groups: list[int]
) -> None:
    graph = onnx.load(jetson.path(jetson.chosen.file))
    bundle = add_batch(jetson, tmp_path / "failing", graph, spoil=spoil_black)
    black = np.zeros((*LARGE, 3), np.uint8)
    with opened(bundle) as (segmenter, _):
        tried = len(groups)
        sources = [file([scene(10 * i + k) for k in range(9)]) for i in (1, 2)]
        blacks = file([black if k % 2 else scene(k) for k in range(9)])
        with stream(segmenter, blacks, *sources) as results:
            found = list(results)
            assert 0 < results.failed <= 4  # alone, a black frame is as good as any
            assert results.last_failure is not None
            assert "gave logits that are not finite" in results.last_failure
            assert results.feeds[0].failed == results.failed
    assert (len(groups) > tried, len(found)) == (True, 27 - results.failed)


def test_an_engine_that_fails_costs_its_group(
    batched: Bundle, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch = FrameBatch.launch

    def fail_once(self, group):
        monkeypatch.setattr(FrameBatch, "launch", launch)
        fake_tensorrt.STATE.fails = True
        try:
            launch(self, group)
        finally:
            fake_tensorrt.STATE.fails = False

    with opened(batched) as (segmenter, _):
        device.refuses_capture = True  # a graph of the fake has no way to refuse
        assert segmenter.batch is not None
        segmenter.batch.close()  # the graph of the trial
        monkeypatch.setattr(FrameBatch, "launch", fail_once)
        sources = [file([scene(10 * i + k) for k in range(6)]) for i in range(FRAMES)]
        with stream(segmenter, *sources) as results:
            found = list(results)
        check(segmenter, found)
        assert [feed.failed for feed in results.feeds] == [1] * FRAMES
    assert len(found) == 15


def test_a_lost_device_ends_the_run(batched: Bundle, device: Device, groups: list[int]) -> None:
    found = []
    with opened(batched) as (segmenter, _):
        tried = len(groups)
        device.calls_left = 200
        sources = [file([scene(10 * i + k) for k in range(9)]) for i in range(FRAMES)]
        with (
            stream(segmenter, *sources) as results,
            pytest.raises(DeviceLostError, match="CUDA error 719"),
        ):
            for result in results:
                found.append(result)  # noqa: PERF402  # what came before the loss
    assert 0 < len(found) < 27
    assert len(groups) > tried


def test_a_run_of_several_sources_uses_it(
    batched: Bundle, device: Device, groups: list[int], edgeseg: Callable[..., Outcome],
    tmp_path: Path,
) -> None:  # fmt: skip
    for source in range(FRAMES):
        folder = tmp_path / "given" / f"s{source}"
        folder.mkdir(parents=True)
        for seed in range(5):
            Image.fromarray(scene(10 * source + seed)).save(folder / f"{seed}.png")
    done = edgeseg(
        "run", batched.folder, "--jsonl", "lines.jsonl",
        *(word for source in range(FRAMES) for word in ("--source", f"given/s{source}")),
    )  # fmt: skip
    assert done.status == 0, done.err
    assert groups
    assert "3 frames at once where as many wait" in done.err
    for source in range(FRAMES):
        log = tmp_path / f"s{source}" / "lines.jsonl"
        assert [json.loads(line)["index"] for line in log.read_text().splitlines()] == [*range(5)]
    assert FakeCuda.held == 0
