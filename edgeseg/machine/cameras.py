"""Finds the cameras that are connected to this machine, by number and by stable links."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["find_number", "list_cameras", "list_links"]

_DEVICE: Final = re.compile(r"/dev/video(\d+)")
# Links that udev makes: by the camera's serial number, and by the socket that it is plugged into.
_LINK_FOLDERS: Final = ("dev/v4l/by-id", "dev/v4l/by-path")


def list_cameras(root: Path = Path("/")) -> list[int]:
    """List the numbers of the cameras, lowest first; `root` is where the system is read."""
    names = (path.name.removeprefix("video") for path in (root / "dev").glob("video*"))
    return sorted(int(name) for name in names if name.isdecimal())


def find_number(path: str) -> int | None:
    """Find the number of a device by its path or a link to it; None where there is none now."""
    found = _DEVICE.fullmatch(os.path.realpath(path))
    return int(found[1]) if found and os.path.exists(found[0]) else None  # noqa: PTH110  # a text


def list_links(number: int, root: Path = Path("/")) -> list[str]:
    """List the stable links to a camera, as paths of the system that is read at `root`."""
    return sorted(
        f"/{link.relative_to(root)}"
        for link in _find_links(root)
        if os.path.basename(os.path.realpath(link)) == f"video{number}"  # noqa: PTH119  # a text
    )


def _find_links(root: Path) -> Iterator[Path]:
    for folder in _LINK_FOLDERS:
        yield from (root / folder).glob("*")
