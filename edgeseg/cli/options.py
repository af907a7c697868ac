"""What several commands take and how all of them speak."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from edgeseg.errors import SpecError
from edgeseg.redact import scrub

__all__ = [
    "EXIT_FAILED",
    "EXIT_GATE_MISSED",
    "EXIT_USAGE",
    "DaskOption",
    "DataOption",
    "JsonFlag",
    "SplitOption",
    "ThreadsOption",
    "a_source",
    "print_json",
    "say",
    "say_next",
    "wrong_usage",
]


EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_GATE_MISSED: Final = 3

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="A folder with images/ and masks/, perhaps under train/ val/ test/, and dataset.json, "
        "which says what the masks' ids mean; `demo`; or "
        "ade20k:PATH, cityscapes:PATH, cocostuff:PATH, camvid:PATH as published. Or a URL of one.",
    ),
]
SplitOption = Annotated[
    str | None,
    typer.Option(
        "--split", help="Which part of --data: train, val (published sets' default), test (demo's)."
    ),
]


DaskOption = Annotated[
    str | None,
    typer.Option(
        "--dask",
        metavar="ADDRESS",
        help="Share the images among the workers of this Dask scheduler, as tcp://host:8786.",
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option("--threads", metavar="N", help="Threads of the engine. One a core."),
]


@contextmanager
def wrong_usage() -> Iterator[None]:
    """Call it wrong usage where the options of a command make no sense, alone or together.

    Raises:
        typer.BadParameter: what is made of them says so.
    """
    try:
        yield
    except SpecError as error:
        raise typer.BadParameter(str(error)) from None


def say(line: str) -> None:
    """A line for people, on stderr: stdout is for machines.

    Whoever wrote it, it shows no secret of an address that this command was given.
    """
    print(scrub(line, *_list_words()), file=sys.stderr)


def _list_words() -> list[str]:
    """What stands on the command line, options and their values apart."""
    return [
        argument.partition("=")[2] if argument.startswith("--") else argument
        for argument in sys.argv[1:]
    ]


def say_next(*words: object) -> None:
    """The command to try next, as a shell takes it; capitals stand for what only its user knows."""
    import shlex

    say(f"next: edgeseg {shlex.join(map(str, words))}")


def a_source() -> tuple[str, str]:
    """What `edgeseg run` is to look at: a camera, where one is connected."""
    cameras = _cameras()
    return ("--camera", cameras[0]) if cameras else ("--source", "VIDEO")


def _cameras() -> list[str]:
    """Their numbers, the lowest first."""
    found = (path.name.removeprefix("video") for path in Path("/dev").glob("video*"))
    return sorted(filter(str.isdecimal, found), key=int)


def print_json(content: object) -> None:
    """The one thing on stdout."""
    import json

    print(json.dumps(content, indent=2))
