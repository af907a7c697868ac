"""Wins back what INT8 costs, by training its files against FP32 on the calibration images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from edgeseg.bundle.manifest import RecoveryInfo
from edgeseg.deploy.data import ExportData
from edgeseg.deploy.graph import FloatGraph
from edgeseg.deploy.job import ExportJob
from edgeseg.errors import BackendError, ExportError
from edgeseg.pixels import fit_size, resize_ids, to_input
from edgeseg.quantize.budget import format_clock
from edgeseg.quantize.corrupted import average_kinds, measure_corrupted
from edgeseg.quantize.search import Candidate, Search, Trial, measure_trial
from edgeseg.quantize.workspace import Workspace
from edgeseg.recovery.example import Example
from edgeseg.recovery.options import WORTH, WORTH_IN_CONTRAST
from edgeseg.spec import Upsampling
from edgeseg.text import pluralize

if TYPE_CHECKING:
    from edgeseg.calibration.pictures import Picture
    from edgeseg.datasets import Item

__all__ = ["recover_int8"]

# Without ground truth so many % of the pixels have to agree, or a variant is trained.
_AGREED: Final = 99.5
# A training shorter than this share of the time that was given is not begun.
_LEAST: Final = 0.1
_SEED: Final = 0


def recover_int8(
    job: ExportJob, search: Search, tried: Sequence[Trial], exact: FloatGraph, data: ExportData
) -> list[Trial]:
    """Train INT8 files that cost too much, the boldest first, and measure each as any other.

    One that comes out with hardly a loss ends it: what is less bold is slower. The exact FP32
    network is the teacher, whatever the form.
    """
    wanted = job.request.recover
    made: list[Trial] = []
    if wanted is None or search.quantizer is None or data.calibration is None:
        return made
    lossy = list(_list_lossy(search, tried))
    if not lossy:
        job.progress.say(f"nothing to recover: {_explain_lossless(labelled=data.labelled)}")
    left_s = wanted.seconds
    for trial, reason in lossy:
        if left_s < _LEAST * wanted.seconds:
            job.progress.say(f"no time left to recover {trial.candidate.name}")
            break
        try:
            candidate = _recover(job, search, trial.candidate, exact, data, left_s, reason)
        except ExportError as error:
            job.progress.say(f"{trial.candidate.name} is not recovered: {error}")
            continue
        recovery = candidate.recovery
        assert recovery is not None, "it was just trained"
        left_s -= 60 * recovery.minutes
        computes = search.quantizer.computes or dict.fromkeys(f.compute for f in search.floats)
        found = [
            measure_trial(search, replace(trial, candidate=_compute_in(candidate, compute)))
            for compute in computes
        ]
        made += found
        if _explain_loss(search, found[0]) is None:
            break
    return made


def _list_lossy(search: Search, tried: Sequence[Trial]) -> Iterator[tuple[Trial, str]]:
    """List the INT8 files that cost too much, the boldest first, each once, and say why."""
    seen = set()
    for trial in sorted(tried, key=lambda trial: -trial.int8_share):
        own = trial.candidate
        if own.precision == "int8" and own.path not in seen:
            seen.add(own.path)
            reason = None if trial.search is None else _explain_loss(search, trial)
            if reason is not None:
                yield trial, reason


def _explain_lossless(*, labelled: bool) -> str:
    if not labelled:
        return f"every INT8 variant agrees with FP32 in {_AGREED:g} % of the pixels or more"
    return (
        f"no INT8 variant costs more than {WORTH:g} points, and where FP32 survives low contrast, "
        f"that costs none more than {WORTH_IN_CONTRAST:g} beside"
    )


def _explain_loss(search: Search, trial: Trial) -> str | None:
    """Say what a trial costs too much; None where it costs hardly anything."""
    accuracy = trial.search
    assert accuracy is not None, "it was measured"
    if not trial.approved:
        return "it misses a gate"
    if accuracy.drop is None:
        agreed = f"{accuracy.pixel_agreement:.2f} % of the pixels agree with FP32"
        return f"only {agreed}" if accuracy.pixel_agreement < _AGREED else None
    if accuracy.drop > WORTH:
        return f"it costs {accuracy.drop:.2f} points"
    beyond = _measure_contrast(search, trial)
    if beyond > WORTH_IN_CONTRAST:
        return f"low contrast costs it {beyond:.2f} points more than clean images"
    return None


def _measure_contrast(search: Search, trial: Trial) -> float:
    """Measure how much more low contrast, which costs INT8 most, costs it than clean images."""
    half, kinds = search.search_half, ("contrast",)
    try:
        extra = measure_corrupted(search, trial.candidate, half, "search", kinds=kinds)
    except BackendError:
        return 0.0  # an engine that fails is dropped where it is decided on
    return max(average_kinds(extra).values(), default=0.0)


def _recover(
    job: ExportJob,
    search: Search,
    candidate: Candidate,
    exact: FloatGraph,
    data: ExportData,
    seconds: float,
    reason: str,
) -> Candidate:
    """Train a candidate's file, or recall what an earlier export of the same trained."""
    from edgeseg.recovery.recover import recover

    calibration, wanted = data.calibration, job.request.recover
    assert calibration is not None, "INT8 was tried"
    assert wanted is not None, "that is why it is trained"
    chosen = calibration.part(range(len(calibration.pictures))[: wanted.images])
    pictures = chosen.pictures
    truths = [data.truths.get(hashed) for hashed in chosen.hashes]
    question = f"{seconds:.0f} {_SEED} {len(pictures)} {_hash_truths(truths)}".encode()
    path = candidate.path.with_name(
        f"{candidate.path.stem}_recovered_{hashlib.sha256(question).hexdigest()[:8]}"
        f"{candidate.path.suffix}"
    )
    workspace = Workspace(path.parent)
    recovery = _recall(workspace, path.stem)
    if recovery is None or not path.exists():
        job.progress.say(
            f"recovering {candidate.name} for {format_clock(seconds)} minutes, from "
            f"{pluralize(len(pictures), 'image')}: {reason}"
        )
        with search.budget.stop_clock(), search.budget.spending("recovering"):
            done = recover(
                candidate.path,
                exact.artifact,
                path,
                [partial(_read, *pair, job) for pair in zip(pictures, truths, strict=True)],
                seconds=seconds,
                seed=_SEED,
                progress=job.progress,
            )
        recovery = RecoveryInfo(
            images=len(done.learned),
            held_back=done.held_back,
            sha256=chosen.sha256,
            seed=_SEED,
            steps=done.steps,
            minutes=round(done.seconds / 60, 2),
            labels=sum(truths[place] is not None for place in done.learned),
            before=round(done.before, 3),
            after=round(done.after, 3),
        )
        workspace.keep(path.stem, msgspec.to_builtins(recovery))
    name = f"{candidate.name}+recovered"
    return replace(candidate, name=name, path=path, recovery=recovery, trained_from=candidate.name)


