"""What goes into a bundle beside the graph: variants under their names, golden frames, manifest."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgeseg.choice import Variants
from edgeseg.costs import costs
from edgeseg.errors import GateMissedError
from edgeseg.gates import Limits, judge_accuracy
from edgeseg.images import write_mask
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
from edgeseg.packages import installed
from edgeseg.pixels import Bgr, ClassMap
from edgeseg.quantize.emulation import open_to_prove
from edgeseg.quantize.meter import Meter
from edgeseg.quantize.search import Trial
from edgeseg.runtime.machine import this_machine
from edgeseg.runtime.segmenter import segment_frame
from edgeseg.spec import feature_sizes

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgeseg.export.checkpoint import Checkpoint

__all__ = ["make_manifest", "ship", "write_golden"]


def ship(staging: Path, artifact: Path, trial: Trial) -> VariantInfo:
    """Put a variant's files into the staging folder, under a name that says what it is."""
    candidate = trial.candidate
    casts = "_casts" if candidate.instead_of is not None else ""
    file_name = f"{candidate.precision}{casts}{'' if candidate.output == 'logits' else '_map'}"
    path = artifact
    if candidate.path != artifact:
        path = staging / f"{file_name}{candidate.path.suffix}"
        for part in (candidate.path, candidate.path.with_suffix(".bin")):
            if part.exists():
                shutil.copyfile(part, path.with_suffix(part.suffix))
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


def confirmed(
    staging: Path,
    target: str,
    variants: Sequence[VariantInfo],
    meter: Meter,
    limits: Limits,
    *,
    step: Callable[[], None],
) -> tuple[VariantInfo, ...]:
    """Each file as it ships, measured once more on the images that decide: these figures count.

    A further form of a variant that passed is left out where it misses.

    Raises:
        GateMissedError: a file does not hold what the search found.
    """
    found = [_confirmed(staging, target, v, meter, limits, step) for v in variants]
    return tuple(variant for variant in found if variant is not None)


def _confirmed(
    staging: Path,
    target: str,
    variant: VariantInfo,
    meter: Meter,
    limits: Limits,
    step: Callable[[], None],
) -> VariantInfo | None:
    path = staging / variant.file
    with closing(open_to_prove(target, path, variant.compute)) as backend:
        measured = meter.measure(backend, advance=step)
    missed = [gate for gate in judge_accuracy(measured, limits) if not gate.passed]
    if missed and variant.search is None:
        path.unlink()
        return None
    if missed:
        raise GateMissedError(
            f"{variant.name} passed in the search, but the file to ship does not: "
            f"{', '.join(f'{g.name} {g.value:.3f} (limit {g.limit:.3f})' for g in missed)}; "
            f"export again, and if it stays so, report a bug"
        )
    return msgspec.structs.replace(variant, gate=measured)


def write_golden(
    staging: Path,
    target: str,
    frames: Sequence[Bgr],
    checkpoint: Checkpoint,
    variants: Sequence[VariantInfo],
) -> tuple[Golden, ...]:
    """Frames, the framework's own masks, and how well each variant's file, as it ships, agrees."""
    expected = [_write_expected(staging, i, frame, checkpoint) for i, frame in enumerate(frames)]
    agreement: list[dict[str, float]] = [{} for _ in frames]
    for variant in variants:
        path = staging / variant.file
        with closing(open_to_prove(target, path, variant.compute)) as backend:
            for frame, mask, found in zip(frames, expected, agreement, strict=True):
                own = segment_frame(backend, checkpoint.input, frame).mask
                found[variant.name] = pixel_agreement(mask, own)
    return tuple(
        Golden(frame=f"golden/frame_{i}.png", mask=f"golden/mask_{i}.png", agreement=found)
        for i, found in enumerate(agreement)
    )


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
    count = costs(spec, height=size.height, width=size.width)
    finest = feature_sizes(size.height, size.width)[0]
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
        checkpoint=CheckpointInfo(
            source=checkpoint.source,
            layout=checkpoint.layout,
            sha256=checkpoint.sha256,
            license=checkpoint.license,
            reduce_labels=checkpoint.reduce_labels,
        ),
        parity=parity,
        variants=variants,
        chosen=Chosen(variant=found.chosen.candidate.name, reason=found.reason),
        calibration=found.calibration,
        evaluation=found.evaluation,
        machine=this_machine(),
        sensitivity=found.sensitivity,
        golden=golden,
        tools=_tools(),
    )


def _tools() -> dict[str, str]:
    names = ("edgeseg", "numpy", "onnx", "onnxruntime", "pillow", "torch", "openvino", "nncf")
    found = {name: version for name in names if (version := installed(name)) is not None}
    return {"python": platform.python_version(), **found}
