"""`edgeseg data`: looks at a data set before anything is measured on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeseg.cli.data_rules import add_rule_options
from edgeseg.cli.options import JsonFlag, print_json, say, say_next
from edgeseg.cli.progress import show_progress
from edgeseg.data_rules import Rules

if TYPE_CHECKING:
    from edgeseg.datasheet.sheet import DataSheet

__all__ = ["data"]


@add_rule_options
def data(
    dataset: Annotated[
        str, typer.Argument(help="Data set to look at, in any layout that --data of verify takes.")
    ],
    *,
    split: Annotated[
        str | None,
        typer.Option(help="Split to look at: train, val or test.", show_default="all of them"),
    ] = None,
    rules: Rules,
    sheet: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html",
            help="Write a page with images under their masks. A page of an earlier run is "
            "replaced, any other file refused.",
        ),
    ] = None,
    images: Annotated[
        int, typer.Option(min=1, help="Number of images of each split in the page.")
    ] = 24,
    json: JsonFlag = False,
) -> None:
    """Show what a data set holds: layout, images, classes with their shares, and what is wrong.

    Example: edgeseg data street --sheet street.html
    """
    from edgeseg.cli.answers.data import describe_sheet
    from edgeseg.datasheet.looking import look_at
    from edgeseg.datasheet.page import check_page, write_page
    from edgeseg.datasheet.sheet import encode_sheet
    from edgeseg.machine.extras import require

    if sheet is not None:
        require("a page", ["report"])
        check_page(sheet)
    with show_progress() as progress:
        found, pictures = look_at(
            dataset,
            split=split,
            rules=rules,
            pictures=0 if sheet is None else images,
            progress=progress,
        )
    for line in describe_sheet(found):
        say(line)
    if sheet is not None:
        write_page(sheet, found, pictures)
        say(f"page written: {sheet}")
    _say_next(dataset, found)
    if json:
        print_json(encode_sheet(found))


def _say_next(dataset: str, found: DataSheet) -> None:
    splits = [one.split for one in found.splits if one.split not in {None, "train"}]
    chosen = ("--split", splits[-1]) if splits and splits[-1] else ()
    say_next("verify", "BUNDLE", "--data", dataset, *chosen)
