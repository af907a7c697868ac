"""`edgeseg inspect`: shows what a model, a bundle or a checkpoint is."""

from __future__ import annotations

from typing import Annotated

import typer

from edgeseg.cli.options import JsonFlag, print_json, say
from edgeseg.cli.reading import add_override_options
from edgeseg.overrides import Overrides

__all__ = ["inspect"]


@add_override_options
def inspect(
    what: Annotated[str, typer.Argument(help="Model size (b0 to b5), bundle or checkpoint.")],
    *,
    overrides: Overrides,
    json: JsonFlag = False,
) -> None:
    """Show what a model costs, what a bundle holds, or what a checkpoint is.

    Example: edgeseg inspect b0
    """
    from edgeseg.cli.answers.inspect import inspect_anything

    lines, content = inspect_anything(what, overrides=overrides, say=say)
    for line in lines:
        say(line)
    if json:
        print_json(content)
