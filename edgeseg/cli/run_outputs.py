"""The options that say where a run's results go, as one value."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from edgeseg.cli.grouped import group_options
from edgeseg.cli.options import report_wrong_usage

if TYPE_CHECKING:
    from edgeseg.runtime.preview.address import Address
    from edgeseg.runtime.sinks.masks import MaskFiles
    from edgeseg.runtime.sinks.outputs import Outputs

__all__ = ["GivenOutputs", "add_output_options"]

_TOKEN_VARIABLE: Final = "EDGESEG_PREVIEW_TOKEN"

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
    bool | None,
    typer.Option("--masks-palette", help="Paint --masks in RGB, in the colors of the classes."),
]
_ScoresOption = Annotated[
    bool | None,
    typer.Option(
        "--scores",
        help="Beside --masks FOLDER write FOLDER-scores: a gray PNG a frame with how sure the "
        "network is of each pixel, 255 times its class's probability.",
    ),
]
_JsonlOption = Annotated[
    str | None,
    typer.Option(help="File for one JSON line per frame, or - for stdout."),
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
_RestreamOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Send the overlay as H.264 to a server, such as MediaMTX: rtsp://, rtmp://, srt:// or "
        "udp://. The run goes on while the server is away.",
    ),
]
_OPTIONS: Final = MappingProxyType(
    {
        "save": _SaveOption,
        "masks": _MasksOption,
        "label_ids": _LabelIdsOption,
        "masks_palette": _MasksPaletteOption,
        "scores": _ScoresOption,
        "jsonl": _JsonlOption,
        "preview": _PreviewOption,
        "preview_token": _PreviewTokenOption,
        "restream": _RestreamOption,
    }
)


@dataclass(frozen=True, slots=True)
class GivenOutputs:
    """The outputs that were asked for."""

    plan: Outputs


def _collect(given: dict[str, Any]) -> GivenOutputs:
    from edgeseg.runtime.sinks.outputs import plan_outputs

    address = _parse_address(given["preview"], given["preview_token"])
    masks = _describe_masks(
        given["masks"],
        given["label_ids"],
        painted=bool(given["masks_palette"]),
        scores=bool(given["scores"]),
    )
    with report_wrong_usage():
        plan = plan_outputs(
            save=given["save"],
            masks=masks,
            jsonl=given["jsonl"],
            preview=address,
            restream=given["restream"],
        )
    return GivenOutputs(plan)


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
    folder: Path | None, label_ids: str | None, *, painted: bool, scores: bool
) -> MaskFiles | None:
    from edgeseg.runtime.sinks.masks import MaskFiles

    given = {
        "--label-ids": label_ids is not None,
        "--masks-palette": painted,
        "--scores": scores,
    }
    idle = [option for option, is_given in given.items() if is_given]
    if folder is None and idle:
        raise typer.BadParameter(f"{idle[0]} is for masks; add --masks FOLDER")
    if folder is None:
        return None
    with report_wrong_usage():
        return MaskFiles(folder, label_ids=label_ids, painted=painted, scores=scores)


# Gives a command these options, in place of its parameter `outputs`.
add_output_options = group_options("outputs", _OPTIONS, _collect)
