"""From a float graph to the variants that a bundle ships: calibrate, search, choose."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from edgeseg.calibration.choose import FEW
from edgeseg.calibration.sets import (
    CalibrationSet,
    Picture,
    calibration_set,
    keep_frames,
    shared_images,
)
from edgeseg.choice import Variants, choose
from edgeseg.datasets import Dataset, Item
from edgeseg.errors import CalibrationError, DatasetError, MissingPackageError
from edgeseg.gates import Limits
from edgeseg.labels import Labels
from edgeseg.manifest import CalibrationInfo, Evaluation
from edgeseg.packages import installed
from edgeseg.pixels import to_input
from edgeseg.quantize.meter import Meter
from edgeseg.quantize.recipes import Recipe
from edgeseg.quantize.search import Candidate, Quantizer, Search, search
from edgeseg.quantize.workspace import Workspace, open_workspace
from edgeseg.runtime.backend import open_artifact
from edgeseg.runtime.machine import this_machine
from edgeseg.spec import InputSpec

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgeseg.pixels import Frame

__all__ = ["Float", "Plan", "find_variants", "float_candidates"]

# Images held back from calibration to measure agreement on, where there is no ground truth.
HELD_BACK: Final = 100
_SEED: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked for. Without `calibration` no INT8 is tried."""

    target: str
    precision: str
    calibration: str | None
    calibration_images: int
    estimator: str
    dataset: Dataset | None
    limits: Limits
    recipes: Sequence[Recipe]
    budget_s: float
    sensitivity: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Float:
    """The float graph, its artifact under each float type, and what identifies its weights."""

    model: ModelProto
    candidates: Sequence[Candidate]
    spec: InputSpec
    labels: Labels
    checkpoint_sha256: str


def float_candidates(target: str, path: Path, *, recipe: Recipe) -> list[Candidate]:
    """The float artifact under each type that this machine computes in by itself, FP32 first."""
    computes: tuple[str, ...] = ("f32",)
    if target == "openvino":
        from edgeseg.runtime.backends.openvino import float_types

        computes = float_types()
    names = {"f32": "fp32", "bf16": "bf16", "f16": "fp16"}
    return [
        Candidate(name=names[c], precision=names[c], compute=c, recipe=recipe, path=path)
        for c in computes
    ]


def find_variants(
    plan: Plan, source: Float, *, tell: Callable[[str], None], step: Callable[[], None]
) -> Variants:
    """Search for the fastest variants that pass the gates.

    Raises:
        GateMissedError: none of the precision asked for passes; says which came nearest.
        CalibrationError: the calibration source is unusable, or shares images with the data.
        DatasetError: fewer than two images to measure on.
    """
    begun = time.monotonic()
    with _chosen_images(plan) as (chosen, held_back):
        pictures = held_back if plan.dataset is None else plan.dataset.items
        workspace = _workspace(plan, source, chosen)
        meters = _meters(plan, source, pictures, workspace)
        for line in chosen.warnings if chosen is not None else ():
            tell(f"warning: {line}")
        deciding = len(meters[1].pictures)
        if deciding < FEW:
            tell(f"warning: only {deciding} images decide; give {2 * FEW} or more to measure on")
        quantizer = _quantizer(plan, source, chosen, meters[0], workspace, tell, step)
        frame = to_input(pictures[0].image(), source.spec)
        job = Search(
            target=plan.target,
            floats=source.candidates,
            quantizer=quantizer,
            recipes=plan.recipes,
            search_half=meters[0],
            gate_half=meters[1],
            limits=plan.limits,
            frame=frame,
            workspace=workspace,
            seconds_left=lambda: plan.budget_s - (time.monotonic() - begun),
            tell=tell,
            step=step,
        )
        trials = search(job)
        if plan.sensitivity and quantizer is not None:
            quantizer.sensitivity()
    known = workspace.recall("sensitivity")
    return choose(
        trials,
        precision=plan.precision,
        limits=plan.limits,
        calibration=_calibration_info(plan, chosen),
        evaluation=Evaluation(
            data=plan.calibration or "" if plan.dataset is None else plan.dataset.title,
            split=None if plan.dataset is None else plan.dataset.split,
            labelled=plan.dataset is not None,
            searched=len(meters[0].pictures),
            gated=len(meters[1].pictures),
        ),
        sensitivity=known if isinstance(known, dict) else {},
    )


@contextlib.contextmanager
def _chosen_images(plan: Plan) -> Iterator[tuple[CalibrationSet | None, tuple[Picture, ...]]]:
    """The calibration set, and images of the same source that are not in it.

    Frames of a video lie in a temporary folder while the block runs.
    """
    if plan.calibration is None:
        if plan.dataset is None:
            raise CalibrationError(
                "accuracy needs images; add --data DATASET, or --calibration SOURCE"
            )
        yield None, ()
        return
    wanted = plan.calibration_images + (HELD_BACK if plan.dataset is None else 0)
    with contextlib.ExitStack() as stack:
        chosen = _collect(plan.calibration, wanted, stack)
        if plan.dataset is None:
            chosen, held_back = _hold_back(chosen)
            yield chosen, held_back
            return
        shared = shared_images(chosen, plan.dataset)
        if shared:
            raise CalibrationError(
                f"{shared} images of {plan.dataset.origin} that decide the gate are also in the "
                f"calibration set {plan.calibration}; calibrate on others"
            )
        yield chosen, ()


