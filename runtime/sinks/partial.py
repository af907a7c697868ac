"""Names beside the final ones, for outputs that are not whole yet."""

from __future__ import annotations

import itertools
from pathlib import Path

from edgeseg.errors import SinkError
from edgeseg.signature import is_replaceable

__all__ = ["give_name", "partial_of", "set_aside"]


def partial_of(path: Path) -> Path:
    """`x.partial.mp4` for `x.mp4`: the ending stays last, encoders go by it."""
    return path.with_name(f"{path.stem}.partial{path.suffix}")


def set_aside(path: Path) -> Path | None:
    """Move what a killed run left to a free name, `x.partial-1.mp4`; None where it left nothing."""
    partial = partial_of(path)
    if not partial.exists():
        return None
    names = (f"{path.stem}.partial-{count}{path.suffix}" for count in itertools.count(1))
    return partial.rename(
        next(free for name in names if not (free := path.with_name(name)).exists())
    )


def give_name(partial: Path, path: Path) -> Path:
    """Give a whole output its final name.

    Raises:
        SinkError: something came there meanwhile that no run of edgeseg wrote.
        OSError: the folder does not take it.
    """
    if not is_replaceable(path):
        raise SinkError(f"{path} is there now, and no edgeseg run wrote it; it is kept")
    return partial.replace(path)
