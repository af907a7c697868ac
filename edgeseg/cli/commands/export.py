"""`edgeseg export`: turns a checkpoint into a bundle."""

from __future__ import annotations

import math
from enum import Enum
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from edgeseg.accuracy.limits import Limits
from edgeseg.cli.data_rules import add_rule_options
from edgeseg.cli.limits import EXPORT_LIMITS, add_limit_options
from edgeseg.cli.options import (
    DataOption,
    JsonFlag,
    SplitOption,
    print_json,
    report_wrong_usage,
    say,
    say_next_run,
)
from edgeseg.cli.progress import show_progress
from edgeseg.cli.reading import add_override_options
from edgeseg.cli.recovering import add_recover_options
from edgeseg.cli.sizes import parse_size
from edgeseg.cli.targets import DEFAULT, Target
from edgeseg.data_rules import Rules
from edgeseg.overrides import Overrides
from edgeseg.recovery.options import Recover
from edgeseg.targets import find_target

if TYPE_CHECKING:
    from edgeseg.deploy.export import Exported
    from edgeseg.deploy.request import ExportOptions

__all__ = ["CalibrationImagesOption", "FormOption", "Precision", "export"]


class Precision(str, Enum):
    """The precisions that an artifact can compute in."""

    AUTO = "auto"
    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


class Framework(str, Enum):
    """The frameworks that a checkpoint can be checked with."""

    TRANSFORMERS = "transformers"
    SMP = "smp"


class Model(str, Enum):
    """SegFormer's sizes."""

    B0 = "b0"
    B1 = "b1"
    B2 = "b2"
    B3 = "b3"
    B4 = "b4"
    B5 = "b5"


CalibrationImagesOption = Annotated[
    int, typer.Option(min=1, help="Number of calibration images to choose.")
]

_WeightsOption = Annotated[
    str | None,
    typer.Option(
        help="Checkpoint: a folder, a .safetensors, .pth, .ckpt or .bin file, a hub id, or `demo`."
    ),
]
_ModelOption = Annotated[
    Model | None,
    typer.Option(
        help="Model size that --weights must have. b0 without --weights takes the demo's."
    ),
]
_TargetOption = Annotated[Target, typer.Option(help="Engine or device to export for.")]
_PrecisionOption = Annotated[
    Precision,
    typer.Option(help="Precision to compute in; auto takes the fastest within the limits."),
]
_Int8Option = Annotated[bool, typer.Option("--int8", help="Same as --precision int8.")]
_Fp16Option = Annotated[bool, typer.Option("--fp16", help="Same as --precision fp16.")]
_SizeOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="HxW",
        help="Input size, height x width in pixels, at least 32x32. Repeat it for a bundle of "
        "several sizes: run --fps takes the largest that holds the rate.",
        show_default="the checkpoint's",
    ),
]
_LabelsOption = Annotated[
    str | None,
    typer.Option(help="Class names: ade20k, camvid, cityscapes, cocostuff, or a file."),
]
_CalibrationOption = Annotated[
    str | None,
    typer.Option(
        help="Images to calibrate INT8 on: a folder, a data set (its train split), a video or "
        "`demo`.",
        show_default="the train split of --data, if it has one",
    ),
]
_BudgetOption = Annotated[
    float,
    typer.Option(min=0.0, help="Minutes that the search may take, including the final decision."),
]
_RecipeOption = Annotated[
    str | None,
    typer.Option(help="Try only this INT8 recipe: a name or a JSON file. For experts."),
]
_SensitivityOption = Annotated[
    bool,
    typer.Option(
        "--sensitivity", help="Also measure the accuracy that INT8 costs in each group of nodes."
    ),
]
_CheckWithOption = Annotated[
    Framework | None,
    typer.Option(
        help="Compare masks with the checkpoint's own framework, which must be installed. "
        "Too few equal pixels end the export.",
        show_default="the framework that trained it, if installed",
    ),
]
FormOption = Annotated[
    str | None,
    typer.Option(
        metavar="exact|auto|NAME|FILE",
        help="Form of the network: exact as it was trained; a form by name or JSON file, which "
        "merges tokens and is judged as INT8 is; auto for the fastest that passes.",
        show_default="auto; exact for fp32, and without images to judge another",
    ),
]
_OutputOption = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        help="Folder of the bundle. A bundle there is replaced, a folder of other files refused.",
        show_default="{model}-{target}-{precision}",
    ),
]
_ForceOption = Annotated[
    bool,
    typer.Option(
        "--force", help="Replace the bundle in the default folder even if another export made it."
    ),
]


