"""What goes into a bundle beside the graph: variants under their names, golden frames, manifest."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgeseg.bundle.manifest import (
    CheckpointInfo,
    Chosen,
    Golden,
    Manifest,
    ModelInfo,
    Parity,
    Tensor,
    VariantInfo,
)
from edgeseg.deploy.select import Variants
from edgeseg.images import write_mask
from edgeseg.machine.cpu import describe_machine
from edgeseg.machine.packages import find_version
from edgeseg.pixels import Bgr, ClassMap
from edgeseg.quantize.search import Trial
from edgeseg.segformer.arch import compute_logits_shape
from edgeseg.segformer.macs import count_costs
from edgeseg.targets import list_packages

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgeseg.export.checkpoint import Checkpoint

__all__ = ["make_manifest", "ship", "write_expected"]


def ship(staging: Path, artifact: Path, trial: Trial, *, suffixes: Sequence[str]) -> VariantInfo:
    """Put a variant's files into the staging folder, under a name that says what it is.

    `suffixes` are the endings of the target's files.
    """
    candidate = trial.candidate
    casts = "_casts" if candidate.instead_of is not None else ""
    file_name = f"{candidate.precision}{casts}{'' if candidate.output == 'logits' else '_map'}"
    path = artifact
    if candidate.path != artifact:
        path = staging / f"{file_name}{candidate.path.suffix}"
        for suffix in suffixes:
            part = candidate.path.with_suffix(suffix)
            if part.exists():
                shutil.copyfile(part, path.with_suffix(suffix))
    return VariantInfo(
        name=candidate.name,
        precision=candidate.precision,
        file=path.name,
        recipe=candidate.recipe.name,
        compute=candidate.compute,
        output=candidate.output,
        instead_of=candidate.instead_of,
        int8_share=trial.int8_share,
        search=trial.search,
        gate=trial.gate,
        latency_ms=trial.latency_ms,
    )


def write_expected(
    staging: Path, frames: Sequence[Bgr], checkpoint: Checkpoint
) -> tuple[ClassMap, ...]:
    """Write the golden frames and the framework's own masks of them, and give the masks."""
    return tuple(_write_expected(staging, i, frame, checkpoint) for i, frame in enumerate(frames))


def _write_expected(staging: Path, index: int, frame: Bgr, checkpoint: Checkpoint) -> ClassMap:
    from PIL import Image

    from edgeseg.export.reference import reference_mask

    folder = staging / "golden"
    folder.mkdir(exist_ok=True)
    Image.fromarray(frame[:, :, ::-1].copy()).save(folder / f"frame_{index}.png")
    expected = reference_mask(checkpoint.model, checkpoint.input, frame)
    write_mask(expected, folder / f"mask_{index}.png")
    return expected


def make_manifest(
    name: str,
    target: str,
    checkpoint: Checkpoint,
    graph: ModelProto,
    parity: Parity,
    found: Variants,
    variants: tuple[VariantInfo, ...],
    golden: tuple[Golden, ...],
) -> Manifest:
    """Everything that is known, as the bundle says it."""
    spec, size = checkpoint.spec, checkpoint.input
    count = count_costs(spec, height=size.height, width=size.width)
    (graph_input,), (graph_output,) = graph.graph.input, graph.graph.output
    return Manifest(
        name=name,
        target=target,
        model=ModelInfo(
            variant=spec.variant.name,
            head=spec.head.value,
            decoder_width=spec.decoder_width,
            params=count.params,
            macs=count.macs,
            heads=spec.heads,
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
            shape=compute_logits_shape(spec.classes, size),
            layout="NCHW",
        ),
        checkpoint=CheckpointInfo(
            source=checkpoint.source,
            layout=checkpoint.layout,
            sha256=checkpoint.sha256,
            license=checkpoint.license,
            reduce_labels=checkpoint.reduce_labels,
            channel_order=checkpoint.channel_order,
            input_sources=dict(checkpoint.input_sources),
        ),
        parity=parity,
        variants=variants,
        chosen=Chosen(variant=found.chosen.candidate.name, reason=found.reason),
        calibration=found.calibration,
        evaluation=found.evaluation,
        machine=describe_machine(),
        sensitivity=found.sensitivity,
        golden=golden,
        tools=_tools(),
    )


def _tools() -> dict[str, str]:
    names = ("edgeseg", "numpy", "onnx", "pillow", "torch", *list_packages())
    found = {name: version for name in names if (version := find_version(name)) is not None}
    return {"python": platform.python_version(), **found}
