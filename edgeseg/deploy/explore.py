"""Searches for variants in one form of the network, and in the exact one where INT8 needs that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from edgeseg.deploy.data import ExportData
from edgeseg.deploy.graph import FloatGraph
from edgeseg.deploy.job import ExportJob
from edgeseg.pixels import to_input
from edgeseg.quantize.calibrated import Calibrated
from edgeseg.quantize.judging import judge, sort_by_speed
from edgeseg.quantize.search import Candidate, Search, Trial, explore, put_in_form
from edgeseg.quantize.targets.maker import Job, Tools, load_maker

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
    job: ExportJob, exact: FloatGraph, chosen: FloatGraph, data: ExportData, search: Search
) -> Explored:
    """Search in the chosen form; where all of its INT8 misses, search in the exact one, too.

    The exact one is only tried where the user left the form open.
    """
    found = _explore(job, exact, chosen, data, search)
    if chosen.form.is_exact or job.request.form is not None:
        return found
    # Decided here, not at the end: what is measured on the deciding half is kept.
    judged = judge(found.search, found.trials, {})
    if not _misses_int8(judged):
        return found
    job.progress.say(f"no INT8 of form {chosen.form.name} passed: trying that of the exact network")
    plain = _explore(job, exact, exact, data, search)
    formed = [trial for trial in judged if not trial.candidate.form.is_exact]
    return Explored(
        search=plain.search,
        tools=plain.tools,
        trials=sort_by_speed(plain.search, [*plain.trials, *formed]),
        forms=partial(_list_files, plain.tools, found.tools),
    )


def _explore(
    job: ExportJob, exact: FloatGraph, chosen: FloatGraph, data: ExportData, search: Search
) -> Explored:
    """Search in one form; files of any form but the exact one lie in a folder of that form."""
    if not chosen.form.is_exact:
        part = search.workspace.open_part(f"form_{chosen.form.digest}")
        search = replace(search, form=chosen.form, artifacts=part)
    with search.budget.spending("preparing"):
        tools = _prepare(job, chosen, data, search)
    floats = _list_floats(exact, chosen, tools)
    search = replace(search, floats=floats, quantizer=tools.quantizer)
    trials = sort_by_speed(search, explore(search))
    return Explored(search=search, tools=tools, trials=trials, forms=tools.forms)


def _misses_int8(trials: Sequence[Trial]) -> bool:
    """Tell whether INT8 was tried, and none of it passed."""
    tried = [trial for trial in trials if trial.candidate.precision == "int8"]
    return bool(tried) and not any(trial.approved for trial in tried)


def _list_files(exact: Tools, formed: Tools, candidate: Candidate) -> Iterable[Candidate]:
    return (exact if candidate.form.is_exact else formed).forms(candidate)


def _list_floats(exact: FloatGraph, chosen: FloatGraph, tools: Tools) -> Sequence[Candidate]:
    """List the float candidates: those of the form, behind exact FP32, the reference of all."""
    if chosen.form.is_exact:
        return tools.floats
    formed = (put_in_form(candidate, chosen.form) for candidate in tools.floats)
    return (exact.candidates[0], *formed)


def _prepare(job: ExportJob, graph: FloatGraph, data: ExportData, search: Search) -> Tools:
    """Let the target's module make INT8 variants of the graph with the calibration images."""

    def read_input(read: Callable[[], Bgr]) -> Frame:
        search.budget.check()  # calibration reads one image after the other
        return to_input(read(), job.checkpoint.input)

    chosen = data.calibration
    pictures = () if chosen is None else chosen.pictures
    frames = [partial(read_input, picture.image) for picture in pictures]
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
