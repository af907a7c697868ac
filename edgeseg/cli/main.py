"""The command line: parses, calls one function, prints. Commands import what they work with."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from edgeseg import __version__
from edgeseg.cli.commands.bench import bench
from edgeseg.cli.commands.build import build
from edgeseg.cli.commands.calibrate import calibrate
from edgeseg.cli.commands.data import data
from edgeseg.cli.commands.doctor import doctor
from edgeseg.cli.commands.export import export
from edgeseg.cli.commands.inspect import inspect
from edgeseg.cli.commands.run import run
from edgeseg.cli.commands.sources import sources
from edgeseg.cli.commands.sweep import sweep
from edgeseg.cli.commands.verify import verify
from edgeseg.cli.options import EXIT_FAILED, EXIT_GATE_MISSED, EXIT_USAGE, say
from edgeseg.cli.parameters import Command, read_command
from edgeseg.cli.signals import SIGNALLED, unwind_on_signals
from edgeseg.cli.usage import check_usage
from edgeseg.errors import EdgesegError, GateMissedError
from edgeseg.files.homes import expand_homes
from edgeseg.text import to_plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["list_commands", "main", "run_command"]

# typer's class of all that it refuses; it has no public name.
_Refused: type[Exception] = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="edgeseg",
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Run trained SegFormer checkpoints live on a device, with their accuracy proved.",
)
for command in (
    *(export, run, verify, data, sweep, bench),
    *(build, calibrate, inspect, sources, doctor),
):
    app.command()(command)


def main() -> None:
    """Run one command and end this process with its exit status."""
    with _exit_without_waiting():
        run_command()


def run_command() -> None:
    """Run one command. Signals are handled afterwards as they were before.

    Raises:
        SystemExit: always, with its exit status.
    """
    with unwind_on_signals() as terminations:
        try:
            sys.exit(_run(sys.argv[1:]))
        except _Refused as error:
            say(f"edgeseg: {to_plain(getattr(error, 'message', ''))}")
            sys.exit(EXIT_USAGE)
        except GateMissedError as error:
            say(f"edgeseg: {to_plain(str(error))}")
            sys.exit(EXIT_GATE_MISSED)
        except EdgesegError as error:
            if terminations:  # the signal broke off an import, so a package seemed to be missing
                sys.exit(SIGNALLED + signal.SIGTERM)
            say(f"edgeseg: {to_plain(str(error))}")
            sys.exit(EXIT_FAILED)
        except typer.Abort:  # Ctrl-C, as older versions of typer tell it
            sys.exit(_interrupt())
        except BrokenPipeError:  # whoever read our output has seen enough
            sys.stderr.close()
            sys.exit(EXIT_FAILED)


def _run(given: Sequence[str]) -> int:
    """Run the command and return its exit status; show the help if none is given."""
    arguments = _fill_in_address(expand_homes(given))
    check_usage(arguments, list_commands())
    status = app(arguments or ["--help"], standalone_mode=False)
    if status == SIGNALLED + signal.SIGINT:
        return _interrupt()
    return int(status or 0) if given else EXIT_USAGE


@contextmanager
def _exit_without_waiting() -> Iterator[None]:
    """Exit at once if a driver still holds a thread: Python's own exit would abort in its call."""
    try:
        yield
    except SystemExit as end:
        patient = sys.modules.get("edgeseg.runtime.sources.captures.patient")
        if patient is not None and patient.has_left_behind():
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError, ValueError):  # it is closed
                    stream.flush()
            os._exit(int(end.code or 0))
        raise


def list_commands() -> dict[str, Command]:
    """List all commands by name, with what they take."""
    made = (info.callback for info in app.registered_commands)
    return {function.__name__: read_command(function) for function in made if function is not None}


def _interrupt() -> int:
    say("edgeseg: interrupted")
    return SIGNALLED + signal.SIGINT


def _fill_in_address(arguments: Sequence[str]) -> list[str]:
    """Give `--preview` the usual address where it stands alone.

    typer has no option that may go without its value.
    """
    from edgeseg.runtime.preview.address import DEFAULT, is_address

    following = [*arguments, ""][1:]
    return [
        f"{argument}={DEFAULT}" if argument == "--preview" and not is_address(after) else argument
        for argument, after in zip(arguments, following, strict=True)
    ]


@app.callback(invoke_without_command=True)
def _handle_version(
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(f"edgeseg {__version__}")
        raise typer.Exit


if __name__ == "__main__":
    main()
