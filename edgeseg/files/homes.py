"""Reads and shows paths as users write them; an empty one is refused.

`~` is the home folder where no shell replaces it: in quotes, after =, in Python. A path below the
working folder is shown from there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from os.path import expanduser
from pathlib import Path
from typing import Final

from edgeseg.errors import SpecError

__all__ = ["check_not_empty", "expand_home", "expand_homes", "shorten"]

# The name of a published data set may stand before the path.
_PATH: Final = re.compile(r"((?:ade20k|camvid|cityscapes|cocostuff):)?(~.*)", re.DOTALL)


def expand_home(path: str) -> str:
    """Replace the `~` of a path by the home folder; leave any other path as it is."""
    found = _PATH.fullmatch(path)
    if found is None:
        return path
    # pathlib's function raises where there is no such user; a file may have that name.
    return f"{found[1] or ''}{expanduser(found[2])}"  # noqa: PTH111


def expand_homes(arguments: Sequence[str]) -> list[str]:
    """Expand the home folder in a command's arguments, `--option=~/path` included."""
    split = (re.fullmatch(r"(--[\w-]+=)?(.*)", word, re.DOTALL) for word in arguments)
    return [f"{found[1] or ''}{expand_home(found[2])}" for found in split if found is not None]


def check_not_empty(**given: object) -> None:
    """Refuse an empty path, which would become the working folder; options are given by name.

    Raises:
        SpecError: an option is an empty text.
    """
    for name, value in given.items():
        if value == "":
            raise SpecError(f"{name} is empty; is a variable not set?")


def shorten(path: Path) -> str:
    """Write a path relative to the working folder, if it lies there."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
