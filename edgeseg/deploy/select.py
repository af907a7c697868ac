"""Selects which of the trials ship and which one runs, and says why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from edgeseg.accuracy.gates import Judged, judge_accuracy
from edgeseg.accuracy.limits import LIMITS, Limits, name_option
from edgeseg.errors import BackendError, ExportError, GateMissedError
from edgeseg.quantize.judging import rank_timed
from edgeseg.quantize.search import Candidate, Trial
from edgeseg.runtime.timing import SAME_SPEED
from edgeseg.segformer.form import Form
from edgeseg.text import pluralize

__all__ = ["Selection", "select", "select_fp32"]


# What an artifact may compute in, by what was asked for.
_KINDS: Final = MappingProxyType(
    {
        "auto": frozenset({"fp32", "fp16", "bf16", "int8"}),
        "fp32": frozenset({"fp32"}),
        "fp16": frozenset({"fp16", "bf16"}),
        "int8": frozenset({"int8"}),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What ships, the one that runs, why, and everything that was tried."""

    shipped: tuple[Trial, ...]
    chosen: Trial
    reason: str
    tried: tuple[Trial, ...]


def select_fp32(fp32: Candidate, reason: str, out: Mapping[str, str]) -> Selection:
    """Select FP32 if nothing else was tried, for the given reason.

    Raises:
        BackendError: FP32 is in `out`.
    """
    if fp32.name in out:
        raise BackendError(f"{fp32.name}, the only variant to export, {out[fp32.name]}")
    trial = Trial(candidate=fp32, int8_share=0.0, approved=True, verdict="the reference")
    return Selection(shipped=(trial,), chosen=trial, reason=reason, tried=(trial,))


def select(
    trials: Sequence[Trial],
    *,
    precision: str,
    limits: Limits,
    gate_images: int,
    calibrated: bool,
    forms: Callable[[Candidate], Iterable[Candidate]],
    shortage: str = "",
    form: Form | None = None,
) -> Selection:
    """Select the fastest trial of what was asked for; all that was approved ships.

    `gate_images` is how many images decided. `calibrated` says whether INT8 could be tried, and
    `shortage` why the budget left something untried. `forms` gives the further files of a
    candidate, from which a device chooses. With a `form`, only a trial in that form may run.

    Raises:
        ExportError: nothing of the precision asked for was tried; says why.
        GateMissedError: nothing of the precision asked for passed; says what came nearest.
    """
    approved = _from_fast_to_slow([trial for trial in trials if trial.approved])
    kinds = _KINDS[precision]
    asked = [
        trial
        for trial in trials
        if trial.candidate.precision in kinds and form in {None, trial.candidate.form}
    ]
    if not asked:
        why = _explain_untried(precision, calibrated=calibrated, shortage=shortage)
        raise ExportError(f"nothing in {precision} was tried: {why}")
    chosen = next((trial for trial in approved if trial in asked), None)
    if chosen is None:
        raise GateMissedError(_explain_misses(precision, asked, limits, shortage))
    return Selection(
        shipped=tuple(_list_shipped(approved, forms)),
        chosen=chosen,
        reason=_explain_choice(_name_asked(precision, form), chosen, approved, gate_images),
        tried=tuple(trials),
    )


def _from_fast_to_slow(trials: Sequence[Trial]) -> list[Trial]:
    """Sort by speed, at equal speed by accuracy; sort untimed trials by precision, lowest first."""
    if any(trial.speedup is not None for trial in trials):
        return rank_timed(trials)
    bold = {"int8": 0, "fp16": 1, "bf16": 1, "fp32": 2}
    return sorted(trials, key=lambda trial: bold[trial.candidate.precision])


def _list_shipped(
    approved: Sequence[Trial], forms: Callable[[Candidate], Iterable[Candidate]]
) -> Iterator[Trial]:
    """List at most one float and one INT8 file, each under every float type and in every form.

    FP32 does not ship if a device times the variants and a 16-bit one passed.
    """
    ordered = sorted(approved, key=lambda t: (t.candidate.precision == "int8", t.candidate.compute))
    timed = any(trial.speedup is not None for trial in ordered)
    for trial in ordered:
        if not timed and len(ordered) > 1 and trial.candidate.precision == "fp32":
            continue
        yield trial
        for form in forms(trial.candidate) if trial.candidate.compute == "f16" else ():
            yield replace(trial, candidate=form, search=None, gate=None)


def _name_asked(precision: str, form: Form | None) -> str:
    """Name the precision and the form that the user asked for; empty if the search chose both."""
    parts = [] if precision == "auto" else [precision]
    if form is not None and not form.is_exact:
        parts.append(f"form {form.name}")
    return " and ".join(parts)


