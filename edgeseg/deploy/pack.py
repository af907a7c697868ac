"""Packs what was shipped into a bundle: charts beside the variants, and the manifest."""

from __future__ import annotations

import json
import platform

import msgspec

from edgeseg.bundle.manifest import (
    CheckpointInfo,
    Chosen,
    Manifest,
    ModelInfo,
    SizeInfo,
    Tensor,
)
from edgeseg.bundle.staging import seal_bundle
from edgeseg.deploy.candidates import Found
from edgeseg.deploy.graph import FloatGraph
from edgeseg.deploy.job import ExportJob
from edgeseg.deploy.ship import Shipped
from edgeseg.machine.cpu import describe_machine
from edgeseg.machine.packages import find_version
from edgeseg.reports.draw.sensitivity import draw_sensitivity
from edgeseg.segformer.macs import count_costs
from edgeseg.spec import RGB
from edgeseg.targets import list_packages

__all__ = ["seal"]


def seal(
    job: ExportJob,
    graph: FloatGraph,
    found: Found,
    shipped: Shipped,
    sizes: tuple[SizeInfo, ...],
) -> None:
    """Write what the search learned and the manifest into the staging folder.

    `sizes` are the bundles of smaller inputs that lie there already.

    Raises:
        BundleError: the folder cannot be written.
    """
    if found.sensitivity:
        picture = draw_sensitivity(found.sensitivity)
        (job.staging / "sensitivity.svg").write_text(picture, "utf-8")
    if found.peaks:
        peaks = json.dumps(found.peaks, indent=1)
        (job.staging / "peaks.json").write_text(peaks, "utf-8")
    manifest = _make_manifest(job, graph, found, shipped)
    seal_bundle(job.staging, msgspec.structs.replace(manifest, sizes=sizes))


def _make_manifest(job: ExportJob, graph: FloatGraph, found: Found, shipped: Shipped) -> Manifest:
    chosen = shipped.selection.chosen.candidate.name
    input_tensor, output_tensor = _describe_tensors(job, graph)
    return Manifest(
        name=job.folder.resolve().name,
        target=job.request.target,
        model=_describe_model(job),
        labels=job.checkpoint.labels,
        input=job.checkpoint.input,
        input_tensor=input_tensor,
        output_tensor=output_tensor,
        checkpoint=_describe_checkpoint(job),
        parity=graph.parity,
        framework=graph.framework,
        variants=shipped.variants,
        chosen=Chosen(variant=chosen, reason=shipped.selection.reason),
        calibration=found.calibration,
        evaluation=found.evaluation,
        machine=describe_machine(),
        sensitivity=found.sensitivity,
        golden=shipped.golden,
        tools=_list_tools(),
    )


def _describe_model(job: ExportJob) -> ModelInfo:
    spec, size = job.checkpoint.spec, job.checkpoint.input
    count = count_costs(spec, height=size.height, width=size.width)
    return ModelInfo(
        variant=spec.name,
        head=spec.head.value,
        decoder_width=spec.decoder_width,
        params=count.params,
        macs=count.macs,
        heads=spec.encoder.heads,
        widths=spec.encoder.widths,
        depths=spec.encoder.depths,
    )


def _describe_tensors(job: ExportJob, graph: FloatGraph) -> tuple[Tensor, Tensor]:
    """Describe the network's input and output."""
    size = job.checkpoint.input
    order = "blue, green, red" if size.channels == RGB else "in the order of their files"
    (graph_input,), (graph_output,) = graph.model.graph.input, graph.model.graph.output
    return (
        Tensor(
            name=graph_input.name,
            dtype="uint8",
            shape=(1, size.height, size.width, size.channels),
            layout=f"NHWC, channels {order}",
        ),
        Tensor(name=graph_output.name, dtype="float32", shape=job.logits_shape, layout="NCHW"),
    )


def _describe_checkpoint(job: ExportJob) -> CheckpointInfo:
    checkpoint = job.checkpoint
    return CheckpointInfo(
        source=checkpoint.source,
        layout=checkpoint.layout,
        sha256=checkpoint.sha256,
        license=checkpoint.license,
        reduce_labels=checkpoint.reduce_labels,
        channel_order=checkpoint.channel_order,
        input_sources=dict(checkpoint.input_sources),
        threshold=checkpoint.threshold,
    )


def _list_tools() -> dict[str, str]:
    """List the versions of the packages that made the bundle."""
    names = ("edgeseg", "numpy", "onnx", "pillow", "torch", *list_packages())
    found = {name: version for name in names if (version := find_version(name)) is not None}
    return {"python": platform.python_version(), **found}
