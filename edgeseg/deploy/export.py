"""Exports a checkpoint as a proved bundle: the order of the steps."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from edgeseg.bundle.store import Bundle, open_bundle
from edgeseg.deploy.candidates import find_variants
from edgeseg.deploy.data import gather_images
from edgeseg.deploy.golden import write_golden
from edgeseg.deploy.graph import write_graph
from edgeseg.deploy.job import open_job
from edgeseg.deploy.pack import seal
from edgeseg.deploy.replacement import check_same_images, find_replaced
from edgeseg.deploy.request import ExportRequest
from edgeseg.deploy.ship import ship_variants
from edgeseg.progress import SILENT, Progress
from edgeseg.quantize.search import Trial

__all__ = ["Exported", "export_bundle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """The bundle, and every variant that was tried for it."""

    bundle: Bundle
    tried: tuple[Trial, ...]


def export_bundle(request: ExportRequest, *, progress: Progress = SILENT) -> Exported:
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
    with ExitStack() as stack:
        job = stack.enter_context(open_job(request, progress))
        old = find_replaced(job)
        data = stack.enter_context(gather_images(job))
        check_same_images(job, old, data)
        graph = write_graph(job)
        golden = write_golden(job)
        found = stack.enter_context(find_variants(job, graph, data))
        shipped = ship_variants(job, graph, golden, found)
        seal(job, graph, found, shipped)
    return Exported(bundle=open_bundle(job.folder), tried=shipped.selection.tried)