def _hash_truths(truths: Sequence[Item | None]) -> str:
    hashes = "".join(item.sha256 for item in truths if item is not None)
    return hashlib.sha256(hashes.encode()).hexdigest() if hashes else ""


def _read(picture: Picture, item: Item | None, job: ExportJob) -> Example:
    """Read an example; its ground truth is that of `item`, and unknown beside the picture."""
    spec = job.checkpoint.input
    if item is None:
        return Example(to_input(picture.image(), spec))
    sample = item.read()
    height, width = fit_size(sample.image.shape[0], sample.image.shape[1], spec)
    truth = np.full((spec.height, spec.width), job.checkpoint.labels.ignore_index, np.uint16)
    truth[:height, :width] = resize_ids(sample.mask, height=height, width=width)
    corners = spec.upsampling is Upsampling.ALIGN_CORNERS
    return Example(to_input(sample.image, spec), truth, align_corners=corners)


def _recall(workspace: Workspace, name: str) -> RecoveryInfo | None:
    try:
        return msgspec.convert(workspace.recall(name), RecoveryInfo)
    except msgspec.ValidationError:
        return None


def _compute_in(candidate: Candidate, compute: str) -> Candidate:
    """Name a candidate by its float type, as that of its file before the training."""
    base = candidate.compute
    if compute == base:
        return candidate
    return replace(
        candidate,
        name=f"{candidate.name}+{compute}",
        compute=compute,
        trained_from=f"{candidate.trained_from}+{compute}",
    )
