"""Writes the graphs for several frames at once that a device may use for several sources."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from edgeseg.bundle.manifest import BatchInfo, VariantInfo
from edgeseg.deploy.job import ExportJob
from edgeseg.files.whole import write_file
from edgeseg.quantize.search import Candidate, Trial
from edgeseg.targets import find_target

__all__ = ["write_batches"]


def write_batches(
    job: ExportJob, variants: Sequence[VariantInfo], shipped: Sequence[Trial]
) -> tuple[VariantInfo, ...]:
    """Write a graph for several frames beside each typed variant that is no form of another.

    It holds the same nodes and weights, so it is not measured here: the device replays the golden
    frames through it, and times it, before it uses it. There is none where the target has none.
    """
    frames = find_target(job.request.target).batch
    if frames == 1:
        return tuple(variants)
    plain = {trial.candidate.name for trial in shipped if _is_plain(trial.candidate)}
    return tuple(
        _write_batch(job.staging, variant, frames) if variant.name in plain else variant
        for variant in variants
    )


def _is_plain(candidate: Candidate) -> bool:
    is_form = candidate.instead_of is not None or candidate.same_as is not None
    return candidate.compute == "f16" and candidate.output == "logits" and not is_form


def _write_batch(folder: Path, variant: VariantInfo, frames: int) -> VariantInfo:
    import onnx

    from edgeseg.quantize.targets.tensorrt.batch import to_batch

    path = folder / variant.file
    made = path.with_name(f"{path.stem}_batch{frames}{path.suffix}")
    write_file(made, to_batch(onnx.load(path), frames).SerializeToString())
    return msgspec.structs.replace(variant, batch=BatchInfo(frames=frames, file=made.name))
