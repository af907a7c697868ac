"""Searches for variants: makes INT8 variants, measures and times them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from edgeseg.bundle.manifest import CalibrationInfo, Evaluation
from edgeseg.calibration.choose import FEW
from edgeseg.calibration.light import LIGHTS
from edgeseg.calibration.ranges import SAMPLING
from edgeseg.deploy.data import ExportData
from edgeseg.deploy.explore import Explored, explore_forms
from edgeseg.deploy.forms import choose_form
from edgeseg.deploy.graph import FloatGraph
from edgeseg.deploy.job import ExportJob
from edgeseg.deploy.plan import describe_plan, measure_pace
from edgeseg.deploy.request import ExportRequest
from edgeseg.deploy.select import Selection, select, select_fp32
from edgeseg.files.whole import compute_sha256
from edgeseg.machine.cpu import describe_machine
from edgeseg.machine.packages import find_version
from edgeseg.pixels import to_input
from edgeseg.quantize.budget import Budget
from edgeseg.quantize.calibrated import recall_figures
from edgeseg.quantize.judging import judge
from edgeseg.quantize.meter import Meter
from edgeseg.quantize.recipes import Recipe
from edgeseg.quantize.search import Search
from edgeseg.quantize.targets.maker import load_maker
from edgeseg.quantize.workspace import Workspace, open_workspace
from edgeseg.segformer.form import EXACT
from edgeseg.targets import find_target, list_packages
from edgeseg.text import pluralize

__all__ = ["Decide", "Found", "find_variants", "list_recipes"]

# From the variants that are out, by name with the reason, to what is left to ship.
Decide = Callable[[Mapping[str, str]], Selection]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search found, and what the manifest records of it.

    `decide` raises GateMissedError if no variant of the requested precision passes, and ExportError
    if none was tried. `gate_half` measures on the images that decide. `gate_half` and `evaluation`
    are None if only FP32 was requested, because then nothing is measured. `sensitivity` is in % of
    the pixels, by group. `peaks` holds the largest magnitude of every value of the graph if FP16
    has to represent them.
    """

    decide: Decide
    gate_half: Meter | None
    budget: Budget
    calibration: CalibrationInfo | None = None
    evaluation: Evaluation | None = None
    sensitivity: dict[str, float] = field(default_factory=dict)
    peaks: dict[str, float] = field(default_factory=dict)


@contextmanager
def find_variants(job: ExportJob, graph: FloatGraph, data: ExportData | None) -> Iterator[Found]:
    """Search for the fastest variants that pass the gates; without data, take FP32 only.

    The files of the variants exist while the block runs.

    Raises:
        BackendError: FP32, the reference of all measurements, fails.
        BundleError: the cache cannot be written.
    """
    budget = Budget(job.request.budget_s)
    if data is None:
        decide = partial(select_fp32, graph.candidates[0], job.request.fp32_reason)
        yield Found(decide=decide, gate_half=None, budget=budget)
        return
    with open_workspace(_describe_search(job, graph, data), say=job.progress.say) as workspace:
        _warn(job, data, workspace)
        search = _plan_search(job, graph, data, workspace, budget)
        pace = measure_pace(job, search)
        budget.note_pace(search.floats[0].name, pace)
        job.progress.say(describe_plan(job, search, data, pace))
        choice = choose_form(job, graph, search)
        explored = explore_forms(job, graph, choice, data, search)
        search, tools = explored.search, explored.tools
        if job.request.sensitivity and tools.quantizer is not None:
            with budget.spending("measuring sensitivity"):
                tools.quantizer.sensitivity()
        yield Found(
            decide=partial(_decide, job, data, explored),
            gate_half=search.gate_half,
            budget=budget,
            calibration=data.describe_calibration(tools.estimator or job.request.estimator),
            evaluation=data.evaluation,
            sensitivity=recall_figures(search.artifacts, "sensitivity"),
            peaks=recall_figures(search.artifacts, "peaks"),
        )


