"""Ships the selected variants, after each is proved as the file that ships.

Each file is measured again on the images that decide, and on the golden frames. A variant whose
engine fails there is dropped, and the search decides again among the others.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgeseg.accuracy.gates import judge_accuracy
from edgeseg.accuracy.metrics import pixel_agreement
from edgeseg.bundle.forms import make_form_info
from edgeseg.bundle.manifest import Accuracy, FormInfo, Golden, VariantInfo
from edgeseg.deploy.batches import write_batches
from edgeseg.deploy.candidates import Found
from edgeseg.deploy.forms import count_macs
from edgeseg.deploy.golden import GoldenFrames
from edgeseg.deploy.graph import FloatGraph
from edgeseg.deploy.job import ExportJob
from edgeseg.deploy.select import Selection
from edgeseg.errors import BackendError, GateMissedError
from edgeseg.progress import begin
from edgeseg.quantize.meter import Meter
from edgeseg.quantize.search import Trial
from edgeseg.quantize.targets.maker import load_maker
from edgeseg.runtime.backends.backend import Backend
from edgeseg.runtime.golden import GOLDEN_SLACK
from edgeseg.runtime.segmenter import segment_frame
from edgeseg.segformer.form import Form
from edgeseg.targets import find_target

__all__ = ["Shipped", "ship_variants"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """The final selection, the variants as written in the folder, and the golden frames."""

    selection: Selection
    variants: tuple[VariantInfo, ...]
    golden: tuple[Golden, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proved:
    """A variant with the figures of its file, and its agreement with each golden frame in %."""

    variant: VariantInfo
    agreement: tuple[float, ...]


def ship_variants(job: ExportJob, graph: FloatGraph, golden: GoldenFrames, found: Found) -> Shipped:
    """Put the files of what is selected into the staging folder, and prove each.

    Raises:
        GateMissedError: nothing that works passes, or a file does not hold what the search found.
        ExportError: nothing of the precision asked for was tried, or a file breaks a rule of the
            target's engine.
        BackendError: only FP32 was to ship, and it fails.
    """
    out: dict[str, str] = {}
    known: dict[str, _Proved | None] = {}
    with found.budget.spending("confirming"):
        while True:
            selection = found.decide(out)
            variants = [_place_files(job, graph, trial) for trial in selection.shipped]
            is_incomplete = False
            for trial, variant in zip(selection.shipped, variants, strict=True):
                if variant.name in out or variant.name in known:
                    continue
                same_as = trial.candidate.same_as
                half = found.gate_half if same_as is None else None
                try:
                    one = _prove(job, golden, half, variant)
                    _check_same(one, None if same_as is None else known.get(same_as))
                    known[variant.name] = one
                except BackendError as error:
                    job.progress.say(f"{variant.name} is out: {error}")
                    out[variant.name] = f"failed as it ships: {error}"
                    # A further form of a variant may fail; another one is not needed for it.
                    is_form = variant.search is None and found.gate_half is not None
                    is_incomplete = is_incomplete or not is_form
            if not is_incomplete:
                break
    if found.gate_half is not None:
        job.progress.say(found.budget.line)
    proved = [one for one in (known.get(variant.name) for variant in variants) if one is not None]
    return _finish(job, golden, selection, proved)


def _place_files(job: ExportJob, graph: FloatGraph, trial: Trial) -> VariantInfo:
    """Copy a variant's files into the staging folder, under a name that says what it is."""
    candidate = trial.candidate
    path = graph.artifact
    if candidate.path != path:
        casts = "_casts" if candidate.instead_of is not None else ""
        written = "".join(f"_{word}" for word in candidate.written)
        output = "" if candidate.output == "logits" else "_map"
        form = "" if candidate.form.is_exact else f"_{candidate.form.digest}"
        recovered = "" if candidate.recovery is None else "_recovered"
        # An engine that is told what to compute in opens one float file for all types.
        is_told = not find_target(job.request.target).typed and not candidate.recipe.int8
        kind = "model" if is_told else candidate.precision
        name = f"{kind}{form}{recovered}{casts}{written}{output}{candidate.path.suffix}"
        path = job.staging / name
        for suffix in find_target(job.request.target).suffixes:
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
        form=_describe_form(job, candidate.form),
        recovery=candidate.recovery,
        int8_share=trial.int8_share,
        search=trial.search,
        gate=trial.gate,
        latency_ms=trial.latency_ms,
    )


