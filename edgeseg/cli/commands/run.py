"""`edgeseg run`: segments a source with a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeseg.cli.options import (
    EXIT_FAILED,
    DeviceOption,
    JsonFlag,
    RangeOption,
    print_json,
    read_range,
    repeat_device,
    report_wrong_usage,
    say,
    say_next,
)
from edgeseg.cli.progress import show_progress
from edgeseg.cli.run_outputs import GivenOutputs, add_output_options
from edgeseg.cli.run_sources import GivenSources, add_source_options
from edgeseg.cli.signals import end_on_signals

if TYPE_CHECKING:
    from edgeseg.runtime.request import RunResult

__all__ = ["run"]


_BundleArgument = Annotated[
    Path | None,
    typer.Argument(
        help="Bundle to run.",
        show_default="the only bundle in the working folder, otherwise the demo's",
    ),
]
_MaxRetriesOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="How many times to reopen a camera or stream that gives no frame, at the start too.",
        show_default="no limit, but the source must be present at the start",
    ),
]
_ShowOption = Annotated[
    bool | None,
    typer.Option(
        help="Show the overlay in a window.",
        show_default="on for a camera or stream if there is a screen",
    ),
]
_TileOption = Annotated[
    bool,
    typer.Option(
        "--tile",
        help="Keep the resolution of images larger than the network's input: segment them through "
        "windows of its size that overlap, and average the logits. Slower.",
    ),
]
_MinScoreOption = Annotated[
    str | None,
    typer.Option(
        metavar="P|CLASS=P,...|FILE.json",
        help="Ignore pixels whose class has a probability below P, 0 to 1: of all classes, or "
        "road=0.5,person=0.8.",
    ),
]
_ClassesOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,...",
        help="Keep these classes, as road,person, and make all others background, in every output.",
    ),
]
_ReuseOption = Annotated[
    str,
    typer.Option(
        metavar="exact|gated|gated=FACTOR",
        help="Which frames get the mask of an earlier one: exact, those that are identical for the "
        "network; gated, also those that differ by no more than the camera's noise, for two "
        "seconds at most. FACTOR scales the gate's threshold; verify --video measures which fits.",
    ),
]
_FpsOption = Annotated[
    float | None,
    typer.Option(
        metavar="N",
        help="Segment N frames a second of each source at most, evenly by their times; of a file, "
        "too. The others are skipped. If the bundle has several sizes, a camera or stream gets the "
        "largest that holds the rate.",
    ),
]
_MaxAgeOption = Annotated[
    float | None,
    typer.Option(
        metavar="MS",
        help="Drop a frame of a camera or stream that waited for more than MS milliseconds when "
        "its turn comes.",
    ),
]
_FramesOption = Annotated[
    int | None,
    typer.Option(min=1, help="Stop after this many frames, of all sources together."),
]
_SecondsOption = Annotated[
    float | None,
    typer.Option(min=0.0, help="Stop this many seconds after the first frame."),
]


@add_source_options
@add_output_options
def run(
    bundle: _BundleArgument = None,
    *,
    given: GivenSources,
    max_retries: _MaxRetriesOption = None,
    tile: _TileOption = False,
    reuse: _ReuseOption = "exact",
    fps: _FpsOption = None,
    max_age: _MaxAgeOption = None,
    value_range: RangeOption = None,
    min_score: _MinScoreOption = None,
    classes: _ClassesOption = None,
    device: DeviceOption = "auto",
    outputs: GivenOutputs,
    show: _ShowOption = None,
    frames: _FramesOption = None,
    seconds: _SecondsOption = None,
    json: JsonFlag = False,
) -> None:
    """Segment a camera, a stream, a video or images; or several at once.

    Of several sources, frames are taken in turn. The files of each go into a folder of its name.

    Example: edgeseg run street --source drive.mp4 --save overlay.mp4 --masks masks
    """
    from edgeseg.errors import SourceError
    from edgeseg.runtime.live.reuse import parse_reuse
    from edgeseg.runtime.request import RunRequest
    from edgeseg.runtime.session import run_bundle

    if json and outputs.plan.jsonl == "-":
        raise typer.BadParameter("--json and --jsonl - would both write to stdout")
    with report_wrong_usage():
        request = RunRequest(
            sources=given.sources,
            camera=given.camera,
            raw=given.raw,
            max_retries=max_retries,
            outputs=outputs.plan,
            show=show,
            frames=frames,
            seconds=seconds,
            tile=tile,
            reuse=parse_reuse(reuse),
            fps=fps,
            max_age_ms=max_age,
            value_range=read_range(value_range),
            min_score=min_score,
            classes=None if classes is None else tuple(classes.split(",")),
            device=device,
        )
    with show_progress(lines=False) as progress:
        result = run_bundle(bundle, request, progress=progress, ended_by=end_on_signals)
    _tell(result, device=device, json=json)
    if result.summary.lost is not None:
        raise SourceError(result.summary.lost)
    if result.failed_outputs:
        raise typer.Exit(EXIT_FAILED)


def _tell(result: RunResult, *, device: str, json: bool) -> None:
    """Print how the run went, for people and for machines."""
    from edgeseg.cli.answers.run import describe_run, run_to_json
    from edgeseg.files.homes import shorten

    for line in describe_run(result):
        say(line)
    for path in result.written:
        say(f"written: {shorten(path)}")
    if not result.failed_outputs and result.summary.frames:
        say_next("bench", result.bundle, *repeat_device(device))
    if json:
        print_json(run_to_json(result))
