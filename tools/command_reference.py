"""The reference of the command line as Markdown, from what typer shows in `--help`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Any, Final

import typer

from edgeseg.cli.main import app, list_commands
from edgeseg.cli.parameters import Command, Parameter

__all__ = ["JSON_KEYS", "write_command_reference"]

# The keys of what `--json` prints, where they are the same for every use of the command.
JSON_KEYS: Final = {
    "export": ("bundle", "target", "chosen", "reason", "variants", "parity", "calibration"),
    "run": (
        "frames", "fps", "latency_ms", "frame_age_ms", "dropped", "skipped", "reused",
        "failed", "last_failure", "stages_ms", "lost", "backend", "precision", "miou",
    ),
    "bench": ("results", "end_to_end"),
    "build": ("variants", "kept"),
    "calibrate": ("folder", "images", "sha256"),
    "data": ("name", "created", "splits", "shared", "notes"),
    "sources": ("cameras", "opencv", "pyav", "schemes", "problems"),
    "doctor": (
        "edgeseg", "python", "numpy", "machine", "cpu", "features", "cores", "engines", "devices",
        "extras",
        "opencv", "cameras", "jetson", "cuda", "disk_free", "memory_free", "problems",
    ),
}  # fmt: skip
_JSON_ELSEWHERE: Final = {
    "verify": "the [report](report.md)",
    "sweep": "what the sweep also writes to `sweep.json`",
    "inspect": "the arithmetic of a model, what was found out about a checkpoint, or the "
    "[manifest](../bundle-format.md) of a bundle",
}
_HEAD: Final = """# Command line

Written from the options themselves, as `edgeseg COMMAND --help` shows them.

| exit status | meaning |
|---|---|
| 0 | done |
| 1 | an expected failure, told in one line |
| 2 | wrong usage |
| 3 | an accuracy gate was missed, or could not be judged |
| 130, 143 | ended by Ctrl-C or SIGTERM; a run that has frames to sum up ends with 0 instead |

Messages for people go to stderr. With `--json` a command prints one JSON object on stdout.
"""


def write_command_reference() -> str:
    """A section for each command: what it does, an example, its arguments and its options."""
    shown = typer.main.get_command(app).commands
    return "\n".join(
        [_HEAD, *(_write_section(shown[name], read) for name, read in list_commands().items())]
    )


def _write_section(shown: Any, read: Command) -> str:  # noqa: ANN401  # typer has no public type for it
    about, _, example = shown.help.partition("Example: ")
    lines = [f"## edgeseg {read.name}", "", about.strip(), ""]
    if example:
        lines += ["```sh", " ".join(example.split()), "```", ""]
    for title, rows in _write_groups(shown.params, read):
        lines += [f"**{title}**", "", "| | value | default | |", "|---|---|---|---|", *rows, ""]
    keys = ", ".join(f"`{key}`" for key in JSON_KEYS.get(read.name, ()))
    lines += [f"`--json` prints {keys or _JSON_ELSEWHERE[read.name]}.", ""]
    return "\n".join(lines)


def _write_groups(params: list[Any], read: Command) -> Iterator[tuple[str, list[str]]]:
    """The tables that `--help` shows, arguments first."""
    arguments = {parameter.name.lower(): parameter for parameter in read.arguments}
    tables: dict[str, list[str]] = {}
    for param in params:
        known = read.options.get(param.opts[0])
        title = param.rich_help_panel or ("Options" if known else "Arguments")
        parameter = known or arguments.get((param.metavar or param.name).lower())
        if parameter is not None:  # --help itself has none
            tables.setdefault(title, []).append(_write_row(param, parameter))
    yield from tables.items()


def _write_row(param: Any, parameter: Parameter) -> str:  # noqa: ANN401  # typer has no public type for it
    spellings = (*parameter.spellings, *parameter.off)
    names = ", ".join(f"`{name}`" for name in spellings) or f"`{parameter.name}`"
    help_text = param.help or ""
    if param.envvar:
        help_text += f" Or `{param.envvar}` in the environment."
    again = " (may be given again)" if parameter.repeated else ""
    cells = (
        names,
        _write_value(param, parameter) + again,
        _write_default(param, parameter),
        help_text,
    )
    return "| " + " | ".join(_escape(cell) for cell in cells) + " |"


def _write_value(param: Any, parameter: Parameter) -> str:  # noqa: ANN401  # typer has no public type for it
    if parameter.is_flag:
        return ""
    if parameter.choices:
        return ", ".join(f"`{choice}`" for choice in parameter.choices)
    least = "" if parameter.low is None else f", {parameter.low:g} or more"
    return (
        f"`{param.metavar}`" if param.metavar and parameter.spellings else parameter.takes
    ) + least


def _write_default(param: Any, parameter: Parameter) -> str:  # noqa: ANN401  # typer has no public type for it
    if parameter.required:
        return "needed"
    if isinstance(param.show_default, str):
        return param.show_default
    value = param.default.value if isinstance(param.default, Enum) else param.default
    return "" if value is None or value is False or value == [] else f"`{value}`"


def _escape(cell: str) -> str:
    """A vertical line ends a cell; an angle bracket begins HTML."""
    return re.sub(r"([|<])", r"\\\1", cell)
