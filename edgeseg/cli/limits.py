"""The limits as options of the command line, made from the one list of limits."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Annotated, Any, Final

import typer

from edgeseg.accuracy.limits import LIMITS, Limit, Limits
from edgeseg.cli.options import report_wrong_usage

__all__ = ["EXPORT_LIMITS", "add_limit_options"]

# An export and a sweep look at what is lost against the reference alone.
EXPORT_LIMITS: Final = ("max_drop", "max_class_drop", "min_agreement")

_METAVARS: Final = {"points": "POINTS", "%": "PERCENT", "MB": "MB"}


def add_limit_options(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each named limit, and pass them to it as one value, `limits`.

    The options take the place of the command's parameter `limits`.
    """

    def with_options(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def call(**values: Any) -> None:  # noqa: ANN401  # whatever the command takes
            given = {name: values.pop(name) for name in names}
            command(**values, limits=_collect_limits(given))

        signature = inspect.signature(command, eval_str=True)
        parameters = tuple(_expand(signature, names))
        # typer reads the options from here.
        call.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {one.name: one.annotation for one in parameters}
        return call

    return with_options


def _expand(signature: inspect.Signature, names: tuple[str, ...]) -> Iterator[inspect.Parameter]:
    """Yield the parameters, with one for each limit in place of `limits`."""
    for parameter in signature.parameters.values():
        if parameter.name != "limits":
            yield parameter
            continue
        for name in names:
            yield parameter.replace(
                name=name,
                default=None,
                annotation=Annotated[float | None, _make_option(LIMITS[name])],
            )


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
