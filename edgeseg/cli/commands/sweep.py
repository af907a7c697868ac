"""`edgeseg sweep`: exports and measures every combination of models, targets and more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypedDict

import typer

from edgeseg.accuracy.limits import Limits
from edgeseg.cli.commands.export import CalibrationImagesOption, FormOption, Precision
from edgeseg.cli.data_rules import add_rule_options
from edgeseg.cli.limits import SWEEP_LIMITS, add_limit_options
from edgeseg.cli.options import (
    EXIT_FAILED,
    EXIT_GATE_MISSED,
    DaskOption,
    JsonFlag,
    SplitOption,
    ThreadsOption,
    report_wrong_usage,
    say,
    say_next_run,
)
from edgeseg.cli.progress import show_progress
from edgeseg.cli.reading import add_override_options
from edgeseg.cli.sizes import parse_size
from edgeseg.cli.targets import DEFAULT, Target
from edgeseg.data_rules import Rules
from edgeseg.overrides import Overrides
from edgeseg.targets import TARGETS

if TYPE_CHECKING:
    from edgeseg.sweep.results import Sweep

__all__ = ["sweep"]

# Bundles for other targets are measured on their devices.
_MEASURED: Final = ", ".join(row.name for row in TARGETS.values() if not row.on_device)
_REPEAT: Final = "Repeat the option for more."


_WeightsOption = Annotated[
    list[str],
    typer.Option(help=f"Checkpoint, as `edgeseg export` takes it. {_REPEAT}"),
]
_DataOption = Annotated[
    str, typer.Option(help="Data set to measure on, as `edgeseg verify` takes it.")
]
_TargetOption = Annotated[
    list[Target] | None,
    typer.Option(help=f"Engine: {_MEASURED}. {_REPEAT}", show_default=DEFAULT.value),
]
_PrecisionOption = Annotated[
    list[Precision] | None,
    typer.Option(help=f"Precision to compute in. {_REPEAT}", show_default=Precision.AUTO.value),
]
_SizeOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="HxW",
        help=f"Input size, height x width in pixels. {_REPEAT}",
        show_default="the checkpoint's",
    ),
]
_LabelsOption = Annotated[
    str | None,
    typer.Option(help="Class names: ade20k, camvid, cityscapes, cocostuff, or a file."),
]
_CalibrationOption = Annotated[
    str | None,
    typer.Option(help="Images to calibrate INT8 on, as `edgeseg export` takes them."),
]
_BudgetOption = Annotated[
    float, typer.Option(min=0.0, help="Minutes that the search for each combination may take.")
]
_OutputOption = Annotated[
    Path,
    typer.Option(
        "-o",
        "--output",
        help="Folder for the overview and all bundles: a new one, or that of an earlier sweep.",
    ),
]


class _MeasuredOn(TypedDict):
    """What both the export and the measurement of a combination take."""

    data: str
    split: str | None
    rules: Rules
    limits: Limits


@add_limit_options(*SWEEP_LIMITS)
@add_override_options
@add_rule_options
def sweep(
    *,
    weights: _WeightsOption,
    data: _DataOption,
    target: _TargetOption = None,
    precision: _PrecisionOption = None,
    size: _SizeOption = None,
    split: SplitOption = None,
    rules: Rules,
    labels: _LabelsOption = None,
    overrides: Overrides,
    calibration: _CalibrationOption = None,
    calibration_images: CalibrationImagesOption = 300,
    limits: Limits,
    budget: _BudgetOption = 20.0,
    form: FormOption = None,
    dask: DaskOption = None,
    threads: ThreadsOption = None,
    output: _OutputOption = Path("sweep"),
    json: JsonFlag = False,
) -> None:
    """Export and measure every combination. Results of an earlier sweep are kept.

    The exit status is 1 if a combination failed, else 3 if one missed a gate or was not judged.

    Example: edgeseg sweep --weights segformer_b0/ --size 512x512 --size 256x256
    --precision fp32 --precision int8 --data camvid --split test --calibration camvid
    """
    from edgeseg.deploy.request import ExportOptions
    from edgeseg.machine.extras import require
    from edgeseg.sweep.plan import Plan
    from edgeseg.sweep.run import sweep as sweep_plan
    from edgeseg.verification.request import VerifyRequest

    require("a sweep", ["export", "report", *(["dask"] if dask is not None else [])])
    measured = _MeasuredOn(data=data, split=split, rules=rules, limits=limits)
    with report_wrong_usage():
        plan = Plan(
            weights=tuple(weights),
            targets=tuple(t.value for t in target or [DEFAULT]),
            precisions=tuple(p.value for p in precision or [Precision.AUTO]),
            sizes=(None,) if not size else tuple(map(parse_size, size)),
            export=ExportOptions(
                labels=labels,
                overrides=overrides,
                calibration=calibration,
                calibration_images=calibration_images,
                **measured,
                budget_s=60 * budget,
                form=form,
            ),
            verify=VerifyRequest(**measured, source="cells", dask=dask, threads=threads),
            folder=output,
        )
    with show_progress() as progress:
        found = sweep_plan(plan, progress=progress)
    _tell(found, output, json=json)


def _tell(found: Sweep, output: Path, *, json: bool) -> None:
    """Print the results, for people and for machines, and set the exit status."""
    from edgeseg.bundle.store import open_bundle
    from edgeseg.sweep.overview import describe_sweep, write_headline
    from edgeseg.sweep.results import encode_sweep

    for line in describe_sweep(found):
        say(line)
    say(f"overview written: {output / 'sweep.html'}")
    if json:
        print(encode_sweep(found).decode(), end="")
    say(write_headline(found))
    if found.failed:
        raise typer.Exit(EXIT_FAILED)
    if found.missed or found.unjudged:
        raise typer.Exit(EXIT_GATE_MISSED)
    timed = [row for row in found.rows if row.latency_ms is not None]
    fastest = min(timed, key=lambda row: row.latency_ms or 0, default=found.rows[0])
    bundle = output / "bundles" / fastest.name
    channels = open_bundle(bundle).manifest.input.channels
    say_next_run(bundle, channels, "--source", "VIDEO", "--save", "overlay.mp4")