def _describe_form(job: ExportJob, form: Form) -> FormInfo | None:
    return None if form.is_exact else make_form_info(form, count_macs(job, form))


def _prove(
    job: ExportJob, golden: GoldenFrames, gate_half: Meter | None, variant: VariantInfo
) -> _Proved | None:
    """Measure a variant's file; None for a further form that misses although the variant passed.

    Without `gate_half`, the file is tried on the golden frames only: another variant that computes
    the same was measured.

    Raises:
        BackendError: the engine fails.
        GateMissedError: the file of a variant that passed misses.
    """
    with job.open_to_prove(job.staging / variant.file, variant.compute) as backend:
        if gate_half is not None:
            measured = _measure_again(job, gate_half, variant, backend)
            if measured is None:
                return None
            variant = msgspec.structs.replace(variant, gate=measured)
        spec = job.checkpoint.input
        agreement = tuple(
            pixel_agreement(mask, segment_frame(backend, spec, frame).mask)
            for frame, mask in zip(golden.frames, golden.masks, strict=True)
        )
    return _Proved(variant=variant, agreement=agreement)


def _check_same(proved: _Proved | None, base: _Proved | None) -> None:
    """Check that a graph written in another way gives the masks of the one that was measured.

    Raises:
        BackendError: it agrees less with a golden frame, by more than a device may lose.
    """
    if proved is None or base is None:
        return
    for found, before in zip(proved.agreement, base.agreement, strict=True):
        if found < before - GOLDEN_SLACK:
            raise BackendError(
                f"it agrees with a golden frame in {found:.2f} % of the pixels, and "
                f"{base.variant.name} in {before:.2f} %"
            )


def _measure_again(
    job: ExportJob, gate_half: Meter, variant: VariantInfo, backend: Backend
) -> Accuracy | None:
    """Measure on the images that decide; see `_prove`."""
    task = f"confirming {variant.name} as it ships"
    step = begin(job.progress, task, len(gate_half.images))
    measured = gate_half.measure(backend, step=step)
    missed = judge_accuracy(measured, job.request.limits).misses
    if missed and variant.search is None:
        return None
    if missed:
        raise GateMissedError(
            f"{variant.name} passed in the search, but the file to ship does not: "
            f"{', '.join(f'{g.name} {g.value:.3f} (limit {g.limit:.3f})' for g in missed)};"
            f" export again, and if it stays so, report a bug"
        )
    return measured


def _finish(
    job: ExportJob, golden: GoldenFrames, selection: Selection, proved: Sequence[_Proved]
) -> Shipped:
    """Remove the files that do not ship, and check the others by the target's rules."""
    variants = tuple(one.variant for one in proved)
    _remove_unlisted(job, variants)
    variants = write_batches(job, variants, selection.shipped)
    maker = load_maker(job.request.target)
    for name in (name for variant in variants for name in variant.files):
        maker.check(job.staging / name)
    agreements = {one.variant.name: one.agreement for one in proved}
    return Shipped(selection=selection, variants=variants, golden=golden.describe(agreements))


def _remove_unlisted(job: ExportJob, variants: Sequence[VariantInfo]) -> None:
    """Remove models of no variant: what is out, and what was the reference only."""
    listed = {Path(variant.file).stem for variant in variants}
    suffixes = find_target(job.request.target).suffixes
    for path in job.staging.iterdir():
        if path.suffix in suffixes and path.stem not in listed:
            path.unlink()
