"""Chooses the form of the network: the fastest in FP32 that passes the gates.

Precision is searched for on the form that was chosen. The reference stays the exact network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from edgeseg.deploy.graph import FloatGraph, write_graph_in_form
from edgeseg.deploy.job import ExportJob
from edgeseg.errors import GateMissedError
from edgeseg.progress import begin
from edgeseg.quantize.budget import UsedUp
from edgeseg.quantize.judging import decide, sort_by_speed
from edgeseg.quantize.search import Search, Trial, measure_trial, put_in_form
from edgeseg.runtime.timing import SAME_SPEED, order_by_speed
from edgeseg.segformer.form import EXACT, FORMS, Form, describe_form
from edgeseg.segformer.macs import count_costs

__all__ = ["choose_form", "count_macs", "list_forms"]

_FOLDER: Final = "forms"


def list_forms(form: Form | None) -> list[Form]:
    """List the forms to try beside the exact network, from careful to bold; None is all of them."""
    forms = FORMS.values() if form is None else [form]
    return [one for one in forms if not one.is_exact]


def choose_form(job: ExportJob, graph: FloatGraph, search: Search) -> FloatGraph:
    """Return the graph in the form to go on with: `graph` itself where that is the exact one.

    With a form in the request, it is that one or none. Otherwise each named form is judged on the
    half that guides the search, what passed is timed, and the other half decides, on the fastest
    first.

    Raises:
        GateMissedError: the form that was asked for misses its gates.
        ExportError: a graph does not compute what PyTorch computes.
    """
    wanted = job.request.form
    merged = list_forms(wanted)
    if not merged:
        return graph
    with search.budget.spending("trying forms"):
        tried = dict(_try_forms(job, search, merged))
        trials = _rank(job, search, [trial for trial, _ in tried.values()])
        for trial in trials:
            decided = decide(search, trial)
            if decided.approved:
                form = trial.candidate.form
                job.progress.say(f"form {_describe_form(job, form)}")
                return tried[form.name][1]
            tried[trial.candidate.form.name] = decided, tried[trial.candidate.form.name][1]
    if wanted is not None:
        found = tried.get(wanted.name)
        exact = "keep the exact network with --form exact"
        if found is None:
            raise GateMissedError(
                f"form {wanted.name} was not tried: {search.budget.shortage}; give a longer "
                f"--budget, or {exact}"
            )
        raise GateMissedError(f"form {wanted.name} {found[0].verdict}; allow more loss, or {exact}")
    job.progress.say("form exact: no other one passed, or was faster")
    return graph


def count_macs(job: ExportJob, form: Form) -> int:
    """Count the multiply-adds of the checkpoint's network in a form."""
    size = job.checkpoint.input
    spec = job.checkpoint.spec
    return count_costs(spec, height=size.height, width=size.width, form=form).macs


def _describe_form(job: ExportJob, form: Form) -> str:
    macs, exact = count_macs(job, form), count_macs(job, EXACT)
    return describe_form(form.name, form.changes, macs=macs, exact_macs=exact)


def _try_forms(
    job: ExportJob, search: Search, forms: Sequence[Form]
) -> Iterator[tuple[str, tuple[Trial, FloatGraph]]]:
    """Measure each form in FP32 on the search half, from careful to bold, within the budget."""
    exact = count_macs(job, EXACT)
    names = ", ".join(f"{one.name} ({count_macs(job, one) / exact:.0%})" for one in forms)
    job.progress.say(f"forms of the network to try, with their share of the multiply-adds: {names}")
    folder = search.workspace.open_part(_FOLDER).folder
    for place, form in enumerate(forms):
        begin(job.progress, f"writing form {form.name}")
        written = write_graph_in_form(job, form, folder)
        trial = Trial(candidate=put_in_form(written.candidates[0], form), int8_share=0.0)
        try:
            with search.budget.enforce():
                measured = measure_trial(search, trial)
        except UsedUp:
            left = [one.name for one in forms[place:]]
            job.progress.say(search.budget.explain_shortage(left))
            return
        yield form.name, (measured, written)


def _rank(job: ExportJob, search: Search, trials: Sequence[Trial]) -> list[Trial]:
    """List the trials that passed and are faster than the exact network, the fastest first.

    Of those equally fast, the one with the smallest mIoU drop comes first: a form may move pixels
    and be right. Where a device will time them, fewer multiply-adds count as faster.
    """
    passed = [trial for trial in trials if trial.approved]
    if not search.timed:
        return sorted(passed, key=lambda trial: count_macs(job, trial.candidate.form))
    timed = sort_by_speed(replace(search, quantizer=None), passed) if passed else []
    least = 1 + SAME_SPEED
    wanted = job.request.form is not None
    faster = [
        trial for trial in timed if trial.approved and (wanted or (trial.speedup or 0.0) >= least)
    ]
    return order_by_speed(faster, speed=lambda t: t.speedup or 0.0, agreement=_rate_accuracy)


def _rate_accuracy(trial: Trial) -> float:
    """Rate a trial by the mIoU that it keeps; without ground truth, by the pixels that agree."""
    accuracy = trial.search
    if accuracy is None:
        return 0.0
    return accuracy.pixel_agreement if accuracy.drop is None else -accuracy.drop
