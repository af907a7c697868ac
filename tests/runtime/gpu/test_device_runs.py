"""Runs whose frames a device makes: what a run means stays, and every mask is the host's."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import fake_kernels
import numpy as np
import pytest
from failing import BLACK, WAYS, failing_bundle, failing_model
from fake_cuda import Device  # noqa: TC002  # as pytest reads it

from edgeseg.bundle.store import Bundle
from edgeseg.demo import draw_scene
from edgeseg.errors import DeviceLostError
from edgeseg.pixels import Bgr, ClassMap, count_ids, to_frame_mask, to_input
from edgeseg.progress import Progress
from edgeseg.runtime.drawing import Drawing
from edgeseg.runtime.finish import Finish
from edgeseg.runtime.gpu.lane import Lane
from edgeseg.runtime.legend import Legend
from edgeseg.runtime.live.pipeline import stream
from edgeseg.runtime.live.reuse import Reuse
from edgeseg.runtime.overlay import Overlay
from edgeseg.runtime.result import Result
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.runtime.sources import Captured, Source

FPS = 10
LARGE, SMALL, ODD = (150, 200), (60, 80), (97, 131)


def scene(seed: int, size: tuple[int, int] = LARGE) -> Bgr:
    return draw_scene(seed, 0, height=size[0], width=size[1]).image


def give(images: Iterable[Bgr]) -> Iterator[Captured]:
    for index, image in enumerate(images):
        yield Captured(index=index, name=str(index), time_s=index / FPS, at=0.0, image=image)


def file(images: Sequence[Bgr]) -> Source:
    return Source(name="file", frames=give(images), fps=FPS, length=len(images))


def segment_on_host(segmenter: Segmenter, frame: Bgr) -> ClassMap:
    output = segmenter.backend.infer(to_input(frame, segmenter.input))
    return to_frame_mask(output, segmenter.input, frame)


def listen(said: list[str]) -> Progress:
    """Keep what is said of the path, and not of the engine."""
    return Progress(say=lambda line: None if line.startswith("building") else said.append(line))


def check(segmenter: Segmenter, results: Iterable[Result], *, on_device: bool = True) -> None:
    for result in results:
        made = result.segmentation
        assert (made.device is not None) == (on_device and not result.reused)
        np.testing.assert_array_equal(
            result.mask, segment_on_host(segmenter, result.captured.image)
        )
        if on_device:
            counts = count_ids(result.mask)
            assert made.counts is not None
            np.testing.assert_array_equal(made.counts[: len(counts)], counts)
            assert made.counts.sum() == result.mask.size


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("refuses", [False, True])
def test_a_video_on_a_device(jetson: Bundle, device: Device, shared: bool, refuses: bool) -> None:
    device.shared, device.refuses_capture = shared, refuses
    said: list[str] = []
    images = [scene(seed) for seed in range(6)]
    with Segmenter(jetson, progress=listen(said)) as segmenter:
        before = device.launched_graphs
        with stream(segmenter, file(images)) as results:
            found = list(results)
        assert device.launched_graphs - before == (0 if refuses else 5)  # all but the first
        check(segmenter, found)
    assert [result.captured.index for result in found] == list(range(6))
    assert len(said) == refuses
    assert all("no CUDA graph: cudaStreamEndCapture failed" in line for line in said)


def test_sources_of_several_sizes_in_turns(jetson: Bundle, device: Device) -> None:
    sizes = (LARGE, SMALL, ODD, LARGE)
    sources = [file([scene(10 * i + k, size) for k in range(4)]) for i, size in enumerate(sizes)]
    with Segmenter(jetson) as segmenter:
        before = device.allocations
        with stream(segmenter, *sources) as results:
            found = list(results)
        check(segmenter, found)
        after = device.allocations - before
        with stream(
            segmenter, *[file([scene(i, size)]) for i, size in enumerate(sizes)]
        ) as results:
            assert len(list(results)) == 4
        assert device.allocations - before == 2 * after  # however many frames there are
    assert len(found) == 16


def test_the_size_changes_midway(jetson: Bundle, device: Device) -> None:
    sizes = [LARGE, LARGE, SMALL, SMALL, SMALL, ODD, LARGE, SMALL, LARGE, LARGE]
    images = [scene(seed, size) for seed, size in enumerate(sizes)]
    with Segmenter(jetson) as segmenter, stream(segmenter, file(images)) as results:
        found = list(results)
        check(segmenter, found)
        assert len(found) == len(images)


def test_a_camera_gives_its_newest_frames(jetson: Bundle, device: Device) -> None:
    """The engine is far slower than the source, whose other frames are dropped and counted."""
    images = [scene(seed) for seed in range(3)]

    def give_live() -> Iterator[Captured]:
        for index in range(120):
            time.sleep(0.002)
            at = time.perf_counter()
            image = images[index % len(images)]
            yield Captured(index=index, name=str(index), time_s=at, at=at, image=image)

    camera = Source(name="camera", frames=give_live(), fps=500, length=None, live=True)
    with Segmenter(jetson) as segmenter:
        with stream(segmenter, camera) as results:
            found = list(results)
        check(segmenter, found[:4])
        indices = [result.captured.index for result in found]
        assert indices == sorted(set(indices))
        assert len(found) + results.dropped == 120
        assert results.dropped > 0


def test_a_frame_that_comes_again_is_not_computed(jetson: Bundle, device: Device) -> None:
    first, second = scene(1), scene(2)
    shown = [first, first.copy(), second, second.copy(), second.copy(), first, scene(1, SMALL)]
    with Segmenter(jetson) as segmenter:
        other = file([scene(3), scene(3), scene(4), scene(4)])
        with stream(segmenter, file(shown), other) as results:
            found = list(results)
        check(segmenter, found)
    reused = [[r.reused for r in found if r.feed == feed] for feed in (0, 1)]
    assert reused[0] == [False, True, False, True, True, False, False]
    assert reused[1] == [False, True, False, True]
    masks = [result.mask for result in found]
    assert not any(np.shares_memory(a, b) for i, a in enumerate(masks) for b in masks[:i])


def test_two_frames_are_under_way(jetson: Bundle, device: Device) -> None:
    images = [scene(seed) for seed in range(5)]
    with Segmenter(jetson) as segmenter:
        assert segmenter.path is not None
        expected = [segment_on_host(segmenter, image) for image in images]
        lane = Lane(segmenter.path)
        before = lane.launch(images[0])
        for image, mask in zip(images[1:], expected, strict=False):
            now = lane.launch(image)  # while the frame before has not run at all
            assert before is not None
            np.testing.assert_array_equal(before.take().mask, mask)
            before = now
        lane.close()


def test_overlays_are_drawn_where_an_output_asks(jetson: Bundle, device: Device) -> None:
    legend = Legend.of(jetson.manifest.labels)
    images = [scene(seed) for seed in range(3)]
    with Segmenter(jetson) as segmenter:
        sources = (file(images), file(images))
        with stream(segmenter, *sources, drawings=[Drawing(legend=legend), None]) as results:
            found = list(results)
        check(segmenter, found)
    overlay = Overlay(legend)
    for result in found:
        drawn = result.segmentation.overlay
        assert (drawn is not None) == (result.feed == 0)
        expected = Overlay(legend).draw(result.captured.image, result.mask)
        np.testing.assert_array_equal(overlay.show(result), expected)


def test_chosen_classes_are_renamed_on_the_host(jetson: Bundle, device: Device) -> None:
    classes = len(jetson.manifest.labels.classes)
    finish = Finish(becomes=tuple(0 if id_ < 5 else classes for id_ in range(classes)))
    image = scene(1)
    with Segmenter(jetson) as segmenter:
        with stream(segmenter, file([image]), finish=finish) as results:
            (result,) = results
        expected = finish.rename(segment_on_host(segmenter, image))
    assert result.segmentation.device is not None
    assert result.segmentation.counts is None
    np.testing.assert_array_equal(result.mask, expected)


@pytest.mark.parametrize(
    ("finish", "reuse"),
    [
        (Finish(scores=True), Reuse()),
        (Finish(least=(0.4,) * 11), Reuse()),
        (Finish(tile=True), Reuse()),
        (Finish(), Reuse(factor=1.0)),
    ],
)
def test_what_needs_logits_is_made_on_the_host(
    jetson: Bundle, device: Device, finish: Finish, reuse: Reuse
) -> None:
    with Segmenter(jetson) as segmenter:
        with stream(segmenter, file([scene(1)]), finish=finish, reuse=reuse) as results:
            (result,) = results
        assert result.segmentation.device is None


@pytest.mark.parametrize("shared", [False, True])
def test_a_lost_device_ends_the_run_at_once(jetson: Bundle, device: Device, shared: bool) -> None:
    device.shared = shared
    found = []
    with Segmenter(jetson) as segmenter:
        device.calls_left = 60
        with stream(segmenter, file([scene(seed) for seed in range(12)])) as results:
            with pytest.raises(
                DeviceLostError, match="lost to this process.*CUDA error 719"
            ) as told:
                for result in results:
                    found.append(result)  # noqa: PERF402  # what came before the loss
            assert results.failed == 0
    assert 0 < len(found) < 12
    assert "\n" not in str(told.value)


def test_without_nvrtc_the_host_does_it(
    jetson: Bundle, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_kernels.install(monkeypatch, None)
    said: list[str] = []
    with Segmenter(jetson, progress=listen(said)) as segmenter:
        assert segmenter.path is None
        with stream(segmenter, file([scene(1), scene(2)])) as results:
            check(segmenter, list(results), on_device=False)
    assert said == ["the CPU prepares frames and makes masks: no NVRTC was found (libnvrtc)"]


def test_without_memory_for_a_size_the_host_does_it(jetson: Bundle, device: Device) -> None:
    said: list[str] = []
    small, large = scene(1), scene(2, (400, 600))
    with Segmenter(jetson, progress=listen(said)) as segmenter:
        device.memory = sum(map(ctypes.sizeof, device.blocks.values())) + 4 * small.nbytes
        device.memory += large.nbytes
        with stream(segmenter, file([small, large, large[:, ::-1], small, scene(3)])) as results:
            found = list(results)
        on_device = [result.segmentation.device is not None for result in found]
        assert on_device == [True, False, False, True, True]
        for result in found:
            mask = segment_on_host(segmenter, result.captured.image)
            np.testing.assert_array_equal(result.mask, mask)
    (line,) = said
    assert line.startswith("frames of 400x600 are prepared by the CPU: cudaMalloc failed: out of")


@pytest.mark.parametrize("way", ["nan", "raises"])
def test_an_unusable_output_is_one_failed_frame(
    seeded_bundle: Bundle, tmp_path: Path, device: Device, way: str
) -> None:
    device.refuses_capture = True  # a graph of the fake has no way to refuse
    model = failing_model(seeded_bundle.path("model.onnx"), way, below=BLACK)
    bundle = failing_bundle(seeded_bundle, tmp_path / "b", {"fp16": model}, target="jetson")
    black = np.zeros((*LARGE, 3), np.uint8)
    images = [scene(1), black, black, scene(2), black, scene(2, SMALL), scene(3), scene(4)]
    with Segmenter(bundle) as segmenter:
        with stream(segmenter, file(images)) as results:
            found = list(results)
        check(segmenter, found)
        assert results.failed == 3
        assert results.last_failure is not None
        assert WAYS[way] in results.last_failure
    assert [result.captured.index for result in found] == [0, 3, 5, 6, 7]


def test_a_path_that_gives_other_masks_is_not_taken(
    jetson: Bundle, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch = fake_kernels.FakeKernels.launch

    def forget(self, one, addresses, stream):  # a kernel that does nothing
        if one.kernel != "resize_down":
            launch(self, one, addresses, stream)

    monkeypatch.setattr(fake_kernels.FakeKernels, "launch", forget)
    said: list[str] = []
    with Segmenter(jetson, progress=listen(said)) as segmenter:
        assert segmenter.path is None
        check(segmenter, [], on_device=False)
        found = segmenter.segment(scene(1))
        np.testing.assert_array_equal(found.mask, segment_on_host(segmenter, scene(1)))
    assert said[0].startswith("the CPU prepares frames and makes masks: the GPU's masks differ")
    assert "golden/frame_0.png in" in said[0]
