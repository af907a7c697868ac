"""Checkpoint to bundle: the one place that joins the rooms."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from edgeseg.bundle.staging import check_replaceable, new_bundle, seal_bundle
from edgeseg.bundle.store import Bundle, open_bundle
from edgeseg.datasets import Dataset, match_classes
from edgeseg.demo import draw_scene
from edgeseg.demo.splits import DEMO_SPLITS
from edgeseg.deploy.candidates import (
    Decide,
    Float,
    Halves,
    find_variants,
    float_candidates,
    open_halves,
)
from edgeseg.deploy.data import Evidence, gathered
from edgeseg.deploy.pack import make_manifest, write_expected
from edgeseg.deploy.replacement import check_same_images, check_same_model, replaced
from edgeseg.deploy.request import ExportRequest
from edgeseg.deploy.select import only_fp32
from edgeseg.deploy.ship import Proof, ship_what_works
from edgeseg.errors import CheckpointError, ExportError
from edgeseg.machine.memory import find_total_memory
from edgeseg.pixels import Bgr, to_input
from edgeseg.pixels.shrinking import ShrinkTeller
from edgeseg.progress import SILENT, Progress, begin
from edgeseg.quantize.budget import Budget
from edgeseg.quantize.recipes import FLOAT
from edgeseg.quantize.search import Trial
from edgeseg.quantize.targets.maker import load_maker
from edgeseg.reports.draw.sensitivity import draw_sensitivity
from edgeseg.segformer.macs import estimate_least_memory
from edgeseg.targets import find_target
from edgeseg.text import pluralize

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgeseg.bundle.manifest import Parity
    from edgeseg.export.checkpoint import Checkpoint

__all__ = ["Exported", "export_bundle"]

T = TypeVar("T")

GOLDEN_FRAMES: Final = 2
PARITY_FRAMES: Final = 4

# Camera sizes (height, width), so that golden frames exercise resizing both ways.
_DEMO_SIZES: Final = ((480, 640), (720, 1280))


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """The bundle, and every variant that was tried for it."""

    bundle: Bundle
    tried: tuple[Trial, ...]


def export_bundle(
    request: ExportRequest,
    *,
    progress: Progress = SILENT,
) -> Exported:
    """Export a checkpoint and prove the result.

    Raises:
        CheckpointError: the weights cannot be used, or are of another variant than asked for.
        ExportError: the graph does not compute what the checkpoint computes, or nothing of the
            precision asked for could be tried.
        CalibrationError: the calibration source cannot serve.
        GateMissedError: no variant of the precision asked for passes its gates.
        BundleError: the folder cannot be written, or holds what is not to be replaced.
        BusyError: another process is writing it.
    """
    begin(progress, "reading the checkpoint")
    from edgeseg.export.checkpoint import read_checkpoint

    checkpoint = read_checkpoint(
        request.weights,
        size=request.size,
        labels=request.labels,
        overrides=request.overrides,
        say=progress.say,
    )
    variant = checkpoint.spec.variant.name
    if request.variant not in {None, variant}:
        raise CheckpointError(
            f"{request.weights} is a SegFormer-{variant.upper()}, not {request.variant}; "
            f"leave --model out, or give other weights"
        )
    _check_memory(checkpoint)
    for note in request.notes:
        progress.say(note)
    progress.say(_describe(checkpoint))
    if request.dataset is not None:
        dataset, differences = match_classes(
            request.dataset, checkpoint.labels, reduce_labels=checkpoint.reduce_labels
        )
        request = replace(request, dataset=dataset)
        for line in (*differences.lines, *dataset.notes):
            progress.say(line)
    folder = request.folder or Path(f"{variant}-{request.target}-{request.precision}")
    with new_bundle(folder) as staging:
        tried = _staged(staging, folder, request, checkpoint, progress)
    return Exported(bundle=open_bundle(folder), tried=tried)


def _staged(
    staging: Path,
    folder: Path,
    request: ExportRequest,
    checkpoint: Checkpoint,
    progress: Progress,
) -> tuple[Trial, ...]:
    """Make the bundle, unless one of something else stands under a name that nobody gave."""
    old = check_replaceable(folder)
    asked_for = request.folder is not None or request.force
    if old is not None and not asked_for:
        check_same_model(folder, old, checkpoint)
    shrinking = ShrinkTeller(checkpoint.input, progress.say)
    ignored = checkpoint.labels.ignore_index
    begin(progress, "choosing images")
    with gathered(request, ignore_index=ignored, seen=shrinking.see, say=progress.say) as evidence:
        if old is not None and not asked_for:
            check_same_images(folder, old, evidence)
        if old is not None:
            progress.say(replaced(folder, old))
        begin(progress, "writing the graph")
        graph = _write_graph(checkpoint, request.target)
        size = checkpoint.input
        nodes = len(graph.graph.node)
        progress.say(f"graph written: {nodes} nodes, input {size.height}x{size.width}")
        name = folder.resolve().name
        return _fill(staging, name, request, checkpoint, graph, evidence, progress)


def _check_memory(checkpoint: Checkpoint) -> None:
    """Refuse what the system would kill this process for, and a whole sweep with it."""
    size = checkpoint.input
    needed = estimate_least_memory(height=size.height, width=size.width)
    there = find_total_memory()
    if needed > there:
        raise ExportError(
            f"an input of {size.height}x{size.width} needs at least {needed / 1e9:,.0f} GB of "
            f"memory for its attention, and {there / 1e9:,.1f} GB may be taken here; choose a "
            f"smaller --size"
        )


def _write_graph(checkpoint: Checkpoint, target: str) -> ModelProto:
    from edgeseg.export.segformer.rewrites import rewrite
    from edgeseg.export.segformer.to_onnx import to_onnx

    spec = checkpoint.input
    opset = find_target(target).opset
    deployed = rewrite(checkpoint.model, mean=spec.mean, std=spec.std)
    return to_onnx(deployed, height=spec.height, width=spec.width, opset=opset)


def _fill(
    staging: Path,
    name: str,
    request: ExportRequest,
    checkpoint: Checkpoint,
    graph: ModelProto,
    evidence: Evidence | None,
    progress: Progress,
) -> tuple[Trial, ...]:
    """Write artifacts, parity and golden frames, then seal; return what was tried."""
    artifact, parity = _write_artifact(staging, request, checkpoint, graph, progress)
    begin(progress, "segmenting golden frames with PyTorch")
    frames = tuple(islice(_frames(request.dataset), GOLDEN_FRAMES))
    expected = write_expected(staging, frames, checkpoint)
    budget = Budget(request.budget_s)
    with ExitStack() as stack:
        decide, halves = _searched(
            request, checkpoint, graph, artifact, evidence, budget, progress, stack
        )
        proof = Proof(
            staging=staging,
            artifact=artifact,
            target=request.target,
            spec=checkpoint.input,
            classes=checkpoint.spec.classes,
            frames=frames,
            expected=expected,
            gate_half=None if halves is None else halves.gate,
            limits=request.limits,
            progress=progress,
        )
        with budget.spending("confirming"):
            shipped = ship_what_works(proof, decide)
    if evidence is not None:
        progress.say(budget.line)
    found, variants = shipped.found, shipped.variants
    if found.sensitivity:
        (staging / "sensitivity.svg").write_text(draw_sensitivity(found.sensitivity), "utf-8")
    for variant in variants:
        load_maker(request.target).check(staging / variant.file)
    if found.peaks:
        (staging / "peaks.json").write_text(json.dumps(found.peaks, indent=1), "utf-8")
    golden = shipped.golden
    seal_bundle(
        staging,
        make_manifest(name, request.target, checkpoint, graph, parity, found, variants, golden),
    )
    return found.tried


def _write_artifact(
    staging: Path,
    request: ExportRequest,
    checkpoint: Checkpoint,
    graph: ModelProto,
    progress: Progress,
) -> tuple[Path, Parity]:
    """The float graph as the target takes it, once it computes what the checkpoint computes."""
    from edgeseg.export.reference import check_parity
    from edgeseg.export.storage import with_half_weights

    artifact = staging / "model.onnx"
    artifact.write_bytes(graph.SerializeToString())
    # The folder's name only: a bundle travels, and paths of one machine say nothing on another.
    image_source = "demo scenes" if request.dataset is None else request.dataset.title
    parity = check_parity(
        artifact,
        checkpoint.model,
        checkpoint.input,
        _told(
            (
                to_input(frame, checkpoint.input)
                for frame in islice(_frames(request.dataset), PARITY_FRAMES)
            ),
            begin(progress, "comparing with PyTorch", PARITY_FRAMES),
        ),
        image_source=image_source,
    )
    progress.say(
        f"parity with PyTorch: logits differ by at most {parity.max_abs_diff:.1e} "
        f"on {pluralize(parity.images, 'image')} ({image_source})"
    )
    if request.half_weights:  # after parity, which is of the graph; what storing costs, masks show
        artifact.write_bytes(with_half_weights(graph).SerializeToString())
    return load_maker(request.target).convert(artifact), parity


def _searched(
    request: ExportRequest,
    checkpoint: Checkpoint,
    graph: ModelProto,
    artifact: Path,
    evidence: Evidence | None,
    budget: Budget,
    progress: Progress,
    stack: ExitStack,
) -> tuple[Decide, Halves | None]:
    """What decides between the variants that were found; FP32 alone where nothing is measured.

    `stack` holds the search's workspace.
    """
    stored = "float, weights stored as FP16" if request.half_weights else FLOAT.name
    floats = float_candidates(request.target, artifact, recipe=replace(FLOAT, name=stored))
    if evidence is None:
        return partial(only_fp32, floats[0], request.fp32_reason), None
    source = Float(model=graph, candidates=floats, spec=checkpoint.input, labels=checkpoint.labels)
    halves = stack.enter_context(open_halves(request, source, evidence, progress=progress))
    decide = find_variants(request, source, evidence, halves, budget, progress=progress)
    return decide, halves


def _told(items: Iterable[T], advance: Callable[[], None]) -> Iterator[T]:
    """The items, each counted once it was used."""
    for item in items:
        yield item
        advance()


def _frames(dataset: Dataset | None) -> Iterator[Bgr]:
    """Images of the data set, spread over it; else drawn scenes."""
    if dataset is not None:
        for item in dataset.take_evenly(PARITY_FRAMES).items:
            yield item.image()
        return
    for index, (seed, frame) in enumerate(DEMO_SPLITS["val"].frames(PARITY_FRAMES)):
        height, width = _DEMO_SIZES[index % len(_DEMO_SIZES)]
        yield draw_scene(seed, frame, height=height, width=width).image


def _describe(checkpoint: Checkpoint) -> str:
    return (
        f"SegFormer-{checkpoint.spec.variant.name.upper()}, {checkpoint.spec.classes} classes "
        f"(names from {checkpoint.labels_source}), {checkpoint.layout} layout, "
        f"license of the weights: {checkpoint.license}"
    )
