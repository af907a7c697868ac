"""Which INT8 graph is the fastest that is accurate enough.

Recipes are made and measured on one half of the data, the search half. One that misses its gate
gives up the groups that hurt most, one by one, until it passes. What passes is timed against the
float baseline on the engine itself; then, the fastest first, the gate half decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
import numpy as np

from edgeseg.errors import BackendError
from edgeseg.gates import Gate, Limits, judge_accuracy
from edgeseg.manifest import Accuracy
from edgeseg.quantize.groups import Group
from edgeseg.quantize.meter import Meter, speed_ratio
from edgeseg.quantize.recipes import Recipe
from edgeseg.quantize.share import int8_share
from edgeseg.quantize.workspace import Workspace
from edgeseg.runtime.backend import Backend

if TYPE_CHECKING:
    from edgeseg.pixels import Frame

__all__ = ["MIN_INT8_SHARE", "Candidate", "Quantizer", "Search", "Trial", "search"]

# Below this share of the multiply-adds a graph may not be called INT8.
MIN_INT8_SHARE: Final = 0.5
# Speeds that differ by less are the same: two sittings of one variant differ by as much.
SAME_SPEED: Final = 0.03
# INT8 shares that differ by less are as bold: the first convolution and the classifier of B0.
SAME_BOLDNESS: Final = 0.1


class Quantizer(Protocol):
    """Makes INT8 artifacts for one target."""

    @property
    def roles(self) -> frozenset[str]:
        """The roles that it can quantize; recipes are cut down to them."""

    @property
    def suffix(self) -> str:
        """The ending of the files that it writes."""

    @property
    def computes(self) -> tuple[str, ...]:
        """What float parts compute in, where the file itself says it; else empty."""

    def make(self, recipe: Recipe, path: Path) -> None:
        """Write an artifact."""

    def sensitivity(self) -> Mapping[Group, float]:
        """What each group costs when it alone is INT8: % of the pixels that change class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An artifact, and what its float parts compute in.

    `output` is `logits` or `class_map`. `instead_of` names a candidate of the same precision that
    this one replaces where an engine does not build it.
    """

    name: str
    precision: str
    compute: str
    recipe: Recipe
    path: Path
    output: str = "logits"
    instead_of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is known of a candidate. `verdict` says in a few words why it is in or out."""

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
    """Everything that a search works with.

    `floats` are the float artifact under each type that this machine computes in, FP32 first.
    `open_engine` opens a file and its float type on what proves it here; `timed` says whether that
    is also what runs it, so that its speed counts. `frame` is one real input, for timing.
    `seconds_left` may become negative.
    """

    floats: Sequence[Candidate]
    quantizer: Quantizer | None
    recipes: Sequence[Recipe]
    search_half: Meter
    gate_half: Meter
    limits: Limits
    frame: Frame
    workspace: Workspace
    open_engine: Callable[[Path, str], Backend]
    timed: bool
    seconds_left: Callable[[], float]
    tell: Callable[[str], None]
    step: Callable[[], None]


def search(job: Search) -> list[Trial]:
    """Try, time and judge; every trial, floats first, then INT8 from fast to slow and the failed.

    At least the FP32 baseline is approved: it is the reference.
    """
    trials = [_measured(job, _float_trial(candidate)) for candidate in job.floats]
    trials += _tried_recipes(job)
    passing = [trial for trial in trials if trial.approved]
    timed = _timed(job, passing) if job.timed else _by_boldness(passing)
    judged = [*_judged(job, timed, "float"), *_judged(job, timed, "int8")]
    return [*judged, *(trial for trial in trials if not trial.approved)]


def _float_trial(candidate: Candidate) -> Trial:
    return Trial(candidate=candidate, int8_share=0.0)


