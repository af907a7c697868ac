"""Reports wrong usage in one line, with what was most likely meant.

typer's own messages differ from version to version, fill a box, and know nothing of the other
commands. So the arguments are read here first; what passes is parsed by typer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Final

import typer

from edgeseg.cli.parameters import Command, Parameter
from edgeseg.cli.slips import check_path, find_place, quote_value
from edgeseg.cli.suggest import find_command, find_parameter, find_value
from edgeseg.text import join_words

__all__ = ["check_usage"]

_HELP: Final = "--help"
_OF_ALL: Final = (_HELP, "--version")
# The option that a surplus argument most likely belongs to, when its look says nothing.
_BARE: Final = MappingProxyType(
    {
        "export": "--weights",
        "sweep": "--weights",
        "run": "--source",
        "verify": "--data",
        "calibrate": "--output",
        "data": "--split",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """A parameter as it was given; an argument beyond the last belongs to none."""

    parameter: Parameter | None
    spelling: str
    value: str

    @property
    def is_bare(self) -> bool:
        """Whether the value came without an option."""
        return self.parameter is None or not self.parameter.spellings


def check_usage(arguments: Sequence[str], commands: Mapping[str, Command]) -> None:
    """Refuse what no command takes, before anything is opened.

    Raises:
        typer.BadParameter: one line that says what is wrong, and what was most likely meant.
    """
    if not arguments or arguments[0] in _OF_ALL:
        return
    command = _find_command(arguments[0], commands)
    given = list(_read(arguments[1:], command, commands))
    if any(one.spelling == _HELP for one in given):
        return
    _check_patterns(given)
    for one in given:
        if one.parameter is not None:
            _check_value(one.parameter, one.value, command)
    _check_repeats(given)
    _check_extras(given, command)
    _check_missing(given, command)


def _find_command(word: str, commands: Mapping[str, Command]) -> Command:
    if word in commands:
        return commands[word]
    if word.startswith("-"):
        spelling = word.partition("=")[0]
        options = commands["run"].options | dict.fromkeys(_OF_ALL, commands["run"].options[_HELP])
        meant = find_parameter(spelling, Command(name="", options=options, arguments=()))
        raise typer.BadParameter(
            f"no {spelling}; did you mean {meant}?"
            if meant in _OF_ALL
            else f"put the command before {spelling}, as: edgeseg run {meant or spelling}"
        )
    name, place = find_command(word, commands), find_place(word, commands["run"])
    if place is not None:
        raise typer.BadParameter(
            f"no command {quote_value(word)}; did you mean: edgeseg run {place}?"
        )
    if name is not None:
        raise typer.BadParameter(f"no command {word}; did you mean {name}?")
    raise typer.BadParameter(
        f"no command {quote_value(word)}; the commands are {', '.join(commands)}"
    )


def _read(
    words: Sequence[str], command: Command, commands: Mapping[str, Command]
) -> Iterator[_Given]:
    """Read the parameters, in the order in which they were given."""
    rest = iter(words)
    left = list(command.arguments)
    for word in rest:
        if word == "--" or not word.startswith("-") or word == "-":
            for value in rest if word == "--" else (word,):
                place = left[0] if left else None
                if place is not None and not place.repeated:
                    left.pop(0)
                yield _Given(parameter=place, spelling=place.name if place else "", value=value)
        else:
            yield _read_option(word, rest, command, commands)


def _read_option(
    word: str, rest: Iterator[str], command: Command, commands: Mapping[str, Command]
) -> _Given:
    spelling, equals, value = word.partition("=")
    if not word.startswith("--") and word[:2] in command.options and len(word) > 2:
        spelling, equals, value = word[:2], " ", word[2:]  # -oFOLDER
        if value.startswith("="):
            raise typer.BadParameter(
                f"{spelling} takes its value without =: {spelling} {value[1:]}"
            )
    parameter = command.options.get(spelling)
    if parameter is None:
        raise typer.BadParameter(_describe_unknown(spelling, command, commands))
    if parameter.is_flag:
        if equals:
            raise typer.BadParameter(f"{spelling} takes no value; give {spelling} alone")
        return _Given(parameter=parameter, spelling=spelling, value=spelling)
    if not equals:
        value = next(rest, _HELP)
        if value.partition("=")[0] in command.options:
            raise typer.BadParameter(f"{spelling} needs {parameter.takes} after it")
    return _Given(parameter=parameter, spelling=spelling, value=value)


def _describe_unknown(spelling: str, command: Command, commands: Mapping[str, Command]) -> str:
    others = [name for name, other in commands.items() if spelling in other.options]
    meant = find_parameter(spelling, command, guess=not others)
    of = f"; {spelling} belongs to {join_words(others)}" if others else ""
    if meant is None:
        return f"{command.name} has no {spelling}{of}; {_refer_to_help(command)}"
    if not meant.startswith("-"):
        meant = f"{meant} without an option, as: edgeseg {command.name} {meant}"
    return f"{command.name} has no {spelling}{of}; did you mean {meant}?"


def _check_value(parameter: Parameter, value: str, command: Command) -> None:
    if not value:
        raise typer.BadParameter(f"{parameter.name} is empty; is a variable not set?")
    if parameter.choices and value not in parameter.choices:
        meant = find_value(value, parameter.choices)
        hint = f"did you mean {meant}? It takes" if meant else "it takes"
        raise typer.BadParameter(f"{parameter.name} cannot be {value}; {hint} {parameter.takes}")
    check_path(parameter, value, command)
    if parameter.kind in {int, float}:
        _check_number(parameter, value)


def _check_number(parameter: Parameter, value: str) -> None:
    try:
        number = parameter.kind(value)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise typer.BadParameter(
            f"{parameter.name} takes {parameter.takes}; got {quote_value(value)}"
        )
    if parameter.low is not None and number < parameter.low:
        raise typer.BadParameter(f"{parameter.name} is {parameter.low:g} or more; got {value}")


def _check_repeats(given: Sequence[_Given]) -> None:
    """Refuse an option given twice: only the last value would count."""
    seen: dict[str, _Given] = {}
    for one in given:
        if one.parameter is None or one.parameter.repeated:
            continue
        before = seen.setdefault(one.parameter.name, one)
        if before.value != one.value and one.parameter.is_flag:
            raise typer.BadParameter(f"{before.spelling} and {one.spelling} exclude each other")
        if before.value != one.value:
            raise typer.BadParameter(
                f"{one.parameter.name} is given twice, and takes one value; leave one out"
            )


def _check_patterns(given: Sequence[_Given]) -> None:
    """Refuse a pattern without quotes: the shell expands it, and --source takes one path."""
    for before, one in pairwise(given):
        if before.spelling == "--source" and one.is_bare and _look_alike(before.value, one.value):
            pattern = Path(one.value).with_name(f"*{Path(one.value).suffix}")
            raise typer.BadParameter(
                f"--source takes one path; put a pattern in quotes: --source '{pattern}'"
            )


def _check_extras(given: Sequence[_Given], command: Command) -> None:
    """Refuse arguments that the command has no place for."""
    extra = next((one.value for one in given if one.parameter is None), None)
    if extra is None:
        return
    takes = " and ".join(argument.name for argument in command.arguments)
    place, bare = find_place(extra, command), _BARE.get(command.name)
    if place in {None, quote_value(extra)}:
        place = bare and f"{bare} {quote_value(extra)}"
    raise typer.BadParameter(
        f"unexpected {quote_value(extra)}: {command.name} takes "
        f"{f'one {takes}' if takes else 'options only'}; "
        f"{f'give it as {place}' if place else _refer_to_help(command)}"
    )


def _look_alike(path: str, other: str) -> bool:
    """Tell whether a shell may have expanded one pattern to both paths."""
    one, two = Path(path), Path(other)
    return one.parent == two.parent and one.suffix == two.suffix != ""


def _check_missing(given: Sequence[_Given], command: Command) -> None:
    named = {one.parameter.name for one in given if one.parameter is not None}
    missing = [p.name for p in command.parameters if p.required and p.name not in named]
    if missing:
        raise typer.BadParameter(
            f"{command.name} needs {' and '.join(missing)}; {_refer_to_help(command)}"
        )


def _refer_to_help(command: Command) -> str:
    return f"see edgeseg {command.name} --help"