@add_limit_options(*EXPORT_LIMITS)
@add_override_options
@add_rule_options
@add_recover_options
def export(
    *,
    weights: _WeightsOption = None,
    model: _ModelOption = None,
    target: _TargetOption = DEFAULT,
    precision: _PrecisionOption = Precision.AUTO,
    int8: _Int8Option = False,
    fp16: _Fp16Option = False,
    size: _SizeOption = None,
    labels: _LabelsOption = None,
    overrides: Overrides,
    calibration: _CalibrationOption = None,
    calibration_images: CalibrationImagesOption = 300,
    data: DataOption = None,
    split: SplitOption = None,
    rules: Rules,
    limits: Limits,
    budget: _BudgetOption = 20.0,
    recipe: _RecipeOption = None,
    sensitivity: _SensitivityOption = False,
    recover: Recover | None,
    form: FormOption = None,
    check_with: _CheckWithOption = None,
    output: _OutputOption = None,
    force: _ForceOption = False,
    json: JsonFlag = False,
) -> None:
    """Turn a checkpoint into a bundle: the fastest variant that is accurate enough.

    Example: edgeseg export --weights segformer_b0/ --target openvino --data camvid --split test
    """
    from edgeseg.deploy.request import ExportOptions

    sizes = sorted(map(parse_size, size or []), key=math.prod, reverse=True)
    with report_wrong_usage():
        options = ExportOptions(
            weights=weights,
            model=model.value if model else None,
            target=target.value,
            precision=_choose_precision(precision, int8=int8, fp16=fp16),
            size=sizes[0] if sizes else None,
            further_sizes=tuple(sizes[1:]),
            labels=labels,
            overrides=overrides,
            calibration=calibration,
            calibration_images=calibration_images,
            data=data,
            split=split,
            rules=rules,
            limits=limits,
            budget_s=60 * budget,
            recipe=recipe,
            sensitivity=sensitivity,
            recover=recover,
            form=form,
            check_with=None if check_with is None else check_with.value,
            folder=output,
            force=force,
        )
    _tell(_export(options), json=json)


def _export(options: ExportOptions) -> Exported:
    from edgeseg.deploy.defaults import fill_defaults
    from edgeseg.deploy.export import export_bundle

    with show_progress() as progress:
        return export_bundle(fill_defaults(options), progress=progress)


def _tell(exported: Exported, *, json: bool) -> None:
    """Print what was exported, for people and for machines."""
    from edgeseg.cli.answers.export import describe_export, export_to_json

    bundle = exported.bundle
    for line in describe_export(exported):
        say(line)
    say(f"bundle written: {bundle.folder}")
    row = find_target(bundle.manifest.target)
    if row.on_device:
        say(f"next: scp -r {quote(str(bundle.folder))} {row.title.upper()}:")
        say(f"and there: edgeseg build {quote(bundle.folder.name)}")
    else:
        given = ("--source", "VIDEO", "--save", "overlay.mp4")
        say_next_run(bundle.folder, bundle.manifest.input.channels, *given)
    if json:
        print_json(export_to_json(exported))


def _choose_precision(precision: Precision, *, int8: bool, fp16: bool) -> str:
    asked = {name for name, on in (("int8", int8), ("fp16", fp16)) if on}
    if precision is not Precision.AUTO:
        asked.add(precision.value)
    if len(asked) > 1:
        raise typer.BadParameter(f"{' and '.join(sorted(asked))} were both asked for; give one")
    return asked.pop() if asked else Precision.AUTO.value