def _tried_recipes(job: Search) -> list[Trial]:
    """Every recipe on the search half; those that fail give up groups."""
    trials: list[Trial] = []
    seen: set[str] = set()
    failed: list[Recipe] = []
    for recipe in _possible(job):
        if recipe.digest in seen:
            continue
        seen.add(recipe.digest)
        if job.seconds_left() <= 0:
            job.tell(f"budget used up: {recipe.name} was not tried")
            continue
        made = _trials_of(job, recipe)
        trials += made
        if not any(trial.approved for trial in made) and made[0].int8_share >= MIN_INT8_SHARE:
            failed.append(recipe)
    for recipe in failed:
        trials += _recovered(job, recipe)
    return trials


def _possible(job: Search) -> list[Recipe]:
    if job.quantizer is None:
        return []
    recipes = [recipe.only(job.quantizer.roles) for recipe in job.recipes]
    return [recipe for recipe in recipes if recipe.int8]


def _trials_of(job: Search, recipe: Recipe) -> list[Trial]:
    """One file, measured with each float type that its quantizer leaves open."""
    assert job.quantizer is not None, "there are recipes only with a quantizer"
    path = job.workspace.path(f"int8_{recipe.digest}{job.quantizer.suffix}")
    if not path.exists():
        job.quantizer.make(recipe, path)
    share = int8_share(path)
    trials = []
    for compute in job.quantizer.computes or [candidate.compute for candidate in job.floats]:
        plain = compute == "f32" or job.quantizer.computes
        name = recipe.name if plain else f"{recipe.name}+{compute}"
        candidate = Candidate(
            name=name, precision="int8", compute=compute, recipe=recipe, path=path
        )
        trial = Trial(candidate=candidate, int8_share=share)
        if share < MIN_INT8_SHARE:
            verdict = f"only {100 * share:.0f} % of the multiply-adds are INT8"
            return [replace(trial, verdict=verdict)]
        trials.append(_measured(job, trial))
    return trials


def _measured(job: Search, trial: Trial) -> Trial:
    """On the search half, and judged by it; what the engine refuses is out, the baseline apart."""
    try:
        accuracy = _accuracy(job, trial.candidate, job.search_half, "search")
    except BackendError as error:
        if trial.candidate is job.floats[0]:
            raise
        job.tell(f"  {trial.candidate.name}: {error}")
        return replace(trial, verdict="refused by the engine")
    missed = _missed(accuracy, job.limits)
    trial = replace(trial, search=accuracy, approved=not missed, verdict=_words(missed))
    left = max(0.0, job.seconds_left() / 60)
    job.tell(f"{_line(trial)}; {left:.1f} min of the budget left")
    return trial


def _recovered(job: Search, recipe: Recipe) -> Iterator[Trial]:
    """Return groups to float, the most harmful first, until the gate holds or INT8 is lost."""
    assert job.quantizer is not None, "there are recipes only with a quantizer"
    costs = job.quantizer.sensitivity()
    worst = sorted(recipe.int8, key=lambda g: costs.get(g, 0.0), reverse=True)
    for count in range(1, len(worst)):
        if job.seconds_left() <= 0:
            job.tell(f"budget used up: {recipe.name} was not cut down further")
            return
        trials = _trials_of(job, recipe.without(*worst[:count]))
        yield from trials
        if any(t.approved for t in trials) or trials[0].int8_share < MIN_INT8_SHARE:
            return


def _timed(job: Search, trials: Sequence[Trial]) -> list[Trial]:
    """Each against the FP32 baseline in turns; the fastest first."""
    baseline = job.floats[0]
    timed = []
    baseline_ms: list[float] = []
    with closing(job.open_engine(baseline.path, baseline.compute)) as base:
        for trial in trials:
            own = trial.candidate
            with closing(job.open_engine(own.path, own.compute)) as backend:
                speedup, milliseconds = speed_ratio(backend, base, job.frame)
            baseline_ms.append(milliseconds)
            timed.append(replace(trial, speedup=1.0 if own is baseline else speedup))
            job.step()
    # One baseline for all, so that milliseconds say what the ratios say.
    base_ms = float(np.median(baseline_ms)) if baseline_ms else 0.0
    return _ranked([replace(t, latency_ms=base_ms / (t.speedup or 1.0)) for t in timed])


