"""Options of commands that read a checkpoint; they override what its files say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from edgeseg.cli.options import report_wrong_usage
from edgeseg.spec import ChannelOrder

if TYPE_CHECKING:
    from edgeseg.overrides import Overrides

__all__ = ["ChannelOrderOption", "MeanOption", "ResizeOption", "StdOption", "read_overrides"]

_FROM_FILES: Final = "read from the checkpoint's files"

MeanOption = Annotated[
    str | None,
    typer.Option(
        "--mean",
        metavar="A,B,C[/255]",
        help="Mean that normalizes the input, one value per channel in --channel-order. Values are "
        "for pixels in 0..1; add /255 if they are for 0..255: 123.675,116.28,103.53/255.",
        show_default=_FROM_FILES,
    ),
]
StdOption = Annotated[
    str | None,
    typer.Option(
        "--std",
        metavar="A,B,C[/255]",
        help="Standard deviation that normalizes the input, written as --mean.",
        show_default=_FROM_FILES,
    ),
]
ChannelOrderOption = Annotated[
    ChannelOrder | None,
    typer.Option(
        "--channel-order",
        help="Channel order that the checkpoint was trained with.",
        show_default=_FROM_FILES,
    ),
]
ResizeOption = Annotated[
    str | None,
    typer.Option(
        "--resize",
        metavar="RULE[,ASPECT]",
        help="How a frame is resized to the checkpoint's input. RULE is pillow-bilinear, "
        "pillow-nearest, pillow-bicubic, pillow-lanczos or opencv-bilinear; ASPECT is squash or "
        "keep.",
        show_default=_FROM_FILES,
    ),
]


def read_overrides(
    mean: str | None, std: str | None, channel_order: ChannelOrder | None, resize: str | None
) -> Overrides:
    """Parse the options into overrides.

    Raises:
        typer.BadParameter: one of them is not in its form.
    """
    from edgeseg.overrides import parse_overrides

    with report_wrong_usage():
        return parse_overrides(mean=mean, std=std, channel_order=channel_order, resize=resize)
