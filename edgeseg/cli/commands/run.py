"""`edgeseg run`: segments a source with a bundle."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from edgeseg.cli.options import (
    EXIT_FAILED,
    JsonFlag,
    RangeOption,
    print_json,
    read_range,
    report_wrong_usage,
    say,
    say_next,
)
from edgeseg.cli.progress import show_progress
from edgeseg.cli.run_sources import GivenSources, add_source_options
from edgeseg.cli.signals import end_on_signals

if TYPE_CHECKING:
    from edgeseg.runtime.preview.address import Address
    from edgeseg.runtime.request import RunResult
    from edgeseg.runtime.sinks.masks import MaskFiles

__all__ = ["run"]

_TOKEN_VARIABLE: Final = "EDGESEG_PREVIEW_TOKEN"

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
_SaveOption = Annotated[
    str | None,
    typer.Option(
        help="Write the overlay: to an .mp4, as one frame to a .png or .jpg, or to FOLDER/ as one "
        "PNG per frame."
    ),
]
_MasksOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder for one PNG of class ids per frame (for a GeoTIFF a GeoTIFF), and a legend. "
        "Only files that an earlier run wrote are replaced."
    ),
]
_LabelIdsOption = Annotated[
    str | None,
    typer.Option(
        metavar="ade20k|camvid|cityscapes|coco|FILE",
        help="Ids for --masks in place of class ids: those that a data set publishes, or a file's: "
        'JSON such as {"road": 7}, or a line road,7 a class.',
    ),
]
_MasksPaletteOption = Annotated[
    bool,
    typer.Option("--masks-palette", help="Paint --masks in RGB, in the colors of the classes."),
]
_JsonlOption = Annotated[
    str | None,
    typer.Option(help="File for one JSON line per frame, or - for stdout."),
]
_ShowOption = Annotated[
    bool | None,
    typer.Option(
        help="Show the overlay in a window.",
        show_default="on for a camera or stream if there is a screen",
    ),
]
_PreviewOption = Annotated[
    str | None,
    typer.Option(
        metavar="[HOST:PORT]",
        help="Serve a web page that shows the run, at 127.0.0.1:8008 without HOST:PORT.",
    ),
]
_PreviewTokenOption = Annotated[
    str | None,
    typer.Option(
        envvar=_TOKEN_VARIABLE,
        show_envvar=True,
        help="Token that requests to --preview must carry; required if other machines reach it.",
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
_FramesOption = Annotated[
    int | None,
    typer.Option(min=1, help="Stop after this many frames."),
]
_SecondsOption = Annotated[
    float | None,
    typer.Option(min=0.0, help="Stop this many seconds after the first frame."),
]


@add_source_options
def run(
    bundle: _BundleArgument = None,
    *,
    given: GivenSources,
    max_retries: _MaxRetriesOption = None,
    tile: _TileOption = False,
    value_range: RangeOption = None,
    save: _SaveOption = None,
    masks: _MasksOption = None,
    label_ids: _LabelIdsOption = None,
    masks_palette: _MasksPaletteOption = False,
    jsonl: _JsonlOption = None,
    show: _ShowOption = None,
    preview: _PreviewOption = None,
    preview_token: _PreviewTokenOption = None,
    frames: _FramesOption = None,
    seconds: _SecondsOption = None,
    json: JsonFlag = False,
) -> None:
    """Segment a camera, a stream, a video or images; or several at once.

    Of several sources, frames are taken in turn. The files of each go into a folder of its name.

    Example: edgeseg run street --source drive.mp4 --save overlay.mp4 --masks masks
    """
    from edgeseg.errors import SourceError
    from edgeseg.runtime.request import RunRequest
    from edgeseg.runtime.session import run_bundle
    from edgeseg.runtime.sinks.outputs import Outputs, to_file_or_folder

    file, folder = to_file_or_folder(save)
    if json and jsonl == "-":
        raise typer.BadParameter("--json and --jsonl - would both write to stdout")
    address = _parse_address(preview, preview_token)
    files = _describe_masks(masks, label_ids, painted=masks_palette)
    request = RunRequest(
        sources=given.sources,
        camera=given.camera,
        raw=given.raw,
        max_retries=max_retries,
        outputs=Outputs(save=file, overlays=folder, masks=files, jsonl=jsonl, preview=address),
        show=show,
        frames=frames,
        seconds=seconds,
        tile=tile,
        value_range=read_range(value_range),
    )
    with show_progress(lines=False) as progress:
        result = run_bundle(bundle, request, progress=progress, ended_by=end_on_signals)
    _tell(result, json=json)
    if result.summary.lost is not None:
        raise SourceError(result.summary.lost)
    if result.failed_outputs:
        raise typer.Exit(EXIT_FAILED)


def _tell(result: RunResult, *, json: bool) -> None:
    """Print how the run went, for people and for machines."""
    from edgeseg.cli.answers.run import describe_run, run_to_json

    for line in describe_run(result):
        say(line)
    for path in result.written:
        say(f"written: {_shorten(path)}")
    if not result.failed_outputs and result.summary.frames:
        say_next("bench", result.bundle)
    if json:
        print_json(run_to_json(result))


def _shorten(path: Path) -> str:
    """Write a path relative to the working folder, if it lies there."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _parse_address(preview: str | None, token: str | None) -> Address | None:
    from edgeseg.errors import SinkError
    from edgeseg.runtime.preview.address import parse_address

    if preview is None:
        if token not in {None, os.environ.get(_TOKEN_VARIABLE)}:
            raise typer.BadParameter("--preview-token needs --preview; add --preview")
        return None
    try:
        return parse_address(preview, token)
    except SinkError as error:
        raise typer.BadParameter(str(error)) from None


def _describe_masks(
    folder: Path | None, label_ids: str | None, *, painted: bool
) -> MaskFiles | None:
    from edgeseg.runtime.sinks.masks import MaskFiles

    given = {"--label-ids": label_ids is not None, "--masks-palette": painted}
    idle = [option for option, is_given in given.items() if is_given]
    if folder is None and idle:
        raise typer.BadParameter(f"{idle[0]} is for masks; add --masks FOLDER")
    if folder is None:
        return None
    with report_wrong_usage():
        return MaskFiles(folder, label_ids=label_ids, painted=painted)
