"""Options of commands that read a data set; they go before its dataset.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from edgeseg.cli.grouped import group_options
from edgeseg.cli.options import RangeOption, read_range, report_wrong_usage

if TYPE_CHECKING:
    from edgeseg.datasets import Rules

__all__ = ["add_rule_options"]

_IDS: Final = "ID[,ID]"

_ImagesDirOption = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER",
        help="Folder of the images, below --data or its split.",
        show_default="images, or as the data set's layout has it",
    ),
]
_MasksDirOption = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER",
        help="Folder of the masks, below --data or its split.",
        show_default="masks, or as the data set's layout has it",
    ),
]
_MaskSuffixOption = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="What the name of a mask has after its image's, for example _mask.",
        show_default="found among those that tools write",
    ),
]
_ReduceLabelsOption = Annotated[
    bool | None,
    typer.Option(
        help="Whether the id 0 in masks is no class and 1 is the first one.",
        show_default="as dataset.json says, otherwise as the checkpoint was trained",
    ),
]
_IgnoreIndexOption = Annotated[
    str | None,
    typer.Option(
        metavar=_IDS,
        help="Ids in masks whose pixels are not counted.",
        show_default="as dataset.json says, otherwise 255",
    ),
]
_MergeOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CLASS=ID[,ID]",
        help="Count several ids or names in masks as one class of the model, for example "
        "building=tower,church,7. Repeat for more classes.",
    ),
]
_ForegroundOption = Annotated[
    str | None,
    typer.Option(
        metavar=_IDS,
        help="Ids in masks that are the second of two classes; all others are the first.",
    ),
]


def _read_rules(given: dict[str, Any]) -> Rules:
    """Parse the options that were given.

    Raises:
        typer.BadParameter: one of them is not in its form.
    """
    from edgeseg.data_rules import Rules, parse_ids, parse_merge

    with report_wrong_usage():
        ids = {
            name: None if given[name] is None else parse_ids(given[name], option=option)
            for name, option in (("ignore_index", "--ignore-index"), ("foreground", "--foreground"))
        }
        merge = parse_merge(given["merge"]) if given["merge"] else None
    return Rules(**(given | ids | {"merge": merge, "range": read_range(given["range"])}))


# Gives a command an option for each rule, in place of its parameter `rules`.
add_rule_options: Final = group_options(
    "rules",
    {
        "images_dir": _ImagesDirOption,
        "masks_dir": _MasksDirOption,
        "mask_suffix": _MaskSuffixOption,
        "reduce_labels": _ReduceLabelsOption,
        "ignore_index": _IgnoreIndexOption,
        "merge": _MergeOption,
        "foreground": _ForegroundOption,
        "range": RangeOption,
    },
    _read_rules,
)
