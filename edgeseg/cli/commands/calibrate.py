"""`edgeseg calibrate`: gathers a calibration set from a source."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeseg.cli.options import (
    CameraOption,
    JsonFlag,
    RangeOption,
    print_json,
    read_camera,
    read_range,
    say,
    say_next,
)
from edgeseg.cli.progress import show_progress
from edgeseg.cli.signals import end_on_signals
from edgeseg.text import pluralize

__all__ = ["calibrate"]


def calibrate(
    source: Annotated[
        str | None,
        typer.Argument(
            help="Video, folder of images, camera or stream: what `run --source` takes."
        ),
    ] = None,
    *,
    camera: CameraOption = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="New or empty folder for the images.")
    ],
    images: Annotated[int, typer.Option(min=1, help="Number of images to keep.")] = 300,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Seconds to watch the source.",
            show_default="60 for a camera, a stream or demo, otherwise no limit",
        ),
    ] = None,
    value_range: RangeOption = None,
    json: JsonFlag = False,
) -> None:
    """Gather a calibration set: frames of a source that differ from each other.

    Example: edgeseg calibrate --camera 0 --seconds 120 -o calibration
    """
    from edgeseg.calibration.gather import gather

    if (camera is None) == (source is None):
        told = "no source is named" if source is None else "two sources are named"
        raise typer.BadParameter(f"{told}; give one of SOURCE and --camera")
    uri = read_camera(camera) if camera is not None else source
    assert uri is not None, "exactly one of the two was given"
    with show_progress() as progress:
        chosen = gather(
            uri,
            output,
            count=images,
            seconds=seconds,
            value_range=read_range(value_range),
            progress=progress,
            ending=end_on_signals,
        )
    for line in chosen.warnings:
        say(f"warning: {line}")
    say(f"written: {output}, {pluralize(len(chosen.pictures), 'image')}")
    say_next("export", "--calibration", output, "--weights", "CHECKPOINT", "--int8")
    if json:
        print_json({"folder": str(output), "images": len(chosen.pictures), "sha256": chosen.sha256})