def _describe_search(job: ExportJob, graph: FloatGraph, data: ExportData) -> dict[str, object]:
    """Describe all that a measured value depends on. Limits are left out: they only judge."""
    packages = ("edgeseg", "numpy", *list_packages())
    return {
        "reference": compute_sha256(graph.artifact),
        "input": repr(job.checkpoint.input),
        "labels": job.checkpoint.labels.classes,
        "ignored": data.ignore_index,
        "target": job.request.target,
        "estimator": job.request.estimator,
        "sampling": SAMPLING,
        "lights": LIGHTS,
        "calibration": None if data.calibration is None else data.calibration.sha256,
        "images": data.sha256,
        "machine": describe_machine().features,
        "versions": {name: find_version(name) for name in packages},
    }


def _warn(job: ExportJob, data: ExportData, workspace: Workspace) -> None:
    """Say if an earlier export is continued, and warn if there are few images."""
    if any(workspace.folder.glob("search_*.json")):
        job.progress.say(
            "continuing an earlier export of the same model and data; the budget starts anew"
        )
    for line in data.calibration.warnings if data.calibration is not None else ():
        job.progress.say(f"warning: {line}")
    count = len(data.gate_places)
    if count < FEW:
        job.progress.say(
            f"warning: the choice rests on {pluralize(count, 'image')}; give {2 * FEW} or more "
            f"to measure on"
        )


def _plan_search(
    job: ExportJob, graph: FloatGraph, data: ExportData, workspace: Workspace, budget: Budget
) -> Search:
    """Make the search, with the float candidates only."""
    request = job.request
    first_image, _ = data.images[0]()
    masks = workspace.path("masks")
    return Search(
        floats=graph.candidates,
        quantizer=None,
        recipes=list_recipes(request),
        search_half=_make_meter(job, graph, data, data.search_places, masks),
        gate_half=_make_meter(job, graph, data, data.gate_places, masks),
        limits=request.limits,
        frame=to_input(first_image, job.checkpoint.input),
        workspace=workspace,
        artifacts=workspace,
        form=EXACT,
        open_engine=job.open_to_prove,
        timed=not find_target(request.target).on_device,
        budget=budget,
        progress=budget.watch(job.progress),
    )


def list_recipes(request: ExportRequest) -> Sequence[Recipe]:
    """List the recipes to try, cut down to what the target can do; of equal ones the first."""
    maker = load_maker(request.target)
    named = maker.RECIPES.values() if request.recipes is None else request.recipes
    able: dict[str, Recipe] = {}
    for recipe in (one.only(maker.ROLES) for one in named):
        able.setdefault(recipe.digest, recipe)
    return [recipe for recipe in able.values() if recipe.int8]


def _make_meter(
    job: ExportJob, graph: FloatGraph, data: ExportData, places: Sequence[int], masks: Path
) -> Meter:
    """Make a meter for the images at these places; FP32's masks are kept in `masks`."""
    labels = job.checkpoint.labels
    return Meter(
        images=[(place, data.images[place]) for place in places],
        labels=labels,
        ignore_index=labels.ignore_index if data.ignore_index is None else data.ignore_index,
        spec=job.checkpoint.input,
        masks=masks,
        open_reference=partial(job.open_to_prove, graph.artifact, "f32"),
    )


def _decide(
    job: ExportJob, data: ExportData, explored: Explored, out: Mapping[str, str]
) -> Selection:
    """Select what ships among the trials that the gate half approves, except those in `out`."""
    search = explored.search
    selection = select(
        judge(search, explored.trials, out),
        precision=job.request.precision,
        limits=job.request.limits,
        gate_images=len(data.gate_places),
        calibrated=data.calibration is not None,
        forms=explored.forms,
        shortage=search.budget.shortage,
        form=job.request.form,
    )
    if not job.request.small:
        return selection
    kept = {selection.chosen.candidate.name, search.floats[0].name}
    few = (trial for trial in selection.shipped if trial.candidate.name in kept)
    return replace(selection, shipped=tuple(few))
