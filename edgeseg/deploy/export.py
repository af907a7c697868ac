"""Exports a checkpoint as a proved bundle: the order of the steps."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from edgeseg.bundle.manifest import SizeInfo
from edgeseg.bundle.store import Bundle, open_bundle
from edgeseg.deploy.candidates import find_variants
from edgeseg.deploy.data import gather_images
from edgeseg.deploy.golden import write_golden
from edgeseg.deploy.graph import write_graph
from edgeseg.deploy.job import ExportJob, open_job
from edgeseg.deploy.pack import seal
from edgeseg.deploy.replacement import check_same_images, find_replaced
from edgeseg.deploy.request import ExportRequest
from edgeseg.deploy.ship import ship_variants
from edgeseg.errors import GateMissedError
from edgeseg.progress import SILENT, Progress
from edgeseg.quantize.search import Trial

__all__ = ["Exported", "export_bundle"]

_FOLDER: Final = "sizes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """The bundle, and every variant that was tried for it; `sizes` are those of smaller inputs."""

    bundle: Bundle
    tried: tuple[Trial, ...]
    sizes: tuple[Exported, ...] = ()


def export_bundle(request: ExportRequest, *, progress: Progress = SILENT) -> Exported:
    """Export a checkpoint and prove the result.

    Raises:
        CheckpointError: the weights cannot be used, or are of another variant than asked for.
        ExportError: the graph does not compute what the checkpoint computes, or nothing of the
            precision asked for could be tried.
        CalibrationError: the calibration source cannot serve.
        GateMissedError: no variant of the precision asked for passes its gates, at one of the
            sizes; then nothing is written.
        BundleError: the folder cannot be written, or holds what is not to be replaced.
        BusyError: another process is writing it.
    """
    with ExitStack() as stack:
        job = stack.enter_context(open_job(request, progress))
        old = find_replaced(job)
        data = stack.enter_context(gather_images(job))
        check_same_images(job, old, data)
        graph = write_graph(job)
        golden = write_golden(job)
        found = stack.enter_context(find_variants(job, graph, data))
        shipped = ship_variants(job, graph, golden, found)
        inner = [_export_size(job, request, size) for size in request.further_sizes]
        seal(job, graph, found, shipped, tuple(map(_describe_size, inner)))
    # What was staged lies in its final place now.
    sizes = [
        replace(one, bundle=open_bundle(job.folder / _FOLDER / one.bundle.folder.name))
        for one in inner
    ]
    tried = shipped.selection.tried
    return Exported(bundle=open_bundle(job.folder), tried=tried, sizes=tuple(sizes))


def _export_size(job: ExportJob, request: ExportRequest, size: tuple[int, int]) -> Exported:
    """Export a smaller input into the staging folder, by the same options and gates."""
    name = "x".join(map(str, size))
    job.progress.say(f"size {name}: exported by the same options, and judged by its own gate")
    folder: Path = job.staging / _FOLDER / name
    alone = replace(request, size=size, further_sizes=(), folder=folder, notes=())
    try:
        return export_bundle(alone, progress=job.progress)
    except GateMissedError as error:
        raise GateMissedError(f"size {name}: {error}") from error


def _describe_size(exported: Exported) -> SizeInfo:
    spec, folder = exported.bundle.manifest.input, exported.bundle.folder
    return SizeInfo(folder=f"{_FOLDER}/{folder.name}", height=spec.height, width=spec.width)
