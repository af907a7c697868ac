"""Options of the commands that read a checkpoint: what goes before what its files say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edgeseg.spec import ChannelOrder

if TYPE_CHECKING:
    from edgeseg.overrides import Overrides

__all__ = ["ChannelOrderOption", "MeanOption", "ResizeOption", "StdOption", "overrides_from"]

MeanOption = Annotated[
    str | None,
    typer.Option(
        "--mean",
        metavar="A,B,C[/255]",
        help="The checkpoint's normalization, in place of what its files say: of values in 0..1, "
        "or in 0..255 with /255 behind it, as 123.675,116.28,103.53/255; in --channel-order.",
    ),
]
StdOption = Annotated[
    str | None,
    typer.Option("--std", metavar="A,B,C[/255]", help="As --mean, the standard deviation."),
]
ChannelOrderOption = Annotated[
    ChannelOrder | None,
    typer.Option(
        "--channel-order", help="In which order the checkpoint was trained to take its channels."
    ),
]
ResizeOption = Annotated[
    str | None,
    typer.Option(
        "--resize",
        metavar="RULE[,ASPECT]",
        help="How a frame becomes the checkpoint's input: pillow-bilinear, pillow-nearest, "
        "pillow-bicubic, pillow-lanczos or opencv-bilinear; aspect squash or keep.",
    ),
]


def overrides_from(
    mean: str | None, std: str | None, channel_order: ChannelOrder | None, resize: str | None
) -> Overrides:
    """What the options say.

    Raises:
        typer.BadParameter: one of them is not in its form.
    """
    from edgeseg.errors import SpecError
    from edgeseg.overrides import parse_overrides

    try:
        return parse_overrides(mean=mean, std=std, channel_order=channel_order, resize=resize)
    except SpecError as error:
        raise typer.BadParameter(str(error)) from None
