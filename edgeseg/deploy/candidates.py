"""From a float graph to the variants that a bundle ships: calibrate, search, choose."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edgeseg.calibration.choose import FEW
from edgeseg.calibration.ranges import SAMPLING
from edgeseg.deploy.data import Evidence
from edgeseg.deploy.request import ExportRequest
from edgeseg.deploy.select import Variants, choose
from edgeseg.files.whole import compute_sha256
from edgeseg.labels import Labels
from edgeseg.machine.cpu import describe_machine
from edgeseg.machine.packages import find_version
from edgeseg.pixels import to_input
from edgeseg.progress import Progress
from edgeseg.quantize.budget import Budget
from edgeseg.quantize.calibrated import Calibrated, recalled_figures
from edgeseg.quantize.judging import in_order, judge
from edgeseg.quantize.meter import Meter
from edgeseg.quantize.recipes import Recipe
from edgeseg.quantize.search import Candidate, Search, explore
from edgeseg.quantize.targets.maker import Job, Tools, load_maker, open_to_prove
from edgeseg.quantize.workspace import Workspace, open_workspace
from edgeseg.segformer.arch import compute_logits_shape
from edgeseg.spec import InputSpec
from edgeseg.targets import find_target, list_packages
from edgeseg.text import pluralize

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgeseg.calibration.observe import Tap
    from edgeseg.pixels import Bgr, Frame
    from edgeseg.quantize.meter import Read

__all__ = [
    "Decide",
    "Float",
    "Halves",
    "find_variants",
    "float_candidates",
    "open_halves",
]

# From the trials that are out, by name with the reason, to what is left to ship.
Decide = Callable[[Mapping[str, str]], Variants]


@dataclass(frozen=True, slots=True, kw_only=True)
class Float:
    """The float graph, and its artifact under each float type."""

    model: ModelProto
    candidates: Sequence[Candidate]
    spec: InputSpec
    labels: Labels

    @property
    def sha256(self) -> str:
        """Of the artifact: the reference of all that is measured."""
        return compute_sha256(self.candidates[0].path)

    @property
    def logits_shape(self) -> tuple[int, ...]:
        """What the graph ends in, (1, classes, h, w)."""
        return compute_logits_shape(len(self.labels.classes), self.spec)


@dataclass(frozen=True, slots=True, kw_only=True)
class Halves:
    """The images that guide a search and those that decide; `workspace` keeps what they gave."""

    search: Meter
    gate: Meter
    workspace: Workspace


def float_candidates(target: str, path: Path, *, recipe: Recipe) -> list[Candidate]:
    """The float artifact under each type that this machine computes in by itself, FP32 first."""
    names = {"f32": "fp32", "bf16": "bf16", "f16": "fp16"}
    return [
        Candidate(name=names[c], precision=names[c], compute=c, recipe=recipe, path=path)
        for c in load_maker(target).float_types()
    ]


@contextmanager
def open_halves(
    request: ExportRequest, source: Float, evidence: Evidence, *, progress: Progress
) -> Iterator[Halves]:
    """What to measure with, and a workspace for all that a measured value depends on.

    The limits are not part of that: they only judge.
    """
    packages = ("edgeseg", "numpy", *list_packages())
    chosen = evidence.calibration
    question = {
        "reference": source.sha256,
        "input": repr(source.spec),
        "labels": source.labels.classes,
        "ignored": evidence.ignore_index,
        "target": request.target,
        "estimator": request.estimator,
        "sampling": SAMPLING,
        "calibration": None if chosen is None else chosen.sha256,
        "images": evidence.sha256,
        "machine": describe_machine().features,
        "versions": {name: find_version(name) for name in packages},
    }

    def meter(workspace: Workspace, places: Sequence[int]) -> Meter:
        return Meter(
            images=[(place, evidence.images[place]) for place in places],
            labels=source.labels,
            ignore_index=(
                source.labels.ignore_index
                if evidence.ignore_index is None
                else evidence.ignore_index
            ),
            spec=source.spec,
            masks=workspace.path("masks"),
            open_reference=partial(
                open_to_prove,
                request.target,
                source.candidates[0].path,
                "f32",
                logits_shape=source.logits_shape,
            ),
        )

    guiding, deciding = evidence.halves
    with open_workspace(question, say=progress.say) as workspace:
        search_half, gate_half = meter(workspace, guiding), meter(workspace, deciding)
        yield Halves(search=search_half, gate=gate_half, workspace=workspace)


def find_variants(
    request: ExportRequest,
    source: Float,
    evidence: Evidence,
    halves: Halves,
    budget: Budget,
    *,
    progress: Progress,
) -> Decide:
    """Search for the fastest variants that pass the gates; gives what decides between them.

    That raises GateMissedError where none of the precision asked for passes, and ExportError where
    none was tried.

    Raises:
        BackendError: FP32 fails, the reference of all that is measured.
    """
    if any(halves.workspace.folder.glob("search_*.json")):
        progress.say(
            "going on with what an earlier export of the same measured; the budget starts anew"
        )
    for line in evidence.calibration.warnings if evidence.calibration is not None else ():
        progress.say(f"warning: {line}")
    deciding = len(halves.gate.images)
    if deciding < FEW:
        progress.say(
            f"warning: the choice rests on {pluralize(deciding, 'image')}; give {2 * FEW} or more "
            f"to measure on"
        )

    limited = budget.watch(progress)
    with budget.spending("preparing"):
        tools = _tools(request, source, evidence, halves, budget, limited)
    job = _search(request, source, evidence, halves, budget, tools, limited)
    ordered = in_order(job, explore(job))
    if request.sensitivity and tools.quantizer is not None:
        with budget.spending("measuring sensitivity"):
            tools.quantizer.sensitivity()

    def decide(out: Mapping[str, str]) -> Variants:
        known, grown = (
            recalled_figures(halves.workspace, name) for name in ("sensitivity", "peaks")
        )
        return choose(
            judge(job, ordered, out),
            precision=request.precision,
            limits=request.limits,
            calibration=evidence.calibration_info(tools.estimator or request.estimator),
            evaluation=evidence.evaluation,
            sensitivity=known,
            peaks=grown,
            forms=tools.forms,
            shortage=budget.shortage,
        )

    return decide


def _search(
    request: ExportRequest,
    source: Float,
    evidence: Evidence,
    halves: Halves,
    budget: Budget,
    tools: Tools,
    progress: Progress,
) -> Search:
    first_image, _ = evidence.images[0]()
    named = tuple(load_maker(request.target).RECIPES.values())
    return Search(
        floats=tools.floats,
        quantizer=tools.quantizer,
        recipes=named if request.recipes is None else request.recipes,
        search_half=halves.search,
        gate_half=halves.gate,
        limits=request.limits,
        frame=to_input(first_image, source.spec),
        workspace=halves.workspace,
        open_engine=partial(open_to_prove, request.target, logits_shape=source.logits_shape),
        timed=not find_target(request.target).on_device,
        budget=budget,
        progress=progress,
    )


def _tools(
    request: ExportRequest,
    source: Float,
    evidence: Evidence,
    halves: Halves,
    budget: Budget,
    progress: Progress,
) -> Tools:
    """What the target's own module makes of the graph and the images that calibrate."""

    def frame_of(read: Callable[[], Bgr]) -> Frame:
        budget.check()  # what calibrates reads one image after the other
        return to_input(read(), source.spec)

    chosen = evidence.calibration
    pictures = () if chosen is None else chosen.pictures
    frames = [partial(frame_of, picture.image) for picture in pictures]
    searched = [partial(frame_of, partial(_pixels, read)) for _, read in halves.search.images]

    def calibrate(taps: Sequence[Tap]) -> Calibrated:
        return Calibrated(
            source.model,
            frames,
            taps=taps,
            estimator=request.estimator,
            meter=halves.search,
            workspace=halves.workspace,
            progress=progress,
        )

    asked = chosen is not None and request.precision in {"auto", "int8"}
    job = Job(
        graph=source.model,
        floats=source.candidates,
        frames=frames or searched,
        calibrate=calibrate if asked else None,
        workspace=halves.workspace,
        progress=progress,
    )
    return load_maker(request.target).prepare(job)


def _pixels(read: Read) -> Bgr:
    return read()[0]
