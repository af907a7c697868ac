"""Finds INT8 graphs that are accurate enough on one half of the data, the search half.

A recipe that misses its gate gives up the groups that hurt most, one by one, until it passes. What
passes is timed, and the other half decides: see `edgeseg.quantize.judging`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from edgeseg.accuracy.gates import Judged, judge_accuracy
from edgeseg.accuracy.limits import Limits
from edgeseg.bundle.manifest import Accuracy, RecoveryInfo
from edgeseg.errors import BackendError
from edgeseg.progress import Progress, Step, begin
from edgeseg.quantize.budget import Budget, Pace, UsedUp, format_clock
from edgeseg.quantize.meter import Meter
from edgeseg.quantize.recipes import Recipe
from edgeseg.quantize.workspace import Workspace
from edgeseg.runtime import timing
from edgeseg.runtime.backends.backend import Backend
from edgeseg.segformer.form import EXACT, Form
from edgeseg.segformer.groups import Group

if TYPE_CHECKING:
    from edgeseg.pixels import Frame

__all__ = [
    "MIN_INT8_SHARE",
    "Candidate",
    "Quantizer",
    "Search",
    "Trial",
    "explore",
    "drop_failed",
    "measure_once",
    "measure_trial",
    "put_in_form",
    "reserve",
    "describe_verdict",
]

# Below this share of the multiply-adds a graph may not be called INT8.
MIN_INT8_SHARE: Final = 0.5


class Quantizer(Protocol):
    """Makes INT8 artifacts for one target."""

    @property
    def computes(self) -> tuple[str, ...]:
        """The types of the float parts, where the file itself states them; else empty."""

    def make(self, recipe: Recipe, path: Path) -> None:
        """Write an artifact, in the form of the float one."""

    def int8_share(self, path: Path) -> float:
        """Compute the share of an artifact's multiply-adds on INT8 operands, 0..1."""

    def sensitivity(self) -> Mapping[Group, float]:
        """Measure each group alone in INT8: % of the pixels that change class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An artifact, and the type that its float parts compute in.

    `output` is `logits` or `class_map`. `instead_of` names a candidate of the same precision that
    this one replaces where an engine does not build it. `form` is that of the network. `written`
    are words for a graph that computes the same as the candidate `same_as`, written in another way.
    `recovery` says how its file was trained, if it was, from that of the candidate `trained_from`.
    """

    name: str
    precision: str
    compute: str
    recipe: Recipe
    path: Path
    output: str = "logits"
    instead_of: str | None = None
    form: Form = EXACT
    written: tuple[str, ...] = ()
    same_as: str | None = None
    recovery: RecoveryInfo | None = None
    trained_from: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What was measured of a candidate. `verdict` says in a few words why it passed or did not."""

    candidate: Candidate
    int8_share: float
    search: Accuracy | None = None
    gate: Accuracy | None = None
    latency_ms: float | None = None
    speedup: float | None = None
    approved: bool = False
    verdict: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a search works with.

    `floats` are the float artifact under each type that this machine computes in, exact FP32 first.
    What is made in INT8 has the form `form`, and its files are written to `artifacts`. `recipes`
    are tried as they are: each has INT8, and the quantizer can do all of it.
    `open_engine` opens a file and its float type on what proves it here; `timed` says whether that
    is also what runs it, so that its speed counts. `frame` is one real input, for timing.
    """

    floats: Sequence[Candidate]
    quantizer: Quantizer | None
    recipes: Sequence[Recipe]
    search_half: Meter
    gate_half: Meter
    limits: Limits
    frame: Frame
    workspace: Workspace
    artifacts: Workspace
    form: Form
    open_engine: Callable[[Path, str], AbstractContextManager[Backend]]
    timed: bool
    budget: Budget
    progress: Progress


def explore(job: Search) -> list[Trial]:
    """Try everything on the search half, floats first; time and decide nothing yet.

    Raises:
        BackendError: the FP32 baseline fails, the reference of all that is measured.
    """
    with job.budget.spending("measuring"):
        trials = [
            measure_trial(job, Trial(candidate=candidate, int8_share=0.0))
            for candidate in job.floats
        ]
        reserve(job, trials)
        failures: list[Recipe] = []
        untried: list[str] = []
        for recipe in job.recipes if job.quantizer is not None else ():
            made = _try_within_budget(job, recipe, untried)
            if made:
                trials += made
                reserve(job, trials)
            if _can_shrink(made):
                failures.append(recipe)
        for recipe in failures:
            for made in _shrink(job, recipe, untried):
                trials += made
                reserve(job, trials)
    if untried:
        job.progress.say(job.budget.explain_shortage(untried))
    return trials


