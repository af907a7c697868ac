"""Times the variants that passed the search, and lets the other half of the data decide.

What passed is timed against the float baseline on the engine itself. Then the gate half decides, on
the fastest first. A candidate whose engine fails meanwhile is dropped by name; the others go on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import msgspec
import numpy as np

from edgeseg.accuracy.gates import judge_accuracy
from edgeseg.errors import BackendError
from edgeseg.progress import track
from edgeseg.quantize.corrupted import judge_corrupted, measure_corrupted
from edgeseg.quantize.meter import measure_speed
from edgeseg.quantize.search import Search, Trial, describe_verdict, drop_failed, measure_once
from edgeseg.runtime.timing import SAME_SPEED, order_by_speed
from edgeseg.text import pluralize

__all__ = ["decide", "judge", "rank_timed", "sort_by_speed"]

# Shares that differ by less count as equally bold: B0's first convolution and classifier.
SAME_BOLDNESS: Final = 0.1


def sort_by_speed(job: Search, trials: Sequence[Trial]) -> list[Trial]:
    """Sort trials by speed, or, where a device will time them, by boldness.

    Trials that did not pass, or fail while they are timed, come last.
    """
    passed = [trial for trial in trials if trial.approved]
    out = [trial for trial in trials if not trial.approved]
    if not job.timed:
        return [*_sort_by_boldness(passed), *out]
    with job.budget.spending("timing"):
        timed = _time_all(job, passed)
    return [
        *rank_timed([trial for trial in timed if trial.approved]),
        *(trial for trial in timed if not trial.approved),
        *out,
    ]


def rank_timed(trials: Sequence[Trial]) -> list[Trial]:
    """Sort timed trials, the fastest first; of those equally fast, the most exact."""

    def agreement(trial: Trial) -> float:
        accuracy = trial.gate or trial.search
        return 0.0 if accuracy is None else accuracy.pixel_agreement

    return order_by_speed(trials, speed=lambda t: t.speedup or 0.0, agreement=agreement)


def judge(job: Search, trials: Sequence[Trial], out: Mapping[str, str]) -> list[Trial]:
    """Give each trial its last verdict: floats, then INT8, then those dropped before.

    `out` names the trials that were dropped for another reason, and gives the reason.

    Raises:
        BackendError: the FP32 baseline fails, the reference of all that is measured.
    """
    passed = [
        replace(trial, approved=False, verdict=out[trial.candidate.name])
        if trial.candidate.name in out
        else trial
        for trial in trials
        if trial.approved
    ]
    floats = [trial for trial in passed if trial.candidate.precision != "int8"]
    eights = [trial for trial in passed if trial.candidate.precision == "int8"]
    with job.budget.spending("deciding"):
        judged = [*_judge_in_order(job, floats), *_judge_in_order(job, eights)]
    return [*judged, *(trial for trial in trials if not trial.approved)]


def _time_all(job: Search, trials: Sequence[Trial]) -> list[Trial]:
    """Time each trial; what was trained computes the same steps, and has its origin's speed."""
    names = {trial.candidate.name for trial in trials}
    trained = [trial for trial in trials if trial.candidate.trained_from in names]
    own = [trial for trial in trials if trial not in trained]
    job.progress.say(f"timing {pluralize(len(own), 'variant')} in turns with FP32")
    timed = _time_in_turns(job, own)
    origins = {trial.candidate.name: trial for trial in timed}
    for trial in trained:
        assert trial.candidate.trained_from is not None
        origin = origins[trial.candidate.trained_from]
        trial = replace(trial, speedup=origin.speedup, latency_ms=origin.latency_ms)
        # What an engine does not run, it does not run with other constants.
        timed.append(
            trial if origin.approved else replace(trial, approved=False, verdict=origin.verdict)
        )
    return timed


