"""Chooses the form of the network: the fastest in FP32 that passes the gates.

Precision is searched for on the form that was chosen. The reference stays the exact network. The
workspace keeps what was chosen: another timing might choose otherwise, and a killed export has
calibrated for this form.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from edgeseg.deploy.graph import FloatGraph, write_graph_in_form
from edgeseg.deploy.job import ExportJob
from edgeseg.errors import ExportError, GateMissedError
from edgeseg.progress import begin
from edgeseg.quantize.budget import UsedUp
from edgeseg.quantize.judging import decide, sort_by_speed
from edgeseg.quantize.search import Search, Trial, measure_trial, put_in_form, reserve
from edgeseg.runtime.timing import SAME_SPEED, order_by_speed
from edgeseg.segformer.form import EXACT, FORMS, Form, describe_form
from edgeseg.segformer.macs import count_costs

__all__ = ["Choice", "choose_form", "count_macs", "list_forms", "write_form"]

_FOLDER: Final = "forms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The network in the form to go on with.

    `careful` are the more careful forms that passed, too, on the half that guides the search, the
    fastest first.
    """

    graph: FloatGraph
    careful: tuple[Form, ...] = ()


def list_forms(form: Form | None) -> list[Form]:
    """List the forms to try beside the exact network, from careful to bold; None is all of them."""
    forms = FORMS.values() if form is None else [form]
    return [one for one in forms if not one.is_exact]


def choose_form(job: ExportJob, exact: FloatGraph, search: Search) -> Choice:
    """Choose the form to go on with: `exact` where no other one passes and is faster.

    With a form in the request, it is that one or none. Otherwise each named form is judged on the
    half that guides the search, what passed is timed, and the other half decides, on the fastest
    first.

    Raises:
        GateMissedError: the form that was asked for misses its gates.
        ExportError: a graph does not compute what PyTorch computes.
    """
    wanted, merged = job.request.form, list_forms(job.request.form)
    if not merged:
        return Choice(graph=exact)
    with search.budget.spending("trying forms"):
        if wanted is not None:
            return Choice(graph=_demand_form(job, search, wanted))
        kept = _recall_forms(search, merged)
        if kept is None:
            return _find_form(job, exact, search, merged)
        said = "chosen in an earlier export of the same model, data and limits"
        if not kept:
            job.progress.say(f"{said}: form exact")
            return Choice(graph=exact)
        first, *careful = kept
        job.progress.say(f"{said}: form {_describe_form(job, first)}")
        return Choice(graph=write_form(job, search, first), careful=tuple(careful))


def write_form(job: ExportJob, search: Search, form: Form) -> FloatGraph:
    """Write the network in another form than the exact one; see `write_graph_in_form`."""
    begin(job.progress, f"writing form {form.name}")
    return write_graph_in_form(job, form, search.workspace.open_part(_FOLDER).folder)


def count_macs(job: ExportJob, form: Form) -> int:
    """Count the multiply-adds of the checkpoint's network in a form."""
    size = job.checkpoint.input
    spec = job.checkpoint.spec
    return count_costs(spec, height=size.height, width=size.width, form=form).macs


def _describe_form(job: ExportJob, form: Form) -> str:
    macs, exact = count_macs(job, form), count_macs(job, EXACT)
    return describe_form(form.name, form.changes, macs=macs, exact_macs=exact)


def _demand_form(job: ExportJob, search: Search, form: Form) -> FloatGraph:
    """Return the network in the form that was asked for, once it has passed its gates."""
    exact = "keep the exact network with --form exact"
    for trial, graph in _try_forms(job, search, [form]):
        decided = decide(search, trial) if trial.approved else trial
        if not decided.approved and job.request.recover is not None:
            job.progress.say(f"form {form.name} {decided.verdict}: its INT8 is recovered")
        elif not decided.approved:
            raise GateMissedError(
                f"form {form.name} {decided.verdict}; allow more loss, or {exact}"
            )
        job.progress.say(f"form {_describe_form(job, form)}")
        return graph
    raise ExportError(
        f"form {form.name} was not tried: {search.budget.shortage}; give a longer --budget, or "
        f"{exact}"
    )