def drop_failed(job: Search, candidate: Candidate, error: BackendError, *, while_: str) -> str:
    """Say that a candidate is out because its engine fails, and return the verdict on it.

    Raises:
        BackendError: the candidate is the baseline, without which nothing can be measured.
    """
    if candidate is job.floats[0]:
        raise error
    job.progress.say(f"  {candidate.name} is out: {error}")
    return f"failed {while_}: {error}"


def _can_shrink(made: Sequence[Trial]) -> bool:
    """Whether a recipe was tried, failed, and has groups to give up."""
    tried = bool(made) and made[0].int8_share >= MIN_INT8_SHARE
    return tried and not any(trial.approved for trial in made)


def reserve(job: Search, trials: Sequence[Trial]) -> None:
    """Reserve the time that timing, deciding and confirming will take; say what is left.

    Every float type and those of one INT8 file, which count as much, are measured on the deciding
    half, and once more as they ship; the reference's masks are made there. What passed is timed
    beside the baseline.
    """
    budget, baseline = job.budget, job.floats[0].name
    floats = [candidate.name for candidate in job.floats]
    budget.reserved = budget.estimate([*4 * floats, baseline], len(job.gate_half.images))
    if job.timed:
        passing = [trial.candidate.name for trial in trials if trial.approved]
        rounds = timing.WARM_UP + timing.ROUNDS
        pauses = 2 * rounds * len(passing) * timing.PAUSE_S
        budget.reserved += budget.estimate([*passing, *len(passing) * [baseline]], rounds) + pauses
    if job.quantizer is not None and budget.left > 0:
        job.progress.say(f"  {format_clock(budget.left)} minutes of --budget left to try more")


def _try_within_budget(job: Search, recipe: Recipe, untried: list[str]) -> list[Trial]:
    """Try a recipe. Where its time runs out, name it in `untried` and return no trial."""
    try:
        with job.budget.enforce():
            return _try_recipe(job, recipe)
    except UsedUp:
        untried.append(recipe.name)
        return []


def _try_recipe(job: Search, recipe: Recipe) -> list[Trial]:
    """Write a recipe's file, and measure it under each float type that its quantizer allows."""
    assert job.quantizer is not None, "there are recipes only with a quantizer"
    path = job.artifacts.path(f"int8_{recipe.digest}{job.floats[0].path.suffix}")
    if not path.exists():
        begin(job.progress, f"making {recipe.name}")
        with job.budget.spending("making INT8"):
            job.quantizer.make(recipe, path)
    share = job.quantizer.int8_share(path)
    trials = []
    computes = dict.fromkeys(candidate.compute for candidate in job.floats)
    for compute in job.quantizer.computes or computes:
        plain = compute == "f32" or job.quantizer.computes
        name = recipe.name if plain else f"{recipe.name}+{compute}"
        plain_form = Candidate(
            name=name, precision="int8", compute=compute, recipe=recipe, path=path
        )
        candidate = put_in_form(plain_form, job.form)
        trial = Trial(candidate=candidate, int8_share=share)
        if share < MIN_INT8_SHARE:
            verdict = f"only {100 * share:.0f} % of the multiply-adds are INT8"
            return [replace(trial, verdict=verdict)]
        trials.append(measure_trial(job, trial))
    return trials


def put_in_form(candidate: Candidate, form: Form) -> Candidate:
    """Give a candidate a form, which its name tells unless it is the exact one."""
    if form.is_exact:
        return candidate
    instead_of = candidate.instead_of
    return replace(
        candidate,
        name=f"{form.name}+{candidate.name}",
        instead_of=None if instead_of is None else f"{form.name}+{instead_of}",
        form=form,
    )