def _time_in_turns(job: Search, trials: Sequence[Trial]) -> list[Trial]:
    """Time each trial against the FP32 baseline, in turns."""
    baseline = job.floats[0]
    timed = []
    baseline_ms: list[float] = []
    with job.open_engine(baseline.path, baseline.compute) as base:
        for trial in track(job.progress, "timing", trials, "variant"):
            own = trial.candidate
            try:
                with job.open_engine(own.path, own.compute) as backend:
                    speedup, milliseconds = measure_speed(backend, base, job.frame)
            except BackendError as error:
                verdict = drop_failed(job, own, error, while_="while it was timed")
                timed.append(replace(trial, approved=False, verdict=verdict))
                continue
            baseline_ms.append(milliseconds)
            timed.append(replace(trial, speedup=1.0 if own is baseline else speedup))
    # All share one baseline, so that milliseconds agree with the ratios.
    base_ms = float(np.median(baseline_ms)) if baseline_ms else 0.0
    return [t if t.speedup is None else replace(t, latency_ms=base_ms / t.speedup) for t in timed]


def _sort_by_boldness(trials: Sequence[Trial]) -> list[Trial]:
    """Sort trials that a device will time: of those about equally bold, the most exact first.

    FP32 comes last: it is the reference, and whatever is smaller is faster.
    """

    def rank(trial: Trial) -> tuple[bool, bool, float]:
        bold = trial.int8_share >= boldest - SAME_BOLDNESS
        agreement = trial.search.pixel_agreement if trial.search else 0.0
        return bold, trial.candidate.precision != "fp32", agreement

    boldest = max((trial.int8_share for trial in trials), default=0.0)
    return sorted(trials, key=rank, reverse=True)


def _judge_in_order(job: Search, trials: Sequence[Trial]) -> list[Trial]:
    """Judge on the gate half, from fast to slow, until one passes; the others stay as they are.

    FP32 is always measured: it is the reference of every figure. What passes in another form than
    that of the search, as exact FP32 may, makes nothing unneeded. The file that passed is also
    measured under its other float types: another machine may have to run it so.
    """
    judged: list[Trial] = []
    winner: Trial | None = None
    for trial in trials:
        own = trial.candidate
        if not trial.approved:
            judged.append(trial)
        elif winner is None or winner.candidate.path == own.path or own is job.floats[0]:
            judged.append(decide(job, trial))
            if winner is None and judged[-1].approved and own.form == job.form:
                winner = judged[-1]
        else:
            judged.append(
                replace(trial, approved=False, verdict=_explain_not_needed(trial, winner))
            )
    return judged


def decide(job: Search, trial: Trial) -> Trial:
    """Measure a trial on the gate half, and give it the verdict."""
    try:
        accuracy = measure_once(job, trial.candidate, job.gate_half, "gate")
        judged = judge_accuracy(accuracy, job.limits)
        recovery = trial.candidate.recovery
        if recovery is not None and not judged.misses:
            extra = measure_corrupted(job, trial.candidate, job.gate_half, "gate")
            if not extra:
                job.progress.say(
                    f"  {trial.candidate.name} is not judged in bad light: that takes color images "
                    f"with ground truth, and corruptions that FP32 survives"
                )
            judged += judge_corrupted(job, extra)
            told = msgspec.structs.replace(recovery, extra_drops=extra)
            trial = replace(trial, candidate=replace(trial.candidate, recovery=told))
    except BackendError as error:
        verdict = drop_failed(job, trial.candidate, error, while_="on the deciding half")
        return replace(trial, approved=False, verdict=verdict)
    if trial.candidate is job.floats[0]:  # the reference loses nothing, even if nothing is judged
        judged = replace(judged, unjudged=())
    approved = not judged.misses and not judged.unjudged
    return replace(
        trial, gate=accuracy, approved=approved, verdict=describe_verdict(judged, "deciding half")
    )


def _explain_not_needed(trial: Trial, winner: Trial) -> str:
    """Say why a trial was not decided on, even if timing called it faster."""
    name = winner.candidate.name
    if (trial.speedup or 0.0) > (winner.speedup or 0.0):
        return (
            f"not needed: {name} passed, agrees better on the guiding half, and is as fast within "
            f"{SAME_SPEED:.0%}"
        )
    return f"not needed: {name} passed"
