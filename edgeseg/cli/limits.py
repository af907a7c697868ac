"""The limits as options of the command line, made from the one list of limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

import typer

from edgeseg.accuracy.limits import LIMITS, Limit, Limits
from edgeseg.cli.grouped import Command, group_options
from edgeseg.cli.options import report_wrong_usage

__all__ = ["EXPORT_LIMITS", "SWEEP_LIMITS", "add_limit_options"]

# A sweep and an export look at what is lost against the reference alone; only an export trains, and
# looks at what training loses in bad light.
SWEEP_LIMITS: Final = ("max_drop", "max_class_drop", "min_agreement")
EXPORT_LIMITS: Final = (*SWEEP_LIMITS, "max_extra_drop")

_METAVARS: Final = {"points": "POINTS", "%": "PERCENT", "MB": "MB"}


def add_limit_options(*names: str) -> Callable[[Command], Command]:
    """Give a command an option for each named limit, and pass them to it as one value, `limits`.

    The options take the place of the command's parameter `limits`.
    """
    options = {name: Annotated[float | None, _make_option(LIMITS[name])] for name in names}
    return group_options("limits", options, _collect_limits)


def _make_option(limit: Limit) -> Any:  # noqa: ANN401  # as typer.Option
    return typer.Option(
        metavar=_METAVARS.get(limit.unit, "RATIO"),
        help=limit.help,
        show_default="off" if limit.default is None else f"{limit.default:g}",
    )


def _collect_limits(given: dict[str, float | None]) -> Limits:
    """Collect the limits that were given.

    Raises:
        typer.BadParameter: a limit is out of range.
    """
    with report_wrong_usage():
        return Limits.of({name: value for name, value in given.items() if value is not None})
