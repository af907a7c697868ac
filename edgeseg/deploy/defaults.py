"""Fills in the options that the user of an export left out, and refuses those that clash."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgeseg.accuracy.counts import MIN_CLASS_IMAGES
from edgeseg.accuracy.limits import Limits, decides
from edgeseg.calibration.pictures import find_calibration_rules, list_pictures
from edgeseg.datasets import NO_RULES, SPLIT_NAMES, Dataset, Rules, open_dataset
from edgeseg.demo import DEMO
from edgeseg.demo.assets import DEMO_VARIANT
from edgeseg.deploy.request import ExportOptions, ExportRequest
from edgeseg.errors import CalibrationError, CheckpointError, NotJudgedError
from edgeseg.labels import read_labels
from edgeseg.quantize.recipes import Recipe, read_recipe
from edgeseg.quantize.targets.maker import load_maker
from edgeseg.segformer.form import AUTO, EXACT, Form, read_form

__all__ = ["check_calibration", "fill_defaults"]

_ASKED: Final = "fp32 was asked for"
_UNMEASURED: Final = "fp32 is the only one made: there were no images to measure another one on"


def fill_defaults(options: ExportOptions) -> ExportRequest:
    """Fill in the demo's weights, scenes and calibration images, and the data set's train split.

    The notes of the request say what was filled in or left out.

    Raises:
        CheckpointError: no weights, and the variant is not the demo's.
        CalibrationError: INT8 is asked for and there is nothing to calibrate on.
        SpecError: a recipe or labels that do not exist.
        DatasetError: the data set is not there, or images lack masks.
        NotJudgedError: the images are too few for the limit on classes.
    """
    notes: list[str] = []
    weights = _choose_weights(options.weights, options.model, notes)
    demo = DEMO if weights == DEMO else None
    data = options.data or demo
    dataset = None
    if data is not None:
        opened = open_dataset(data, split=options.split, rules=options.rules)
        dataset = opened.require_complete()
    calibration = options.calibration or demo or _find_train_split(dataset)
    if calibration is not None:
        rules = find_calibration_rules(calibration, dataset, options.rules)
        check_calibration(calibration, rules)  # before minutes are spent on the graph
    precision = options.precision
    if calibration is None:
        precision = _lower_precision(options, dataset, notes)
    decided = dataset is None or _can_decide(dataset, options.limits)
    judged = calibration is not None or dataset is not None
    form = _choose_form(options.form, precision, judged=judged, decided=decided)
    changes = precision != "fp32" or form is None or not form.is_exact
    if options.form == AUTO and not changes:
        notes.append(f"form {EXACT.name} is kept: {_explain_exact(dataset)}")
    elif dataset is not None and not decided and changes:
        _tell_undecided(dataset, precision, notes)
    return ExportRequest(
        weights=weights,
        target=options.target,
        folder=options.folder,
        force=options.force,
        variant=options.model,
        size=options.size,
        further_sizes=options.further_sizes,
        labels=None if options.labels is None else read_labels(options.labels),
        overrides=options.overrides,
        dataset=dataset,
        rules=options.rules,
        precision=precision,
        fp32_reason=_ASKED if options.precision == precision else _UNMEASURED,
        calibration=calibration,
        calibration_images=options.calibration_images,
        recipes=_read_recipes(options),
        limits=options.limits,
        budget_s=options.budget_s,
        sensitivity=options.sensitivity,
        recover=options.recover,
        form=form,
        check_with=options.check_with,
        notes=tuple(notes),
    )


def _read_recipes(options: ExportOptions) -> tuple[Recipe, ...] | None:
    """Read the only recipe to try; None where all are."""
    if options.recipe is None:
        return None
    return (read_recipe(options.recipe, named=load_maker(options.target).RECIPES),)


def check_calibration(source: str, rules: Rules = NO_RULES) -> None:
    """Check that a source can calibrate, as far as possible without decoding a video.

    Raises:
        CalibrationError: the source cannot be used.
    """
    try:
        video = Path(source).is_file()
    except OSError as error:
        raise CalibrationError(
            f"calibration source {source} cannot be read: {error.strerror}"
        ) from None
    if not video:
        list_pictures(source, rules=rules)


def _lower_precision(options: ExportOptions, dataset: Dataset | None, notes: list[str]) -> str:
    """Return the precision that can be made without images to calibrate on."""
    precision = options.precision
    if options.recover is not None:
        raise CalibrationError(
            "--recover needs images to learn from; add --data DATASET, or --calibration IMAGES"
        )
    if precision == "int8":
        raise CalibrationError(
            "INT8 needs images to calibrate on; add --calibration with a folder, a data set with a "
            "train split or a video, of what the camera will see"
        )
    if precision == "auto":
        notes.append("INT8 is not tried: there are no calibration images; add --calibration SOURCE")
        if dataset is None:
            notes.append(
                "with nothing to measure on, the variant is FP32; add --data or --calibration"
            )
            return "fp32"
    return precision


def _choose_form(given: str | None, precision: str, *, judged: bool, decided: bool) -> Form | None:
    """Return the form that is asked for, or None where the search is to choose.

    FP32 without `--form` means the network as it was trained. A form is left open only where images
    can judge it and decide.

    Raises:
        CalibrationError: the form changes what is computed, and there are no images to judge it on.
        SpecError: no such form.
    """
    if given is None:
        given = AUTO if precision != "fp32" else EXACT.name
    if given == AUTO:
        return None if judged and decided else EXACT
    form = read_form(given)
    if not form.is_exact and not judged:
        raise CalibrationError(
            f"form {form.name} changes what the network computes, so it has to be judged on "
            f"images; add --data DATASET or --calibration SOURCE"
        )
    return form


def _can_decide(dataset: Dataset, limits: Limits) -> bool:
    """Tell whether half of the images can decide on classes."""
    return _count_deciding(dataset) >= MIN_CLASS_IMAGES or not decides(limits.max_class_drop)


def _count_deciding(dataset: Dataset) -> int:
    return len(dataset) - len(dataset) // 2


def _explain_exact(dataset: Dataset | None) -> str:
    """Explain why no other form can be tried, and what would change that."""
    if dataset is None:
        return "there are no images to judge another one on; add --data or --calibration"
    return _explain_undecided(dataset)


def _explain_undecided(dataset: Dataset) -> str:
    """Explain why half of the images cannot decide on classes, and what would change that."""
    return (
        f"half of the {len(dataset)} images decides, and the limit on classes takes "
        f"{MIN_CLASS_IMAGES} images in that half; give {2 * MIN_CLASS_IMAGES} or more, or allow "
        f"any loss of a class with --max-class-drop 100"
    )


def _tell_undecided(dataset: Dataset, precision: str, notes: list[str]) -> None:
    """Say, before anything is tried, that half of the images cannot decide on classes."""
    told = _explain_undecided(dataset)
    if precision != "auto":
        raise NotJudgedError(f"not judged: {told}")
    notes.append(f"nothing but exact FP32 can pass: {told}")


def _choose_weights(weights: str | None, model: str | None, notes: list[str]) -> str:
    """Choose the given weights, else those of the demo if it has the variant."""
    if weights is not None:
        return weights
    if model is None:
        raise CheckpointError(
            f"no weights given; add --weights FOLDER, FILE or HUB_ID, "
            f"or --model {DEMO_VARIANT} for the demo checkpoint that edgeseg brings"
        )
    if model != DEMO_VARIANT:
        raise CheckpointError(
            f"edgeseg brings weights for {DEMO_VARIANT} only; for {model} add --weights "
            f"FOLDER, FILE or HUB_ID (as nvidia/segformer-{model}-finetuned-ade-512-512)"
        )
    notes.append(f"no --weights: {DEMO_VARIANT} from the demo checkpoint, trained on drawn streets")
    return DEMO


def _find_train_split(dataset: Dataset | None) -> str | None:
    """Find the train split to calibrate on, if another split is measured on."""
    if dataset is None or dataset.split is None or dataset.split in SPLIT_NAMES["train"]:
        return None
    if dataset.origin == DEMO:
        return DEMO
    return dataset.origin if set(SPLIT_NAMES["train"]) & set(dataset.splits) else None
