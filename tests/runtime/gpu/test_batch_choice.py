"""When several frames go at once: what a device refuses, gets wrong or gains too little by."""

from __future__ import annotations

from pathlib import Path

import fake_tensorrt
import msgspec
import onnx
import pytest
from batches import FRAMES, add_batch, check, file, opened, scene
from fake_cuda import Device  # noqa: TC002  # as pytest reads it
from onnx import numpy_helper

from edgeseg.bundle.manifest import BatchInfo
from edgeseg.bundle.store import Bundle, open_bundle
from edgeseg.errors import BundleError, SpecError
from edgeseg.progress import Progress
from edgeseg.runtime import batch
from edgeseg.runtime.live.pipeline import stream
from edgeseg.runtime.proving.build import build
from edgeseg.runtime.segmenter import Segmenter

pytestmark = pytest.mark.usefixtures("share")


def test_too_few_sources_open_nothing(batched: Bundle, device: Device) -> None:
    with opened(batched, sources=FRAMES - 1) as (segmenter, said):
        assert (segmenter.batch, said) == (None, [])
    assert len(fake_tensorrt.STATE.builds) == 1


def test_a_device_that_gains_too_little_takes_frames_one_by_one(
    batched: Bundle, device: Device, share: dict[str, float]
) -> None:
    share["together"] = 0.84
    with opened(batched) as (segmenter, (line,)):
        assert segmenter.batch is None
    assert line == (
        "frames go one by one, not 3 at once: they take 84 % of their time one by one, and of 3 "
        "sources they may take 83 %; after edgeseg build it is tried again"
    )


def test_how_much_is_enough_depends_on_the_sources(
    batched: Bundle, device: Device, share: dict[str, float]
) -> None:
    """One by one, a picture is shown for the sources and two frames; in groups, for one more group
    than the sources fill.
    """
    found = [batch.find_most_share(FRAMES, sources) for sources in (3, 4, 5, 6, 7)]
    assert found == pytest.approx([5 / 6, 6 / 9, 7 / 9, 8 / 9, 9 / 12])
    share["together"] = 0.75
    for sources, enough in ((3, True), (4, False), (5, True)):
        with opened(batched, sources=sources) as (segmenter, _):
            assert (segmenter.batch is not None) == enough


def test_what_was_found_is_remembered_until_the_bundle_is_built(
    batched: Bundle, device: Device, share: dict[str, float]
) -> None:
    share["together"] = 0.9
    with opened(batched):
        built = len(fake_tensorrt.STATE.builds)
    share["together"] = 0.5
    with opened(batched) as (segmenter, (line,)):
        assert segmenter.batch is None
    assert "they take 90 %" in line
    build(batched)
    with opened(batched) as (segmenter, (line,)):
        assert segmenter.batch is not None
    assert "they take 50 %" in line
    share["together"] = 0.9
    with opened(batched) as (segmenter, _):
        assert segmenter.batch is not None
    assert len(fake_tensorrt.STATE.builds) == built  # plans are kept


def test_a_variant_that_ends_in_class_ids_has_none(jetson: Bundle, tmp_path: Path) -> None:
    """The graphs for several frames end in logits; and the first form's stands for no other."""
    graph = onnx.load(jetson.path(jetson.chosen.file))
    bundle = add_batch(jetson, tmp_path / "batched", graph)
    (first,) = bundle.manifest.variants
    change = msgspec.structs.replace
    tokens = change(first, name="tokens", batch=None)
    assert batch.find_batch(bundle, tokens) == first.batch
    for other in (
        change(tokens, output="class_map"),
        change(tokens, instead_of="fp16"),
        change(tokens, precision="int8"),
        change(tokens, recipe="another"),
    ):
        assert batch.find_batch(bundle, other) is None


def test_a_graph_for_other_frames_is_not_used(
    batched: Bundle, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A manifest that lies about it does not make the device write beyond its memory."""
    lie = BatchInfo(frames=2, file="batch.onnx")
    monkeypatch.setattr(batch, "find_batch", lambda _bundle, _variant: lie)
    with opened(batched) as (segmenter, (line,)):
        assert segmenter.batch is None
    assert "its input has" in line
    with pytest.raises(SpecError):
        BatchInfo(frames=1, file="batch.onnx")


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


def test_a_bundle_whose_further_graph_is_missing_is_not_opened(batched: Bundle) -> None:
    (batched.folder / "batch.onnx").unlink()
    with pytest.raises(BundleError, match=r"batch\.onnx"):
        open_bundle(batched.folder)
