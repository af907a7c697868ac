"""Options that several commands share, passed to them as one value."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any

__all__ = ["Command", "group_options"]

Command = Callable[..., None]


def group_options(
    group: str, options: Mapping[str, object], collect: Callable[[dict[str, Any]], object]
) -> Callable[[Command], Command]:
    """Give a command `options`, in place of its parameter `group`, which `collect` makes of them.

    `options` are the types of the parameters, annotated for typer, by their names. Without the
    option, a value is None.
    """

    def with_options(command: Command) -> Command:
        @wraps(command)
        def call(**values: Any) -> None:  # noqa: ANN401  # whatever the command takes
            given = {name: values.pop(name) for name in options}
            command(**values, **{group: collect(given)})

        signature = inspect.signature(command, eval_str=True)
        parameters = tuple(_expand(signature, group, options))
        # typer reads the options from here.
        call.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {one.name: one.annotation for one in parameters}
        return call

    return with_options


def _expand(
    signature: inspect.Signature, group: str, options: Mapping[str, object]
) -> Iterator[inspect.Parameter]:
    """Yield the parameters, with one for each option in place of the group."""
    for parameter in signature.parameters.values():
        if parameter.name != group:
            yield parameter
            continue
        for name, annotation in options.items():
            yield parameter.replace(name=name, default=None, annotation=annotation)
