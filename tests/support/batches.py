"""Bundles with a graph for several frames at once, and runs of several sources on a fake device."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgeseg.bundle.manifest import BatchInfo
from edgeseg.bundle.staging import seal_bundle
from edgeseg.bundle.store import Bundle, open_bundle
from edgeseg.demo import draw_scene
from edgeseg.pixels import Bgr, count_untied, to_frame_mask, to_input
from edgeseg.progress import Progress
from edgeseg.quantize.targets.tensorrt.batch import to_batch
from edgeseg.runtime.batch import use_batch
from edgeseg.runtime.result import Result
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.runtime.sources import Captured, Source

__all__ = [
    "FRAMES",
    "LARGE",
    "ODD",
    "SMALL",
    "add_batch",
    "check",
    "file",
    "opened",
    "scene",
    "spoil_black",
]

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
        with use_batch(segmenter, sources, listen):
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
