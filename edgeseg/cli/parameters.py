"""What a command takes, read from its signature, whichever typer is installed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

from typer.models import OptionInfo

from edgeseg.text import join_words

__all__ = ["Command", "Parameter", "read_command"]

_HELP: Final = "--help"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """An option, or an argument without one.

    `spellings` are all names of an option, the one that messages use first; empty for an
    argument. `off` are the spellings that switch a flag off. `low` is the smallest number it takes.
    """

    name: str
    spellings: tuple[str, ...]
    off: tuple[str, ...]
    kind: type
    repeated: bool
    required: bool
    low: float | None

    @property
    def is_flag(self) -> bool:
        """Whether the parameter takes no value."""
        return self.kind is bool

    @property
    def choices(self) -> tuple[str, ...]:
        """The only values that the parameter takes; empty if it takes any."""
        return tuple(c.value for c in self.kind) if issubclass(self.kind, Enum) else ()

    @property
    def takes(self) -> str:
        """What the parameter's value is, in words."""
        if self.choices:
            return join_words(self.choices, "or")
        return {int: "a whole number", float: "a number", Path: "a path"}.get(self.kind, "a value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command of `edgeseg`: its options by every spelling, and its arguments in order."""

    name: str
    options: dict[str, Parameter]
    arguments: tuple[Parameter, ...]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All arguments and options, each once."""
        return (*self.arguments, *dict.fromkeys(self.options.values()))


def read_command(function: Callable[..., Any]) -> Command:
    """Read a command from its function, whose parameters are all `Annotated`, as typer does."""
    parameters = list(_read_parameters(function))
    return Command(
        name=function.__name__,
        options={
            spelling: parameter
            for parameter in parameters
            for spelling in (*parameter.spellings, *parameter.off)
        }
        | {_HELP: _make_flag(_HELP)},
        arguments=tuple(parameter for parameter in parameters if not parameter.spellings),
    )


def _read_parameters(function: Callable[..., Any]) -> Iterator[Parameter]:
    hints = get_type_hints(function, include_extras=True)
    for name, declared in inspect.signature(function).parameters.items():
        hint, info = get_args(_read_annotation(hints[name]))
        kind, repeated = _find_kind(hint)
        spellings, off = (
            _find_spellings(name, info, kind) if isinstance(info, OptionInfo) else ((), ())
        )
        yield Parameter(
            name=spellings[0] if spellings else info.metavar or name.upper(),
            spellings=spellings,
            off=off,
            kind=kind,
            repeated=repeated,
            required=declared.default is inspect.Parameter.empty,
            low=info.min,
        )


def _read_annotation(hint: Any) -> Any:  # noqa: ANN401  # typing has no type for hints
    """Remove the Optional that Python 3.10 puts around a hint whose default is None."""
    inside = (hint, *get_args(hint))
    return next(part for part in inside if get_origin(part) is Annotated)


def _find_kind(hint: Any) -> tuple[type, bool]:  # noqa: ANN401  # typing has no type for hints
    """Find the type of one value, and whether there may be several."""
    kinds = [part for part in get_args(hint) if part is not NoneType] or [hint]
    if get_origin(hint) is list:
        return kinds[0], True
    if get_origin(kinds[0]) is list:
        return get_args(kinds[0])[0], True
    return kinds[0], False


def _find_spellings(
    name: str, info: OptionInfo, kind: type
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Find the spellings of an option, long ones first, and those that switch it off."""
    long = f"--{name.replace('_', '-')}"
    # Under `Annotated`, typer keeps the first declared spelling in `default`.
    first = (info.default,) if isinstance(info.default, str) else ()
    declared = (*first, *(info.param_decls or ()))
    if declared:
        return tuple(sorted(declared, key=len, reverse=True)), ()
    return (long,), (f"--no-{long[2:]}",) if kind is bool else ()


def _make_flag(spelling: str) -> Parameter:
    return Parameter(
        name=spelling,
        spellings=(spelling,),
        off=(),
        kind=bool,
        repeated=True,
        required=False,
        low=None,
    )
