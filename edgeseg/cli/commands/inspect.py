"""`edgeseg inspect`: shows what a model, a bundle or a checkpoint is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeseg.cli.data_rules import add_rule_options
from edgeseg.cli.options import DataOption, JsonFlag, SplitOption, print_json, say
from edgeseg.cli.progress import show_progress
from edgeseg.cli.reading import add_override_options
from edgeseg.data_rules import Rules
from edgeseg.overrides import Overrides

if TYPE_CHECKING:
    from edgeseg.cli.answers.receptive_field import FieldPicture

__all__ = ["inspect"]

_FieldOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.svg",
        help="Draw which pixels of the input each stage and the head of a checkpoint depend on, in "
        "every named form, over images of --data. A picture of an earlier run is replaced, any "
        "other file refused.",
    ),
]


@add_override_options
@add_rule_options
def inspect(
    what: Annotated[str, typer.Argument(help="Model size (b0 to b5), bundle or checkpoint.")],
    *,
    receptive_field: _FieldOption = None,
    data: DataOption = None,
    split: SplitOption = None,
    rules: Rules,
    overrides: Overrides,
    json: JsonFlag = False,
) -> None:
    """Show what a model costs, what a bundle holds, or what a checkpoint is.

    Example: edgeseg inspect b0
    """
    from edgeseg.cli.answers.inspect import inspect_anything

    picture = None
    if receptive_field is None:
        _refuse_data(data, split, rules)
    else:
        picture = _request_picture(what, receptive_field, data, split, rules)
    with show_progress() as progress:
        lines, content = inspect_anything(
            what, overrides=overrides, picture=picture, progress=progress
        )
    for line in lines:
        say(line)
    if json:
        print_json(content)


def _refuse_data(data: str | None, split: str | None, rules: Rules) -> None:
    """Refuse the options of a data set where nothing is measured on one.

    Raises:
        typer.BadParameter: one is given.
    """
    from edgeseg.accuracy.limits import name_option

    given = {
        "--data": data is not None,
        "--split": split is not None,
        **dict.fromkeys(map(name_option, sorted(rules.given)), True),
    }
    named = next((name for name, is_given in given.items() if is_given), None)
    if named is not None:
        raise typer.BadParameter(
            f"{named} is for a picture of receptive fields; add --receptive-field FILE.svg, or "
            f"leave it out"
        )


def _request_picture(
    what: str, path: Path, data: str | None, split: str | None, rules: Rules
) -> FieldPicture:
    """Check what a picture needs, before anything is opened.

    Raises:
        typer.BadParameter: there is no checkpoint or no data set, or the file is no SVG.
        ReportError: the picture cannot be written there.
    """
    from edgeseg.bundle.store import resembles_bundle
    from edgeseg.cli.answers.receptive_field import FieldPicture, check_picture
    from edgeseg.segformer.arch import VARIANTS

    if what in VARIANTS or resembles_bundle(Path(what)):
        kind = "a model size" if what in VARIANTS else "a bundle"
        raise typer.BadParameter(
            f"--receptive-field needs a checkpoint, and {what} is {kind}; give one, or `demo`"
        )
    if data is None:
        raise typer.BadParameter("--receptive-field needs images; add --data DATASET")
    if path.suffix.lower() != ".svg":
        raise typer.BadParameter(
            f"--receptive-field writes SVG, and {path} has another ending; name an .svg file"
        )
    check_picture(path)
    return FieldPicture(path=path, data=data, split=split, rules=rules)
