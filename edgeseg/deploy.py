"""Checkpoint to bundle: the one place that joins the rooms."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeseg.bundle import Bundle, new_bundle, open_bundle, seal_bundle
from edgeseg.costs import costs
from edgeseg.datasets import Dataset
from edgeseg.demo import scene
from edgeseg.demo.splits import DEMO_SPLITS
from edgeseg.errors import CheckpointError
from edgeseg.images import write_mask
from edgeseg.labels import Labels
from edgeseg.manifest import (
    CheckpointInfo,
    Chosen,
    Golden,
    Manifest,
    ModelInfo,
    Parity,
    Tensor,
    VariantInfo,
)
from edgeseg.metrics import pixel_agreement
from edgeseg.pixels import Bgr, to_input
from edgeseg.runtime.segmenter import segment_frame
from edgeseg.spec import feature_sizes

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgeseg.export.checkpoint import Checkpoint
    from edgeseg.runtime.backend import Backend

__all__ = ["ExportRequest", "export_bundle"]

GOLDEN_FRAMES: Final = 2
PARITY_FRAMES: Final = 4

# Camera sizes (height, width), so that golden frames exercise resizing both ways.
_DEMO_SIZES: Final = ((480, 640), (720, 1280))

_ARTIFACT: Final = "model.onnx"
_FP32: Final = "fp32"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What to export, and to where: {variant}-{target}-{precision} unless `folder` says.

    `half_weights` stores the weights as FP16, cast to FP32 on load: half the bytes.
    """

    weights: str
    target: str
    folder: Path | None = None
    variant: str | None = None
    size: tuple[int, int] | None = None
    labels: Labels | None = None
    dataset: Dataset | None = None
    half_weights: bool = False


def export_bundle(request: ExportRequest, *, tell: Callable[[str], None]) -> Bundle:
    """Export a checkpoint and prove the result; `tell` receives a line for each step.

    Raises:
        CheckpointError: the weights cannot be used, or are of another variant than asked for.
        ExportError: the graph does not compute what the checkpoint computes.
        BundleError: the folder cannot be written.
    """
    from edgeseg.export.checkpoint import read_checkpoint

    checkpoint = read_checkpoint(request.weights, size=request.size, labels=request.labels)
    from edgeseg.export.rewrites import rewrite
    from edgeseg.export.storage import with_half_weights
    from edgeseg.export.to_onnx import to_onnx

    variant = checkpoint.spec.variant.name
    if request.variant not in {None, variant}:
        raise CheckpointError(
            f"{request.weights} is a SegFormer-{variant.upper()}, not {request.variant}; "
            f"leave --model out, or give other weights"
        )
    tell(_describe(checkpoint))
    spec = checkpoint.input
    deployed = rewrite(checkpoint.model, mean=spec.mean, std=spec.std)
    graph = to_onnx(deployed, height=spec.height, width=spec.width)
    if request.half_weights:
        graph = with_half_weights(graph)
    tell(f"graph written: {len(graph.graph.node)} nodes, input {spec.height}x{spec.width}")
    folder = request.folder or Path(f"{variant}-{request.target}-{_FP32}")
    with new_bundle(folder) as staging:
        _fill(staging, folder.resolve().name, request, checkpoint, graph, tell)
    return open_bundle(folder)


def _fill(
    staging: Path,
    name: str,
    request: ExportRequest,
    checkpoint: Checkpoint,
    graph: ModelProto,
    tell: Callable[[str], None],
) -> None:
    """Write artifact, parity and golden frames, then seal."""
    from edgeseg.export.reference import check_parity
    from edgeseg.runtime.backends.ort import OrtBackend

    artifact = staging / _ARTIFACT
    artifact.write_bytes(graph.SerializeToString())
    # The folder's name only: a bundle travels, and paths of one machine say nothing on another.
    image_source = "demo scenes" if request.dataset is None else request.dataset.title
    parity = check_parity(
        artifact,
        checkpoint.model,
        checkpoint.input,
        (
            to_input(frame, checkpoint.input)
            for frame in islice(_frames(request.dataset), PARITY_FRAMES)
        ),
        image_source=image_source,
    )
    tell(
        f"parity with PyTorch: logits differ by at most {parity.max_abs_diff:.1e} "
        f"on {parity.images} images ({image_source})"
    )
    backend = OrtBackend(artifact)
    frames = list(islice(_frames(request.dataset), GOLDEN_FRAMES))
    golden = tuple(
        _write_golden(staging, index, frame, checkpoint, backend)
        for index, frame in enumerate(frames)
    )
    backend.close()
    seal_bundle(staging, _manifest(name, request, checkpoint, graph, golden, parity))