def measure_trial(job: Search, trial: Trial) -> Trial:
    """Measure and judge a trial on the search half; drop it if its engine fails."""
    try:
        accuracy = measure_once(job, trial.candidate, job.search_half, "search")
    except BackendError as error:
        return replace(
            trial, verdict=drop_failed(job, trial.candidate, error, while_="in the search")
        )
    # The other half decides what this half leaves unjudged.
    judged = replace(judge_accuracy(accuracy, job.limits), unjudged=())
    trial = replace(
        trial, search=accuracy, approved=not judged.misses, verdict=describe_verdict(judged)
    )
    job.progress.say(_describe_trial(trial))
    return trial


def _shrink(job: Search, recipe: Recipe, untried: list[str]) -> Iterator[list[Trial]]:
    """Return groups to float, the most harmful first, until the gate holds or INT8 is lost."""
    assert job.quantizer is not None, "there are recipes only with a quantizer"
    try:
        with job.budget.enforce(), job.budget.spending("measuring sensitivity"):
            costs = job.quantizer.sensitivity()
    except UsedUp:
        untried.append(f"a smaller {recipe.name}")
        return
    worst = sorted(recipe.int8, key=lambda g: costs.get(g, 0.0), reverse=True)
    for count in range(1, len(worst)):
        trials = _try_within_budget(job, recipe.without(*worst[:count]), untried)
        if trials:
            yield trials
        if not trials or any(t.approved for t in trials) or trials[0].int8_share < MIN_INT8_SHARE:
            return


def measure_once(job: Search, candidate: Candidate, meter: Meter, half: str) -> Accuracy:
    """Measure a candidate's accuracy, or recall it: the workspace keeps it with the file.

    Raises:
        BackendError: the candidate's engine fails on an image.
    """
    form = "" if candidate.form.is_exact else f"{candidate.form.digest}_"
    name = f"{half}_{form}{candidate.path.stem}_{candidate.compute}"
    with suppress(msgspec.ValidationError):  # nothing is kept, or something that is no accuracy
        return msgspec.convert(job.workspace.recall(name), Accuracy)
    doing = "measuring"
    if half == "gate":
        doing = "deciding on"
        job.progress.say(f"deciding on {len(meter.images)} other images: {candidate.name}")
    step = begin(job.progress, f"{doing} {candidate.name}", len(meter.images))
    accuracy = _measure(job, candidate, meter, step)
    job.workspace.keep(name, msgspec.to_builtins(accuracy))
    return accuracy


def _measure(job: Search, candidate: Candidate, meter: Meter, step: Step) -> Accuracy:
    """Measure a candidate's accuracy, and note how long that took."""
    begun = time.monotonic()
    kept = meter.list_kept()
    with job.open_engine(candidate.path, candidate.compute) as backend:
        ends = [time.monotonic()]

        def end_image() -> None:
            ends.append(time.monotonic())
            step()

        accuracy = meter.measure(backend, step=end_image)
    once_s = time.monotonic() - begun - (ends[-1] - ends[0])
    # Where no mask is kept, the reference runs beside the candidate.
    images_s = [
        (end - start) / (1 if alone else 2)
        for (start, end), alone in zip(pairwise(ends), kept, strict=True)
    ]
    job.budget.note_pace(candidate.name, Pace.of(once_s=once_s, images_s=images_s))
    return accuracy


def describe_verdict(judged: Judged, where: str = "guiding half") -> str:
    """Say which gates were missed, else what was not judged, else that it passed."""
    if judged.misses:
        gates = (f"{g.name} {g.value:.3f} (limit {g.limit:.3f})" for g in judged.misses)
        return f"missed on the {where}: {', '.join(gates)}"
    if judged.unjudged:
        left = (f"{one.name} ({one.reason})" for one in judged.unjudged)
        return f"not judged on the {where}: {', '.join(left)}"
    return "passed"


def _describe_trial(trial: Trial) -> str:
    accuracy = trial.search
    assert accuracy is not None, "it was just measured"
    found = (
        f"{accuracy.pixel_agreement:.2f} % of the pixels agree"
        if accuracy.drop is None
        else f"mIoU {accuracy.miou:.2f}, drop {accuracy.drop:+.2f}"
    )
    share = f", {100 * trial.int8_share:.0f} % INT8" if trial.candidate.precision == "int8" else ""
    return f"  {trial.candidate.name}: {found}{share}; {trial.verdict}"
