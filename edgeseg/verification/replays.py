"""Replays the golden frames of a bundle, and of each smaller input size in it."""

from __future__ import annotations

from contextlib import closing

from edgeseg.accuracy.gates import Judged
from edgeseg.bundle.store import open_sizes
from edgeseg.progress import Progress
from edgeseg.runtime.backends.placing import AUTO, find_device
from edgeseg.runtime.golden import judge_golden
from edgeseg.verification.opening import open_chosen
from edgeseg.verification.subjects import BundleModel

__all__ = ["judge_replays"]


def judge_replays(candidate: BundleModel, *, on_data: bool, progress: Progress) -> Judged:
    """Judge each golden frame of every size.

    A data set measures the largest size alone; with `on_data`, a line says how to measure another.

    Raises:
        BundleError: a size was changed, or is of other weights.
        EdgesegError: no engine opens a size.
    """
    bundle = candidate.bundle
    judged = judge_golden(bundle, candidate.variant, candidate.segment)
    sizes = bundle.manifest.sizes
    for size, inner in zip(sizes, open_sizes(bundle), strict=True):
        model = open_chosen(
            inner,
            device=find_device(candidate.variant) or AUTO,
            threads=candidate.address.threads,
            progress=progress,
        )
        with closing(model):
            judged += Judged(unjudged=model.unjudged)
            judged += judge_golden(inner, model.variant, model.segment, within=f"{size.folder}/")
    if sizes and on_data:
        spec = candidate.input
        progress.say(
            f"the data set measures the input {spec.height}x{spec.width}; measure another size "
            f"with: edgeseg verify {bundle.folder / sizes[0].folder} --data DATASET"
        )
    return judged
