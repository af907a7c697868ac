"""The request for an export: as the user gives it, and with all defaults filled in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

from edgeseg.accuracy.limits import Limits, name_option
from edgeseg.calibration.pictures import DEFAULT_COUNT
from edgeseg.datasets import NO_RULES, Dataset, Rules
from edgeseg.demo import DEMO
from edgeseg.errors import SpecError
from edgeseg.export.frameworks.own import FRAMEWORKS
from edgeseg.labels import Labels
from edgeseg.overrides import NO_OVERRIDES, Overrides
from edgeseg.quantize.recipes import Recipe
from edgeseg.recovery.options import Recover
from edgeseg.segformer.arch import VARIANTS
from edgeseg.segformer.form import EXACT, Form
from edgeseg.spec import check_number, check_size
from edgeseg.targets import DEFAULT_TARGET, TARGETS, find_target, refuse_precision
from edgeseg.text import join_words

__all__ = ["DEFAULT_BUDGET_S", "PRECISIONS", "ExportOptions", "ExportRequest"]

DEFAULT_BUDGET_S: Final = 20 * 60.0
PRECISIONS: Final = ("auto", "fp32", "fp16", "int8")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """The options of `edgeseg export`, of a sweep and of `edgeseg.export_model`.

    `model` is the variant that `weights` must have; `b0` without `weights` is the demo's. `size` is
    height and width in pixels, and `further_sizes` are smaller ones for the same bundle, the
    largest first. `calibration` and `data` are sources by name, and `rules` go before those of the
    data set's dataset.json. `form` is `auto`, a name or a JSON file; None is `auto`, but `exact`
    for FP32 and where no images can judge. `budget_s` is in seconds, for each size.

    Raises:
        SpecError: the options do not fit together, or one is unknown.
    """

    weights: str | None = None
    model: str | None = None
    target: str = DEFAULT_TARGET
    precision: str = "auto"
    size: tuple[int, int] | None = None
    further_sizes: tuple[tuple[int, int], ...] = ()
    labels: str | None = None
    overrides: Overrides = NO_OVERRIDES
    calibration: str | None = None
    calibration_images: int = DEFAULT_COUNT
    data: str | None = None
    split: str | None = None
    rules: Rules = NO_RULES
    limits: Limits = field(default_factory=Limits)
    budget_s: float = DEFAULT_BUDGET_S
    recipe: str | None = None
    sensitivity: bool = False
    recover: Recover | None = None
    form: str | None = None
    folder: Path | None = None
    force: bool = False
    check_with: str | None = None

    def __post_init__(self) -> None:
        known = {"target": TARGETS, "precision": PRECISIONS, "model": (None, *VARIANTS)}
        known |= {"check_with": (None, *FRAMEWORKS)}
        for name, values in known.items():
            value = getattr(self, name)
            if value not in values:
                raise SpecError(f"{name} {value!r} is not one of {', '.join(filter(None, values))}")
        _check_precision(self.target, self.precision)
        check_size(self.size)
        _check_further_sizes(self.size, self.further_sizes)
        check_number("the budget", self.budget_s, least=0)
        if self.split is not None and self.data is None:
            raise SpecError("--split needs --data; add --data DATASET")
        # A range holds for the images to calibrate on, too.
        of_data = self.rules.given - ({"range"} if self.calibration is not None else set())
        if of_data and self.data is None:
            raise SpecError(f"{name_option(min(of_data))} needs --data; add --data DATASET")
        for_int8 = {"--recipe": self.recipe, "--recover": self.recover}
        asked = [name for name, value in for_int8.items() if value is not None]
        if asked and self.precision not in {"auto", "int8"}:
            raise SpecError(
                f"{asked[0]} is for INT8, and {self.precision} was asked for; ask for --int8, or "
                f"leave {asked[0]} out"
            )
        if "max_extra_drop" in self.limits.given and self.recover is None:
            raise SpecError("--max-extra-drop judges what --recover trains; add --recover MINUTES")
        on_truth = [name for name in ("max_drop", "max_class_drop") if name in self.limits.given]
        if on_truth and self.data is None and self.weights not in {None, DEMO}:
            raise SpecError(
                f"{name_option(on_truth[0])} needs images with ground truth; add --data DATASET"
            )


def _check_further_sizes(size: tuple[int, int] | None, further: Sequence[tuple[int, int]]) -> None:
    """Refuse sizes that do not become smaller from one to the next."""
    for one in further:
        check_size(one)
    if further and size is None:
        raise SpecError("further sizes need a first one; give --size for each")
    for (height, width), (below, beside) in pairwise([*([size] if size else []), *further]):
        if below * beside >= height * width:
            raise SpecError(
                f"of the sizes in a bundle each has other pixels: {below}x{beside} is no smaller "
                f"than {height}x{width}; leave one out"
            )


def _check_precision(target: str, precision: str) -> None:
    """Refuse a precision that the target does not support, and name those that it does."""
    row = find_target(target)
    refused = refuse_precision(row, precision)
    if refused is not None:
        able = [other.name for other in TARGETS.values() if precision in other.precisions]
        raise SpecError(
            f"{refused}; ask for {join_words(('auto', *row.precisions), 'or')}, "
            f"or for --target {join_words(able, 'or')}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What to export, and into which folder.

    `further_sizes` are smaller inputs, whose bundles lie inside the bundle.

    Without `folder` the bundle goes into {variant}-{target}-{precision}; a bundle of another export
    is replaced there only with `force`.

    `small` makes a small bundle: FP32 weights are stored as FP16 and cast on load, and of
    all that passed only the chosen variant ships beside exact FP32.

    INT8 is tried only with a `calibration`; without `recipes`, all named recipes are tried. Without
    images to measure on, only FP32 is exported, and `fp32_reason` says why. The sensitivity of each
    group is measured if the search needs it or `sensitivity` is true. INT8 variants that cost too
    much are trained as `recover` says. `form` is the network's, and None lets the search choose.
    `overrides` replace what the checkpoint says of its input, and
    `rules` go before those of the calibration's dataset.json. `notes` are printed once the
    checkpoint is known to be usable.
    """

    weights: str
    target: str
    folder: Path | None = None
    force: bool = False
    variant: str | None = None
    size: tuple[int, int] | None = None
    further_sizes: tuple[tuple[int, int], ...] = ()
    labels: Labels | None = None
    overrides: Overrides = NO_OVERRIDES
    dataset: Dataset | None = None
    rules: Rules = NO_RULES
    small: bool = False
    precision: str = "fp32"
    fp32_reason: str = "fp32 was asked for"
    calibration: str | None = None
    calibration_images: int = DEFAULT_COUNT
    estimator: str = "percentile"
    recipes: Sequence[Recipe] | None = None
    limits: Limits = field(default_factory=Limits)
    budget_s: float = DEFAULT_BUDGET_S
    sensitivity: bool = False
    recover: Recover | None = None
    form: Form | None = EXACT
    check_with: str | None = None
    notes: tuple[str, ...] = ()
