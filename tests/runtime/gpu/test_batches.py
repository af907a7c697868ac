"""Frames of several sources at once: every mask is the host's, and a device that loses is told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import fake_tensorrt
import msgspec
import numpy as np
import onnx
import pytest
from fake_cuda import Device, FakeCuda
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from edgeseg.bundle.manifest import BatchInfo
from edgeseg.bundle.staging import seal_bundle
from edgeseg.bundle.store import Bundle, open_bundle
from edgeseg.demo import draw_scene
from edgeseg.errors import BundleError, DeviceLostError
from edgeseg.pixels import Bgr, count_untied, to_frame_mask, to_input
from edgeseg.progress import Progress
from edgeseg.quantize.targets.tensorrt.batch import to_batch
from edgeseg.runtime import batch
from edgeseg.runtime.drawing import Drawing
from edgeseg.runtime.gpu.batch import FrameBatch
from edgeseg.runtime.legend import Legend
from edgeseg.runtime.live.pipeline import stream
from edgeseg.runtime.overlay import Overlay
from edgeseg.runtime.result import Result
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.runtime.sources import Captured, Source

if TYPE_CHECKING:
    from outcome import Outcome

FRAMES = 3
LARGE, SMALL, ODD = (150, 200), (60, 80), (97, 131)


def add_batch(
    bundle: Bundle,
    folder: Path,
    graph: onnx.ModelProto,
    *,
    spoil: Callable[[onnx.ModelProto], onnx.ModelProto] = lambda model: model,
) -> Bundle:
    """A copy of a bundle, with a graph for several frames beside its variant."""
    shutil.copytree(bundle.folder, folder)
    (folder / "batch.onnx").write_bytes(spoil(to_batch(graph, FRAMES)).SerializeToString())
    manifest = bundle.manifest
    info = BatchInfo(frames=FRAMES, file="batch.onnx")
    variants = tuple(msgspec.structs.replace(one, batch=info) for one in manifest.variants)
    (folder / "manifest.json").unlink()
    (folder / "manifest.sha256").unlink()
    seal_bundle(folder, msgspec.structs.replace(manifest, variants=variants, files={}))
    return open_bundle(folder)


@pytest.fixture
def batched(jetson: Bundle, tmp_path: Path) -> Bundle:
    return add_batch(jetson, tmp_path / "batched", onnx.load(jetson.path(jetson.chosen.file)))


@pytest.fixture(autouse=True)
def share(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """What groups take, as a share of their frames one by one: half, if a test says nothing."""
    told = {"together": 0.5, "one by one": 1.0}

    def time_once(calls: Mapping[str, Callable[[], object]]) -> dict[str, np.ndarray]:
        for call in calls.values():
            call()
        return {name: np.array([told[name]]) for name in calls}

    monkeypatch.setattr(batch, "alternate", time_once)
    return told


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many frames each launch of several had."""
    found: list[int] = []
    launch = FrameBatch.launch

    def note(self, group):
        found.append(len(group))
        launch(self, group)

    monkeypatch.setattr(FrameBatch, "launch", note)
    return found


def scene(seed: int, size: tuple[int, int] = LARGE) -> Bgr:
    return draw_scene(seed, 0, height=size[0], width=size[1]).image


def file(images: list[Bgr]) -> Source:
    def give() -> Iterator[Captured]:
        for index, image in enumerate(images):
            yield Captured(index=index, name=str(index), time_s=index / 10, at=0.0, image=image)

    return Source(name="file", frames=give(), fps=10, length=len(images))


@contextmanager
def opened(bundle: Bundle, *, sources: int = FRAMES) -> Iterator[tuple[Segmenter, list[str]]]:
    said: list[str] = []
    listen = Progress(say=lambda line: None if line.startswith("building") else said.append(line))
    with Segmenter(bundle, progress=listen) as segmenter:
        with batch.use_batch(segmenter, sources, listen):
            yield segmenter, said
        assert segmenter.batch is None


def check(segmenter: Segmenter, results: Iterable[Result]) -> None:
    """Rounding differs between the graphs, so a mask may differ where two logits tie."""
    spec = segmenter.input
    for result in results:
        frame = result.captured.image
        output = segmenter.backend.infer(to_input(frame, spec))
        mask = to_frame_mask(output, spec, frame)
        assert count_untied(output, spec, mask, result.mask) == 0
        assert result.segmentation.device is not None
        assert result.segmentation.counts is not None
        assert result.segmentation.counts.sum() == result.mask.size


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
    assert said[-1].startswith("3 frames at once where as many wait: together they take 50 %")
    assert len(groups) > tried, "frames met"
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


