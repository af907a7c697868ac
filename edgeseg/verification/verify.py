"""Runs all of `edgeseg verify`: golden frames, data set, reference, baseline, verdict."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from edgeseg.accuracy.gates import Judged
from edgeseg.datasets import Dataset, Item, open_dataset, tell_notes_if_refused
from edgeseg.errors import SpecError
from edgeseg.machine.cpu import describe_machine
from edgeseg.machine.packages import list_tools
from edgeseg.pixels import Bgr
from edgeseg.progress import SILENT, Progress, begin
from edgeseg.redact import hide_secrets
from edgeseg.reports.report import Report, read_report
from edgeseg.runtime.golden import read_golden_frame
from edgeseg.spec import RGB
from edgeseg.text import pluralize
from edgeseg.verification.baseline import (
    check_images,
    check_way,
    compare_reports,
    judge_changes,
)
from edgeseg.verification.costs import COST_LIMITS, judge_costs, measure_costs
from edgeseg.verification.findings import make_accuracy_fields, make_image_results
from edgeseg.verification.judging import (
    check_can_judge,
    judge_coverage,
    judge_drops,
    list_notes,
    name_rare_classes,
)
from edgeseg.verification.measuring import (
    Corruption,
    Measurement,
    Pair,
    Share,
    Shares,
    measure,
    measure_share,
)
from edgeseg.verification.opening import check_same_classes, open_model, open_own_reference
from edgeseg.verification.output import hold_report_folder
from edgeseg.verification.replays import judge_replays
from edgeseg.verification.request import VerifyRequest
from edgeseg.verification.robustness import Robustness, judge_robustness, measure_robustness
from edgeseg.verification.subjects import BundleModel, CheckpointModel, Model
from edgeseg.verification.ways import describe_way, find_windows, is_tiled

__all__ = ["verify"]


def verify(request: VerifyRequest, *, progress: Progress = SILENT) -> Report:
    """Measure, judge and compare a model, and write the report if one is asked for.

    Raises:
        GateMissedError: no variant of the bundle works here.
        NotJudgedError: a limit that the user set cannot be decided.
        ReportError: the baseline cannot be compared, or the report cannot be written.
        SpecError: the protocol does not fit the bundle.
        EdgesegError: an input cannot be read or measured.
    """
    with hold_report_folder(request):
        return _verify(request, progress)


def _verify(request: VerifyRequest, progress: Progress) -> Report:
    baseline = None if request.baseline is None else read_report(request.baseline)
    begin(progress, "listing the images")
    dataset = None
    if request.data is not None:
        dataset = open_dataset(request.data, split=request.split, rules=request.rules)
    with hide_secrets(request.data, request.dask), ExitStack() as stack:
        candidate = open_model(
            request.source,
            device=request.device,
            threads=request.threads,
            overrides=request.overrides,
            progress=progress,
        )
        stack.callback(candidate.close)
        _check_kind(request, candidate)
        if baseline is not None:
            _check_baseline(request, baseline, candidate)
        reference = _open_reference(request, candidate, progress, stack)
        _say_windows(request.protocol, candidate, reference, progress)
        pair = Pair(candidate=candidate, reference=reference, protocol=request.protocol)
        found, robustness, workers = None, None, dict[str, int]()
        if dataset is not None:
            dataset = dataset.read_as(candidate.input.channels)
            if baseline is not None and request.baseline is not None:
                check_images(baseline, dataset, origin=request.baseline, progress=progress)
            found, robustness, workers = _measure(request, pair, dataset, progress)
        report = msgspec.structs.replace(
            _compare(
                _make_report(request, pair, found, robustness, progress),
                baseline,
                request,
                progress,
            ),
            workers=workers,
        )
        if found is not None and isinstance(candidate, CheckpointModel) and request.short_sides:
            from edgeseg.verification.input_sizes import measure_sides

            points = measure_sides(
                candidate, found.share.measured, request.short_sides, progress=progress
            )
            report = msgspec.structs.replace(report, short_sides=points)
        if request.report is not None:
            _write(request.report, report, pair, found, progress)
    return report


def _measure(
    request: VerifyRequest, pair: Pair, dataset: Dataset, progress: Progress
) -> tuple[Measurement, Robustness | None, dict[str, int]]:
    """Measure the data set and its corruptions; return also the workers that counted."""
    with tell_notes_if_refused(dataset, progress), ExitStack() as stack:
        workers: dict[str, int] = {}
        if request.dask is None:
            shares: Shares = partial(
                _count_own_share, pair, strict=request.strict, progress=progress
            )
        else:
            from edgeseg.verification.cluster import connect_cluster, make_paths_absolute

            cluster = stack.enter_context(connect_cluster(request.dask, progress))
            dataset = make_paths_absolute(dataset)
            work = cluster.describe_work(pair, dataset.items[0], strict=request.strict)
            workers = cluster.processors
            shares = partial(cluster.count_shares, work)
        begin(progress, "matching the classes")
        found = measure(dataset, pair, shares, strict=request.strict)
        if not request.corruptions:
            return found, None, workers
        robustness = measure_robustness(found, request.corruptions, shares, progress)
        return found, robustness, workers


def _count_own_share(
    pair: Pair,
    items: Sequence[Item],
    corruption: Corruption | None,
    *,
    strict: bool,
    progress: Progress,
) -> list[Share]:
    """Count all items in this process."""
    return [measure_share(pair, items, strict=strict, progress=progress, corruption=corruption)]


def _check_kind(request: VerifyRequest, candidate: Model) -> None:
    """Refuse an option that another kind of model has."""
    channels = candidate.input.channels
    if request.corruptions and channels != RGB:
        raise SpecError(
            f"--corruptions are those of a camera's color images, and {candidate.name} takes "
            f"{pluralize(channels, 'channel')}; leave --corruptions out"
        )
    if isinstance(candidate, BundleModel):
        if request.short_sides:
            raise SpecError(
                f"{candidate.name} takes one size; for --short-sides give the checkpoint: "
                f"edgeseg verify CHECKPOINT --short-sides ..."
            )
        return
    if request.data is None:
        raise SpecError(f"{candidate.name} has no golden frames to replay; add --data DATASET")


def _check_baseline(request: VerifyRequest, baseline: Report, candidate: Model) -> None:
    assert request.baseline is not None, "it was read from there"
    check_way(baseline, describe_way(request.protocol, candidate), origin=request.baseline)


def _say_windows(
    protocol: str, candidate: Model, reference: Model | None, progress: Progress
) -> None:
    """Say through which windows each model sees the images, if through any."""
    windows = find_windows(protocol, candidate)
    if windows is None:
        return
    progress.say(f"--protocol {protocol} of {candidate.name}: {windows.words}")
    if reference is not None and is_tiled(protocol, candidate):
        own = find_windows(protocol, reference) if reference.size is not None else windows
        if own is not None and own != windows:
            progress.say(f"the reference, {reference.name}: {own.words}")


def _open_reference(
    request: VerifyRequest, candidate: Model, progress: Progress, stack: ExitStack
) -> Model | None:
    """Open the named reference, else the bundle's own float variant; `stack` closes it.

    Raises:
        NotJudgedError: there is no reference, and a limit needs one.
    """
    if request.reference is not None:
        check_can_judge(request, candidate, compared=True)
        size = (candidate.input.height, candidate.input.width)
        named = open_model(
            request.reference,
            size=size,
            threads=request.threads,
            overrides=request.overrides,
            progress=progress,
        )
        stack.callback(named.close)
        check_same_classes(named, candidate)
        if isinstance(named, CheckpointModel):
            progress.say(f"the reference, {named.name}, runs in PyTorch: it takes most of the time")
        return named
    own = None if request.data is None else open_own_reference(candidate)
    check_can_judge(request, candidate, compared=own is not None)
    if own is not None:
        stack.callback(own.close)
        progress.say(f"no --reference: comparing with the bundle's own {own.variant.name} variant")
    return own


def _make_report(
    request: VerifyRequest,
    pair: Pair,
    found: Measurement | None,
    robustness: Robustness | None,
    progress: Progress,
) -> Report:
    """Make a report of what was measured, with the gates that it decides."""
    candidate, reference = pair.candidate, pair.reference
    fields: dict[str, Any] = {} if found is None else _make_fields(found, progress)
    channels = candidate.input.channels
    if request.report is not None and found is not None and channels != RGB:
        note = f"no image is drawn here: the images have {pluralize(channels, 'channel')}"
        fields["notes"] = (*found.notes, note)
    if robustness is not None:
        fields |= {"corruptions": robustness.corruptions, "families": robustness.families}
    if request.report is not None or request.limits.given & COST_LIMITS:
        timed = reference if _is_timed(request, reference) else None
        frame = _choose_timed_frame(candidate, found)
        fields["costs"] = measure_costs(candidate, timed, frame, progress=progress)
    measured = Report(
        passed=None,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        candidate=candidate.about,
        reference=None if reference is None else reference.about,
        protocol=request.protocol,
        windows=find_windows(request.protocol, candidate),
        gates=(),
        sensitivity=_find_sensitivity(candidate),
        machine=describe_machine(),
        tools=list_tools(),
        **fields,
    )
    return _add_judgment(measured, _judge(request, pair, measured, progress))


def _judge(request: VerifyRequest, pair: Pair, measured: Report, progress: Progress) -> Judged:
    """Judge everything but the losses against a baseline."""
    models = [model for model in (pair.candidate, pair.reference) if model is not None]
    judged = Judged(unjudged=tuple(one for model in models for one in model.unjudged))
    if isinstance(pair.candidate, BundleModel):
        judged += judge_replays(pair.candidate, on_data=measured.images > 0, progress=progress)
    judged += judge_coverage(measured.images, measured.skipped, request.limits)
    judged += judge_drops(measured, request.limits)
    judged += judge_robustness(measured.families, request.limits)
    if measured.costs is not None:
        judged += judge_costs(measured.costs, request.limits)
    return judged


def _compare(
    report: Report, baseline: Report | None, request: VerifyRequest, progress: Progress
) -> Report:
    """Add the changes since the baseline, the gates on them, and all notes."""
    if baseline is not None and request.baseline is not None:
        changes = compare_reports(
            report,
            baseline,
            origin=request.baseline,
            limits=request.limits,
            progress=progress,
        )
        regressions = judge_changes(changes, request.limits, rare=name_rare_classes(report.classes))
        report = _add_judgment(msgspec.structs.replace(report, baseline=changes), regressions)
    notes = (*report.notes, *list_notes(report, request.limits), *request.notes)
    return msgspec.structs.replace(report, notes=notes)


def _add_judgment(report: Report, further: Judged) -> Report:
    """Add a judgment to the report."""
    judged = report.judged + further
    return msgspec.structs.replace(
        report, gates=judged.gates, unjudged=judged.unjudged, passed=judged.passed
    )


def _make_fields(found: Measurement, progress: Progress) -> dict[str, Any]:
    """Make the fields of a `Report` about a data set."""
    share = found.share
    return {
        **make_accuracy_fields(found.counts, progress=progress),
        "per_image": make_image_results(found.counts, share.measured),
        "data": found.data,
        "skipped": share.skipped,
        "converted": share.converted,
        "differences": found.differences,
        "notes": found.notes,
    }


def _write(
    folder: Path, report: Report, pair: Pair, found: Measurement | None, progress: Progress
) -> None:
    from edgeseg.reports.writing import write_reports
    from edgeseg.verification.hardest import draw_hardest

    pictures = []
    if found is not None and pair.candidate.input.channels == RGB:
        pictures = list(draw_hardest(pair, found, report, progress=progress))
    begin(progress, "writing the report")
    write_reports(folder, report, labels=pair.candidate.labels, pictures=pictures)


def _is_timed(request: VerifyRequest, reference: Model | None) -> bool:
    """Say whether to time: PyTorch takes a second a frame, so only if a limit needs it."""
    return isinstance(reference, BundleModel) or "max_latency_ratio" in request.limits.given


def _choose_timed_frame(candidate: Model, found: Measurement | None) -> Bgr:
    """Choose a bundle's first golden frame; a checkpoint, which has none, takes an image."""
    if isinstance(candidate, BundleModel):
        return read_golden_frame(candidate.bundle)
    assert found is not None, "a checkpoint is measured on a data set"
    return found.share.measured[0].item.image()


def _find_sensitivity(candidate: Model) -> dict[str, float]:
    if not isinstance(candidate, BundleModel):
        return {}
    return candidate.bundle.manifest.sensitivity