def _find_form(job: ExportJob, exact: FloatGraph, search: Search, merged: Sequence[Form]) -> Choice:
    """Try all forms, and keep what is found, unless the budget left some of them untried."""
    graphs: dict[Form, FloatGraph] = {}
    trials: list[Trial] = []
    for trial, graph in _try_forms(job, search, merged):
        graphs[trial.candidate.form] = graph
        trials.append(trial)
    passed, out = _rank(job, search, trials)
    for place, trial in enumerate(passed):
        decided = decide(search, trial)
        if decided.approved:
            form = trial.candidate.form
            bolder = merged[merged.index(form) :]
            slower = (other.candidate.form for other in passed[place + 1 :])
            careful = tuple(other for other in slower if other not in bolder)
            choice = Choice(graph=graphs[form], careful=careful)
            job.progress.say(f"form {_describe_form(job, form)}")
            break
        out.append(decided)
    else:
        choice = Choice(graph=exact)
        why = "; ".join(f"{trial.candidate.form.name} {trial.verdict}" for trial in out)
        job.progress.say(f"form exact: {why or 'no other one was tried'}")
    if len(trials) == len(merged):
        _keep_forms(search, merged, choice)
    return choice


def _recall_forms(search: Search, merged: Sequence[Form]) -> list[Form] | None:
    """Recall what an earlier search chose, and what it would try next; None where there is none."""
    known = {form.name: form for form in merged}
    try:
        names = msgspec.convert(search.workspace.recall(_name_choice(search, merged)), list[str])
    except msgspec.ValidationError:
        return None
    return [known[name] for name in names] if known.keys() >= set(names) else None


def _keep_forms(search: Search, merged: Sequence[Form], choice: Choice) -> None:
    form = choice.graph.form
    forms = () if form.is_exact else (form, *choice.careful)
    search.workspace.keep(_name_choice(search, merged), [one.name for one in forms])


def _name_choice(search: Search, merged: Sequence[Form]) -> str:
    """Name a choice by what it depends on beside the workspace's question: limits and forms."""
    limits = search.limits
    rests_on = limits.values, sorted(limits.given), [(one.name, one.digest) for one in merged]
    return f"chosen_form_{hashlib.sha256(json.dumps(rests_on).encode()).hexdigest()[:16]}"


def _try_forms(
    job: ExportJob, search: Search, forms: Sequence[Form]
) -> Iterator[tuple[Trial, FloatGraph]]:
    """Measure each form in FP32 on the search half, from careful to bold, within the budget."""
    exact = count_macs(job, EXACT)
    names = ", ".join(f"{one.name} ({count_macs(job, one) / exact:.0%})" for one in forms)
    job.progress.say(f"forms of the network to try, with their share of the multiply-adds: {names}")
    trials: list[Trial] = []
    for place, form in enumerate(forms):
        graph = write_form(job, search, form)
        trial = Trial(candidate=put_in_form(graph.candidates[0], form), int8_share=0.0)
        try:
            with search.budget.enforce():
                trials.append(measure_trial(search, trial))
        except UsedUp:
            left = [one.name for one in forms[place:]]
            job.progress.say(search.budget.explain_shortage(left))
            return
        reserve(search, trials)
        yield trials[-1], graph


def _rank(
    job: ExportJob, search: Search, trials: Sequence[Trial]
) -> tuple[list[Trial], list[Trial]]:
    """List the trials that passed and are faster than the exact network; list the others, too.

    The fastest comes first. Of those equally fast it is the one with the smallest mIoU drop: a form
    may move pixels and be right. Where a device will time them, fewer multiply-adds count as
    faster.
    """
    passed = [trial for trial in trials if trial.approved]
    out = [trial for trial in trials if not trial.approved]
    if not search.timed:
        return sorted(passed, key=lambda trial: count_macs(job, trial.candidate.form)), out
    faster: list[Trial] = []
    for trial in sort_by_speed(search, passed) if passed else []:
        speedup = trial.speedup or 0.0
        if trial.approved and speedup < 1 + SAME_SPEED:
            verdict = f"was no faster ({speedup:.2f}x FP32, and {SAME_SPEED:.0%} count as equal)"
            trial = replace(trial, approved=False, verdict=verdict)
        (faster if trial.approved else out).append(trial)
    ranked = order_by_speed(faster, speed=lambda t: t.speedup or 0.0, agreement=_rate_accuracy)
    return ranked, out


def _rate_accuracy(trial: Trial) -> float:
    """Rate a trial by the mIoU that it keeps; without ground truth, by the pixels that agree."""
    accuracy = trial.search
    if accuracy is None:
        return 0.0
    return accuracy.pixel_agreement if accuracy.drop is None else -accuracy.drop