def test_too_few_sources_open_nothing(batched: Bundle, device: Device) -> None:
    with opened(batched, sources=FRAMES - 1) as (segmenter, said):
        assert (segmenter.batch, said) == (None, [])
    assert len(fake_tensorrt.STATE.builds) == 1


def test_a_device_that_gains_too_little_takes_frames_one_by_one(
    batched: Bundle, device: Device, share: dict[str, float]
) -> None:
    """With three sources, five frames pass while a picture is shown, and so many are six alone."""
    share["together"] = 0.84
    with opened(batched) as (segmenter, (line,)):
        assert segmenter.batch is None
    assert line.startswith("frames go one by one, not 3 at once: together they take 84 %")
    share["together"] = 0.83
    with opened(batched) as (segmenter, _):
        assert segmenter.batch is not None


@pytest.mark.parametrize("knob", ["refused", "unknown"])
def test_a_graph_that_is_refused_is_one_line(batched: Bundle, device: Device, knob: str) -> None:
    with opened(batched, sources=1):
        pass  # the variant's own engine is built and kept
    getattr(fake_tensorrt.STATE, knob).append("Conv")
    with opened(batched) as (segmenter, (line,)):
        assert segmenter.batch is None
        with stream(segmenter, *[file([scene(i)]) for i in range(FRAMES)]) as results:
            check(segmenter, list(results))
    assert line.startswith("frames go one by one, not 3 at once: tensorrt 10.3.0 does not")


def test_a_graph_with_other_masks_is_not_used(
    jetson: Bundle, tmp_path: Path, device: Device
) -> None:
    graph = onnx.load(jetson.path(jetson.chosen.file))
    weights = {w.name: w for w in graph.graph.initializer}
    bias = next(w for name, w in weights.items() if "classifier" in name and len(w.dims) == 1)
    values = numpy_helper.to_array(bias).copy()
    values[0] += 1000
    bias.CopyFrom(numpy_helper.from_array(values, bias.name))
    with opened(add_batch(jetson, tmp_path / "wrong", graph)) as (segmenter, (line,)):
        assert segmenter.batch is None
    assert "not 3 at once: golden/frame_0.png agrees in" in line


def test_without_memory_for_it_frames_go_one_by_one(batched: Bundle, device: Device) -> None:
    said: list[str] = []
    with Segmenter(batched) as segmenter:
        device.memory = 0
        with batch.use_batch(segmenter, FRAMES, Progress(say=said.append)):
            assert segmenter.batch is None
        device.memory = 8 << 30
    assert "out of memory" in said[-1]


def spoil_black(model: onnx.ModelProto) -> onnx.ModelProto:
    """Give NaN for each frame of a batch that is black."""
    (image,), (output,) = model.graph.input, model.graph.output
    for node in model.graph.node:
        node.output[:] = ["right" if name == output.name else name for name in node.output]
    make = helper.make_node
    constants = {"axes": np.array([1, 2, 3], np.int64), "one": np.array(1, np.float32)}
    model.graph.initializer.extend(numpy_helper.from_array(v, n) for n, v in constants.items())
    model.graph.node.extend(
        [
            make("Cast", [image.name], ["pixels"], to=TensorProto.FLOAT),
            make("ReduceMean", ["pixels", "axes"], ["mean"], keepdims=1),
            make("Sub", ["mean", "one"], ["above"]),
            make("Sqrt", ["above"], ["root"]),
            make("Sub", ["root", "root"], ["spoiled"]),
            make("Add", ["right", "spoiled"], [output.name]),
        ]
    )
    return model


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


def test_a_lost_device_ends_the_run(batched: Bundle, device: Device) -> None:
    found = []
    with opened(batched) as (segmenter, _):
        device.calls_left = 80
        sources = [file([scene(10 * i + k) for k in range(9)]) for i in range(FRAMES)]
        with (
            stream(segmenter, *sources) as results,
            pytest.raises(DeviceLostError, match="CUDA error 719"),
        ):
            for result in results:
                found.append(result)  # noqa: PERF402  # what came before the loss
    assert len(found) < 27


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


def test_a_bundle_whose_further_graph_is_missing_is_not_opened(batched: Bundle) -> None:
    (batched.folder / "batch.onnx").unlink()
    with pytest.raises(BundleError, match=r"batch\.onnx"):
        open_bundle(batched.folder)
