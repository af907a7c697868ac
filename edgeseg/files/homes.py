"""`~` is the user's home folder, also where no shell replaces it: in quotes, after =, in Python."""

from __future__ import annotations

import re
from collections.abc import Sequence
from os.path import expanduser
from typing import Final

__all__ = ["expand_home", "expand_homes"]

# Before the path there may be the name of a published data set.
_PATH: Final = re.compile(r"((?:ade20k|camvid|cityscapes|cocostuff):)?(~.*)", re.DOTALL)


def expand_home(path: str) -> str:
    """The path with the home folder in the place of its `~`; any other as it is."""
    found = _PATH.fullmatch(path)
    if found is None:
        return path
    # pathlib's raises where there is no such user, and a file may be called so.
    return f"{found[1] or ''}{expanduser(found[2])}"  # noqa: PTH111


def expand_homes(arguments: Sequence[str]) -> list[str]:
    """The same of a command's arguments, `--option=~/path` included."""
    split = (re.fullmatch(r"(--[\w-]+=)?(.*)", word, re.DOTALL) for word in arguments)
    return [f"{found[1] or ''}{expand_home(found[2])}" for found in split if found is not None]