def _write_golden(
    staging: Path, index: int, frame: Bgr, checkpoint: Checkpoint, backend: Backend
) -> Golden:
    """Store a frame with the framework's own mask, and how well the artifact agrees."""
    from PIL import Image

    from edgeseg.export.reference import reference_mask

    spec = checkpoint.input
    folder = staging / "golden"
    folder.mkdir(exist_ok=True)
    Image.fromarray(frame[:, :, ::-1].copy()).save(folder / f"frame_{index}.png")
    expected = reference_mask(checkpoint.model, spec, frame)
    write_mask(expected, folder / f"mask_{index}.png")
    mask = segment_frame(backend, spec, frame).mask
    return Golden(
        frame=f"golden/frame_{index}.png",
        mask=f"golden/mask_{index}.png",
        agreement={_FP32: pixel_agreement(expected, mask)},
    )


def _manifest(
    name: str,
    request: ExportRequest,
    checkpoint: Checkpoint,
    graph: ModelProto,
    golden: Sequence[Golden],
    parity: Parity,
) -> Manifest:
    spec, size = checkpoint.spec, checkpoint.input
    count = costs(spec, height=size.height, width=size.width)
    finest = feature_sizes(size.height, size.width)[0]
    (graph_input,), (graph_output,) = graph.graph.input, graph.graph.output
    recipe = "float, weights stored as FP16" if request.half_weights else "float"
    return Manifest(
        name=name,
        target=request.target,
        model=ModelInfo(
            variant=spec.variant.name,
            head=spec.head.value,
            decoder_width=spec.decoder_width,
            params=count.params,
            macs=count.macs,
        ),
        labels=checkpoint.labels,
        input=size,
        input_tensor=Tensor(
            name=graph_input.name,
            dtype="uint8",
            shape=(1, size.height, size.width, 3),
            layout="NHWC, channels blue, green, red",
        ),
        output_tensor=Tensor(
            name=graph_output.name,
            dtype="float32",
            shape=(1, spec.classes, *finest),
            layout="NCHW",
        ),
        variants=(VariantInfo(name=_FP32, precision="fp32", file=_ARTIFACT, recipe=recipe),),
        chosen=Chosen(variant=_FP32, reason="the only variant"),
        checkpoint=CheckpointInfo(
            source=checkpoint.source,
            layout=checkpoint.layout,
            sha256=checkpoint.sha256,
            license=checkpoint.license,
        ),
        parity=parity,
        golden=tuple(golden),
        tools=_tools(),
    )


def _frames(dataset: Dataset | None) -> Iterator[Bgr]:
    """Images of the data set, spread over it; else drawn scenes."""
    if dataset is not None:
        for item in dataset.spread(PARITY_FRAMES).items:
            yield item.image()
        return
    for index, (seed, frame) in enumerate(DEMO_SPLITS["val"].frames(PARITY_FRAMES)):
        height, width = _DEMO_SIZES[index % len(_DEMO_SIZES)]
        yield scene(seed, frame, height=height, width=width).image


def _describe(checkpoint: Checkpoint) -> str:
    return (
        f"SegFormer-{checkpoint.spec.variant.name.upper()}, {checkpoint.spec.classes} classes "
        f"(names from {checkpoint.labels_source}), {checkpoint.layout} layout, "
        f"licence of the weights: {checkpoint.license}"
    )


def _tools() -> dict[str, str]:
    packages = ("edgeseg", "numpy", "onnx", "onnxruntime", "pillow", "torch")
    return {
        "python": platform.python_version(),
        **{package: metadata.version(package) for package in packages},
    }