def _collect(source: str, count: int, stack: contextlib.ExitStack) -> CalibrationSet:
    """From images where they lie; a video's frames are written to a temporary folder first."""
    import tempfile

    from edgeseg.runtime.sources import open_source

    if not Path(source).is_file():
        return calibration_set(source, count=count, seed=_SEED)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgeseg-frames-")))
    with open_source(source) as feed:
        chosen = keep_frames((c.image for c in feed.frames), folder, count=count, seed=_SEED)
    return replace(chosen, source=source)


def _hold_back(chosen: CalibrationSet) -> tuple[CalibrationSet, tuple[Picture, ...]]:
    """Part a set: a quarter, at most `HELD_BACK`, to measure on; the rest to calibrate with."""
    order = np.random.default_rng(_SEED).permutation(len(chosen.pictures))
    back = min(HELD_BACK, len(order) // 4)
    if back < 2:
        raise CalibrationError(
            f"{len(order)} images of {chosen.source} are too few to calibrate on and to measure "
            f"agreement with; give 8 or more, or --data with ground truth"
        )
    measured, kept = sorted(order[:back]), sorted(order[back:])
    return (
        replace(
            chosen,
            pictures=tuple(chosen.pictures[i] for i in kept),
            hashes=tuple(chosen.hashes[i] for i in kept),
        ),
        tuple(chosen.pictures[i] for i in measured),
    )


def _workspace(plan: Plan, source: Float, chosen: CalibrationSet | None) -> Workspace:
    """All that a measured value depends on, but not the limits: those only judge."""
    packages = ("edgeseg", "numpy", "onnxruntime", "openvino", "nncf")
    data = plan.dataset
    return open_workspace(
        {
            "weights": source.checkpoint_sha256,
            "input": repr(source.spec),
            "target": plan.target,
            "estimator": plan.estimator,
            "calibration": None if chosen is None else chosen.sha256,
            "data": None if data is None else (str(data.origin), data.split, len(data)),
            "machine": this_machine().features,
            "versions": {name: installed(name) for name in packages},
        }
    )


def _meters(
    plan: Plan, source: Float, pictures: Sequence[Item | Picture], workspace: Workspace
) -> tuple[Meter, Meter]:
    """The search half and the gate half, drawn with a fixed seed."""
    if len(pictures) < 2:
        raise DatasetError(
            f"{len(pictures)} images are too few: one half guides the search, the other decides"
        )
    order = np.random.default_rng(_SEED).permutation(len(pictures))
    halves = (order[: len(order) // 2], order[len(order) // 2 :])
    labels = plan.dataset.labels if plan.dataset is not None else None

    def meter(places: npt.NDArray[np.int64]) -> Meter:
        return Meter(
            pictures=[(int(place), pictures[place]) for place in sorted(places)],
            labelled=plan.dataset is not None,
            labels=source.labels,
            ignore_index=(labels or source.labels).ignore_index,
            spec=source.spec,
            masks=workspace.path("masks"),
            open_reference=partial(open_artifact, plan.target, source.candidates[0].path),
        )

    return meter(halves[0]), meter(halves[1])


def _quantizer(
    plan: Plan,
    source: Float,
    chosen: CalibrationSet | None,
    meter: Meter,
    workspace: Workspace,
    tell: Callable[[str], None],
    step: Callable[[], None],
) -> Quantizer | None:
    if chosen is None or plan.precision not in {"auto", "int8"}:
        return None
    from edgeseg.quantize.quantizers import Calibrated, OpenVinoQuantizer, OrtQuantizer

    def frame_of(picture: Picture) -> Frame:
        return to_input(picture.image(), source.spec)

    calibrated = Calibrated(
        source.model,
        [partial(frame_of, picture) for picture in chosen.pictures],
        estimator=plan.estimator,
        meter=meter,
        workspace=workspace,
        tell=tell,
        step=step,
    )
    if plan.target == "onnxruntime":
        return OrtQuantizer(calibrated)
    for package in ("openvino", "nncf"):
        if installed(package) is None:
            raise MissingPackageError(
                package, purpose="INT8 for OpenVINO", command="pip install 'edgeseg[export]'"
            )
    return OpenVinoQuantizer(calibrated, source.candidates[0].path)


def _calibration_info(plan: Plan, chosen: CalibrationSet | None) -> CalibrationInfo | None:
    if chosen is None:
        return None
    return CalibrationInfo(
        source=Path(chosen.source).resolve().name,
        images=len(chosen.pictures),
        sha256=chosen.sha256,
        estimator=plan.estimator if plan.target == "onnxruntime" else "nncf",
    )