def _explain_choice(asked: str, chosen: Trial, approved: Sequence[Trial], gate_images: int) -> str:
    """Say in one sentence why the chosen trial runs; `asked` is what the user asked for."""
    accuracy = chosen.gate
    assert accuracy is not None, "what is approved was measured on the gate half"
    what = (
        f"{accuracy.pixel_agreement:.2f} % of the pixels as in FP32"
        if accuracy.drop is None
        else f"mIoU drop {accuracy.drop:+.2f} "
        f"({accuracy.drop_low:+.2f} to {accuracy.drop_high:+.2f})"
    )
    name, speedup = chosen.candidate.name, chosen.speedup
    measured = f"{what} on {pluralize(gate_images, 'image')}"
    if speedup is None:
        names = " and ".join(
            trial.candidate.name for trial in approved if trial.candidate.compute == "f16"
        )
        decides = (
            f"times {names} and keeps the faster" if " and " in names else f"proves {names} again"
        )
        return f"{name} passed: {measured}; the device {decides}"
    if not asked:
        return f"{name} {_compare_speed(chosen, approved)}: {speedup:.2f}x FP32 here, {measured}"
    note = _warn_of_slowness(chosen, approved)
    verb = "were" if " and " in asked else "was"
    return f"{asked} {verb} asked for: {name}, {speedup:.2f}x FP32 here, {measured}{note}"


def _compare_speed(chosen: Trial, approved: Sequence[Trial]) -> str:
    """Say how fast the one that runs is among all that passed."""
    if len(approved) == 1:
        return "is the only one that passed"
    fastest = max(approved, key=lambda trial: trial.speedup or 0.0)
    if fastest is chosen:
        return f"is the fastest of {len(approved)} that passed"
    return (
        f"is as fast as the fastest of {len(approved)} that passed, within {SAME_SPEED:.0%} "
        f"({fastest.candidate.name}, {fastest.speedup:.2f}x), and more exact"
    )


def _warn_of_slowness(chosen: Trial, approved: Sequence[Trial]) -> str:
    """Say that the requested precision is not worth using; empty if it is."""
    speedup = chosen.speedup or 0.0
    fastest = max(approved, key=lambda trial: trial.speedup or 0.0)
    if (fastest.speedup or 0.0) * (1 - SAME_SPEED) > speedup:
        return f"; {fastest.candidate.name} was faster here ({fastest.speedup:.2f}x)"
    if chosen.candidate.precision != "fp32" and speedup * (1 - SAME_SPEED) <= 1.0:
        return f"; it is no faster than FP32 here, within {SAME_SPEED:.0%}"
    return ""


def _explain_untried(precision: str, *, calibrated: bool, shortage: str) -> str:
    """Say why nothing of a precision was tried, and what to do."""
    if precision != "int8":
        return "this CPU has no 16-bit float of its own; ask for auto, int8 or fp32"
    if shortage:
        return f"{shortage}; give a longer --budget"
    if not calibrated:
        return "INT8 needs images to calibrate on; give --calibration SOURCE"
    return "the recipe names no operation that this target computes in INT8; give another --recipe"


def _explain_misses(precision: str, asked: Sequence[Trial], limits: Limits, shortage: str) -> str:
    """Say which three came nearest to passing, and what would let them pass."""

    def judge_trial(trial: Trial) -> Judged:
        accuracy = trial.gate or trial.search
        return Judged() if accuracy is None else judge_accuracy(accuracy, limits)

    def distance(trial: Trial) -> float:
        if trial.gate is None and trial.search is None:
            return float("inf")
        return max((abs(gate.value - gate.limit) for gate in judge_trial(trial).misses), default=0)

    named = sorted(asked, key=distance)[:3]
    misses = "; ".join(f"{t.candidate.name} {t.verdict}" for t in named)
    missed = {gate.key for trial in named for gate in judge_trial(trial).misses}
    open_ones = [j.unjudged for j in map(judge_trial, named) if not j.misses]
    left = dict.fromkeys(one.remedy for unjudged in open_ones for one in unjudged)
    flags = [name_option(key) for key in LIMITS if key in missed]
    remedies = [f"allow more loss with {' and '.join(flags)}"] if flags else []
    remedies += left
    if precision == "int8" and not left:
        remedies.append("calibrate on more or other images")
    if any(not trial.candidate.form.is_exact for trial in asked):
        remedies.append("keep the exact network with --form exact")
    if shortage:
        remedies.append("give a longer --budget, which left some untried")
    return f"no {precision} variant passed its gates. Nearest: {misses}" + (
        f"; {', or '.join(remedies)}" if remedies else ""
    )