def _by_boldness(trials: Sequence[Trial]) -> list[Trial]:
    """Where speed is found out elsewhere: the most exact of those that are about as bold.

    FP32 comes last: it is the reference, and what is shorter is faster.
    """

    def rank(trial: Trial) -> tuple[bool, bool, float]:
        bold = trial.int8_share >= boldest - SAME_BOLDNESS
        agreement = trial.search.pixel_agreement if trial.search else 0.0
        return bold, trial.candidate.precision != "fp32", agreement

    boldest = max((trial.int8_share for trial in trials), default=0.0)
    return sorted(trials, key=rank, reverse=True)


def _ranked(trials: Sequence[Trial]) -> list[Trial]:
    """The fastest first; of those that timing cannot tell apart, the one that agrees best."""
    left = list(trials)
    ranked: list[Trial] = []
    while left:
        fastest = max(trial.speedup or 0 for trial in left)
        level = [t for t in left if (t.speedup or 0) >= (1 - SAME_SPEED) * fastest]
        best = max(level, key=lambda t: t.search.pixel_agreement if t.search else 0)
        ranked.append(best)
        left.remove(best)
    return ranked


def _judged(job: Search, trials: Sequence[Trial], kind: str) -> list[Trial]:
    """On the gate half, from fast to slow, until one passes; the others keep their search result.

    FP32 is always measured: it is the reference of every figure. So is the file that passed under
    other float types: on another machine it may have to run so.
    """
    judged: list[Trial] = []
    found: Path | None = None
    winner = ""
    for trial in trials:
        own = trial.candidate
        if (own.precision == "int8") != (kind == "int8"):
            continue
        if found not in {None, own.path} and own is not job.floats[0]:
            judged.append(replace(trial, approved=False, verdict=f"not needed: {winner} passed"))
            continue
        accuracy = _accuracy(job, own, job.gate_half, "gate")
        missed = _missed(accuracy, job.limits)
        if not missed and found is None:
            found, winner = own.path, own.name
        judged.append(
            replace(trial, gate=accuracy, approved=not missed, verdict=_words(missed, "gate half"))
        )
    return judged


def _accuracy(job: Search, candidate: Candidate, meter: Meter, half: str) -> Accuracy:
    """Measured once; the result is kept with the file that it is of."""
    name = f"{half}_{candidate.path.stem}_{candidate.compute}"
    kept = job.workspace.recall(name)
    if kept is not None:
        return msgspec.convert(kept, Accuracy)
    with closing(job.open_engine(candidate.path, candidate.compute)) as backend:
        accuracy = meter.measure(backend, advance=job.step)
    job.workspace.keep(name, msgspec.to_builtins(accuracy))
    return accuracy


def _missed(accuracy: Accuracy, limits: Limits) -> list[Gate]:
    return [gate for gate in judge_accuracy(accuracy, limits) if not gate.passed]


def _words(missed: Sequence[Gate], where: str = "search half") -> str:
    if not missed:
        return "passed"
    gates = ", ".join(f"{g.name} {g.value:.3f} (limit {g.limit:.3f})" for g in missed)
    return f"missed on the {where}: {gates}"


def _line(trial: Trial) -> str:
    accuracy = trial.search
    assert accuracy is not None, "it was just measured"
    found = (
        f"{accuracy.pixel_agreement:.2f} % of the pixels agree"
        if accuracy.drop is None
        else f"mIoU {accuracy.miou:.2f}, drop {accuracy.drop:+.2f}"
    )
    share = f", {100 * trial.int8_share:.0f} % INT8" if trial.candidate.precision == "int8" else ""
    return f"  {trial.candidate.name}: {found}{share}; {trial.verdict}"
