"""Options that several commands share, and how commands print."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from edgeseg.errors import SpecError
from edgeseg.machine.cameras import list_cameras
from edgeseg.redact import scrub
from edgeseg.spec import RGB

if TYPE_CHECKING:
    from edgeseg.data_rules import ValueRange

__all__ = [
    "ANY_DEVICE",
    "EXIT_FAILED",
    "EXIT_GATE_MISSED",
    "EXIT_USAGE",
    "CameraOption",
    "DaskOption",
    "DataOption",
    "DeviceOption",
    "JsonFlag",
    "RangeOption",
    "SplitOption",
    "ThreadsOption",
    "print_json",
    "repeat_device",
    "say",
    "say_next",
    "say_next_run",
    "suggest_source",
    "read_camera",
    "read_range",
    "report_wrong_usage",
]


ANY_DEVICE: Final = "auto"
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_GATE_MISSED: Final = 3

JsonFlag = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print one JSON object on stdout, for programs. Lines for people go to stderr.",
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="Data set to measure on: a folder with images/, masks/ and dataset.json, which names "
        "the class of each mask id (splits are folders train/, val/, test/), or in another layout "
        "that edgeseg recognizes, as docs/datasets.md lists them; `demo`; NAME:PATH with the name "
        "of a layout, as voc:PATH or cityscapes:PATH; or a URL of a set.",
    ),
]
SplitOption = Annotated[
    str | None,
    typer.Option(
        "--split",
        help="Split of --data: train, val or test, or the data set's own name of it.",
        show_default="val for published sets, test for demo",
    ),
]
RangeOption = Annotated[
    str | None,
    typer.Option(
        "--range",
        metavar="LOW,HIGH",
        help="Values that become 0 and 255, for images of more than 8 bits; for 12 bits 0,4095.",
        show_default="the upper 8 of 16 bits",
    ),
]


CameraOption = Annotated[
    str | None,
    typer.Option(
        metavar="NUMBER|DEVICE",
        help="Camera: its number, for example 0, or its device, for example a link in "
        "/dev/v4l/by-id, which stays when the number changes.",
    ),
]
DaskOption = Annotated[
    str | None,
    typer.Option(
        "--dask",
        metavar="ADDRESS",
        help="Dask scheduler whose workers share the images, for example tcp://host:8786.",
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="auto|cpu|gpu|npu|NAME",
        help="Only use devices of this name that the bundle's engine offers, as gpu.1 or cuda; "
        "`edgeseg doctor` lists them.",
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads", metavar="N", help="Number of engine threads.", show_default="one per core"
    ),
]


@contextmanager
def report_wrong_usage() -> Iterator[None]:
    """Report a SpecError in the block as wrong usage of the command.

    Raises:
        typer.BadParameter: the block raised SpecError.
    """
    try:
        yield
    except SpecError as error:
        raise typer.BadParameter(str(error)) from None


def read_camera(text: str) -> int | str:
    """Parse `--camera`: a number, or the path of a device.

    Raises:
        typer.BadParameter: it is neither.
    """
    if text.isascii() and text.isdecimal():
        return int(text)
    if not text.startswith("/dev/"):
        raise typer.BadParameter(
            f"--camera takes a whole number, or a device such as /dev/video0; got {text}"
        )
    return text


def read_range(text: str | None) -> ValueRange | None:
    """Parse `--range`, if it was given.

    Raises:
        typer.BadParameter: it is no range.
    """
    from edgeseg.data_rules import parse_range

    with report_wrong_usage():
        return None if text is None else parse_range(text)


def say(line: str) -> None:
    """Print a line for people on stderr; stdout is for machines.

    Passwords in addresses on the command line are removed from it.
    """
    print(scrub(line, *_list_words()), file=sys.stderr)


def _list_words() -> list[str]:
    """List the words of the command line, with `--option=value` reduced to its value."""
    return [
        argument.partition("=")[2] if argument.startswith("--") else argument
        for argument in sys.argv[1:]
    ]


def say_next(*words: object) -> None:
    """Print the command to try next, quoted for a shell; the user replaces words in capitals."""
    import shlex

    say(f"next: edgeseg {shlex.join(map(str, words))}")


def say_next_run(bundle: Path, channels: int, *source: str, device: str = ANY_DEVICE) -> None:
    """Suggest a run of the bundle, or a measurement if no source gives images of its channels.

    It is restricted to the devices that this command was restricted to.
    """
    restricted = repeat_device(device)
    if channels == RGB:
        say_next("run", bundle, *source, *restricted)
    else:
        say_next("verify", bundle, "--data", "DATASET", *restricted)


def repeat_device(device: str) -> tuple[str, ...]:
    """Repeat the option `--device` for the next command, where it was given."""
    return () if device == ANY_DEVICE else ("--device", device)


def suggest_source() -> tuple[str, str]:
    """Suggest a source for `edgeseg run`: a connected camera, otherwise a video."""
    cameras = list_cameras()
    return ("--camera", str(cameras[0])) if cameras else ("--source", "VIDEO")


def print_json(content: object) -> None:
    """Print a command's JSON object on stdout."""
    import json

    print(json.dumps(content, indent=2))
