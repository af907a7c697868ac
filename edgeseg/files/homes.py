"""Replaces `~` by the user's home folder where no shell does it: in quotes, after =, in Python."""

from __future__ import annotations

import re
from collections.abc import Sequence
from os.path import expanduser
from typing import Final

__all__ = ["expand_home", "expand_homes"]

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
