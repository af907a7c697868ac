"""What scripts of benchmarks/ and tools/ share: a failure is one line, as in `edgeseg`."""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from pathlib import Path

from edgeseg.errors import EdgesegError
from edgeseg.text import explain, to_plain

__all__ = ["check_inputs", "parse_hw", "run_script"]


def run_script(main: Callable[[], object]) -> None:
    """Run a script's `main`; an expected failure ends it with one line and status 1."""
    try:
        main()
    except EdgesegError as error:
        _fail(str(error))
    except OSError as error:
        named = "" if error.filename is None else f"{error.filename}: "
        _fail(f"{named}{explain(error)}")
    except subprocess.CalledProcessError as error:  # which has told why
        sys.exit(error.returncode)
    except ModuleNotFoundError as error:
        _fail(f"{error.name} is not installed; run: pip install -e '.[dev]' -c constraints.txt")


def _fail(message: str) -> None:
    sys.stderr.write(f"{Path(sys.argv[0]).name}: {to_plain(message)}\n")
    sys.exit(1)


def parse_hw(text: str) -> tuple[int, int]:
    """Parse a height and a width, for example 512x1024, as a `type` for argparse.

    Raises:
        ArgumentTypeError: the text is not a size; argparse prints the message.
    """
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise ArgumentTypeError(f"give HEIGHTxWIDTH in pixels, for example 512x1024; got {text!r}")
    return int(height), int(width)


def check_inputs(parser: ArgumentParser, *paths: str | Path) -> None:
    """Exit with the parser's usage if one of the paths does not exist."""
    for path in paths:
        if not Path(path).exists():
            parser.error(f"nothing at {path}")
