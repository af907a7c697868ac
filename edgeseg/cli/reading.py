"""Options of commands that read a checkpoint; they override what its files say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from edgeseg.cli.grouped import group_options
from edgeseg.cli.options import report_wrong_usage
from edgeseg.spec import ChannelOrder

if TYPE_CHECKING:
    from edgeseg.overrides import Overrides

__all__ = ["add_override_options"]

_FROM_FILES: Final = "read from the checkpoint's files"

_MeanOption = Annotated[
    str | None,
    typer.Option(
        "--mean",
        metavar="A[,B,C][/255]",
        help="Mean that normalizes the input: one value per channel in --channel-order, or one "
        "for all. Values are for pixels in 0..1; add /255 if they are for 0..255: "
        "123.675,116.28,103.53/255.",
        show_default=_FROM_FILES,
    ),
]
_StdOption = Annotated[
    str | None,
    typer.Option(
        "--std",
        metavar="A[,B,C][/255]",
        help="Standard deviation that normalizes the input, written as --mean.",
        show_default=_FROM_FILES,
    ),
]
_ChannelOrderOption = Annotated[
    ChannelOrder | None,
    typer.Option(
        "--channel-order",
        help="Order of the color channels that the checkpoint was trained with.",
        show_default=_FROM_FILES,
    ),
]
_ResizeOption = Annotated[
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
_ThresholdOption = Annotated[
    float | None,
    typer.Option(
        "--threshold",
        metavar="P",
        help="Probability above which one logit means the second of two classes, between 0 and 1.",
        show_default="read from the checkpoint's files, else its framework's: 0.5, or 0.3 for "
        "mmsegmentation",
    ),
]
_WeightsKeyOption = Annotated[
    str | None,
    typer.Option(
        "--weights-key",
        metavar="KEY",
        help="Which of several networks in the checkpoint's file to read, by its name there: "
        "student, state_dict_ema, ...",
        show_default="the only one, or the averaged one of two",
    ),
]


def _read_overrides(given: dict[str, Any]) -> Overrides:
    """Parse the options that were given.

    Raises:
        typer.BadParameter: one of them is not in its form.
    """
    from edgeseg.overrides import parse_overrides

    with report_wrong_usage():
        return parse_overrides(**given)


# Gives a command an option for each fact, in place of its parameter `overrides`.
add_override_options: Final = group_options(
    "overrides",
    {
        "mean": _MeanOption,
        "std": _StdOption,
        "channel_order": _ChannelOrderOption,
        "resize": _ResizeOption,
        "threshold": _ThresholdOption,
        "weights_key": _WeightsKeyOption,
    },
    _read_overrides,
)
