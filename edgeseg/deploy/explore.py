"""Searches for variants in one form of the network, and in others where its INT8 misses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from edgeseg.calibration.light import light_every_other
from edgeseg.deploy.data import ExportData
from edgeseg.deploy.forms import Choice, write_form
from edgeseg.deploy.graph import FloatGraph
from edgeseg.deploy.job import ExportJob
from edgeseg.deploy.recover import recover_int8
from edgeseg.pixels import to_input
from edgeseg.quantize.calibrated import Calibrated
from edgeseg.quantize.judging import judge, sort_by_speed
from edgeseg.quantize.search import Candidate, Search, Trial, explore, put_in_form
from edgeseg.quantize.targets.maker import Job, Tools, load_maker
from edgeseg.segformer.form import EXACT

if TYPE_CHECKING:
    from edgeseg.calibration.observe import Tap
    from edgeseg.pixels import Bgr, Frame
    from edgeseg.quantize.meter import Read

__all__ = ["Explored", "explore_forms"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explored:
    """What a search tried, the fastest first, and what it worked with.

    `forms` gives the further files of a candidate that passed, from which a device chooses.
    """

    search: Search
    tools: Tools
    trials: Sequence[Trial]
    forms: Callable[[Candidate], Iterable[Candidate]]


def explore_forms(
    job: ExportJob, exact: FloatGraph, choice: Choice, data: ExportData, search: Search
) -> Explored:
    """Search in the chosen form; where all of its INT8 misses, search in others, too.

    More careful forms come first, while the budget lasts; the exact one comes last. They are only
    tried where the user left the form open.
    """
    found = _explore(job, exact, choice.graph, data, search)
    if choice.graph.form.is_exact or job.request.form is not None:
        return found
    tools = {choice.graph.form: found.tools}
    earlier: list[Trial] = []
    for form in (*choice.careful, EXACT):
        if not form.is_exact and search.budget.left <= 0:
            continue
        # Decided here, not at the end: what is measured on the deciding half is kept.
        judged = judge(found.search, found.trials, {})
        if not _misses_int8(judged):
            break
        earlier += [trial for trial in judged if not trial.candidate.form.is_exact]
        name = "the exact network" if form.is_exact else f"form {form.name}"
        job.progress.say(f"no INT8 of form {found.search.form.name} passed: trying that of {name}")
        graph = exact if form.is_exact else write_form(job, search, form)
        found = _explore(job, exact, graph, data, search, recovers=False)  # its time is used up
        tools[form] = found.tools
    if not earlier:
        return found
    return replace(
        found,
        trials=sort_by_speed(found.search, [*found.trials, *earlier]),
        forms=lambda candidate: tools[candidate.form].forms(candidate),
    )


def _explore(
    job: ExportJob,
    exact: FloatGraph,
    chosen: FloatGraph,
    data: ExportData,
    search: Search,
    *,
    recovers: bool = True,
) -> Explored:
    """Search in one form; files of any form but the exact one lie in a folder of that form."""
    if not chosen.form.is_exact:
        part = search.workspace.open_part(f"form_{chosen.form.digest}")
        search = replace(search, form=chosen.form, artifacts=part)
    with search.budget.spending("preparing"):
        tools = _prepare(job, chosen, data, search)
    floats = _list_floats(exact, chosen, tools)
    search = replace(search, floats=floats, quantizer=tools.quantizer)
    tried = explore(search)
    if recovers:
        tried += recover_int8(job, search, tried, exact, data)
    trials = sort_by_speed(search, tried)
    return Explored(search=search, tools=tools, trials=trials, forms=tools.forms)


def _misses_int8(trials: Sequence[Trial]) -> bool:
    """Tell whether INT8 was tried, and none of it passed."""
    tried = [trial for trial in trials if trial.candidate.precision == "int8"]
    return bool(tried) and not any(trial.approved for trial in tried)


def _list_floats(exact: FloatGraph, chosen: FloatGraph, tools: Tools) -> Sequence[Candidate]:
    """List the float candidates: those of the form, behind exact FP32, the reference of all."""
    if chosen.form.is_exact:
        return tools.floats
    formed = (put_in_form(candidate, chosen.form) for candidate in tools.floats)
    return (exact.candidates[0], *formed)


def _prepare(job: ExportJob, graph: FloatGraph, data: ExportData, search: Search) -> Tools:
    """Let the target's module make INT8 variants of the graph with the calibration images."""
    spec = job.checkpoint.input

    def check_and_read(read: Callable[[], Bgr]) -> Bgr:
        search.budget.check()  # calibration reads one image after the other
        return read()

    def read_input(read: Callable[[], Bgr]) -> Frame:
        return to_input(check_and_read(read), spec)

    chosen = data.calibration
    pictures = () if chosen is None else chosen.pictures
    frames = light_every_other([partial(check_and_read, one.image) for one in pictures], spec)
    searched = [partial(read_input, partial(_read_image, r)) for _, r in search.search_half.images]

    # What INT8 costs a group is measured against the same form in float.
    own_half = replace(
        search.search_half,
        masks=search.artifacts.path("masks"),
        open_reference=partial(job.open_to_prove, graph.artifact, "f32"),
    )

    def calibrate(taps: Sequence[Tap]) -> Calibrated:
        return Calibrated(
            graph.model,
            frames,
            taps=taps,
            estimator=job.request.estimator,
            meter=own_half,
            workspace=search.artifacts,
            progress=search.progress,
        )

    may_be_int8 = chosen is not None and job.request.precision in {"auto", "int8"}
    return load_maker(job.request.target).prepare(
        Job(
            graph=graph.model,
            floats=graph.candidates,
            frames=frames or searched,
            calibrate=calibrate if may_be_int8 else None,
            upsampling=job.checkpoint.input.upsampling,
            workspace=search.artifacts,
            progress=search.progress,
        )
    )


def _read_image(read: Read) -> Bgr:
    image, _ = read()
    return image
