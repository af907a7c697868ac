"""Finds the cameras of this machine, and which kinds of sources `edgeseg run` takes here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from edgeseg.cli.examination import Problem, examine_opencv
from edgeseg.machine.cameras import list_cameras, list_links
from edgeseg.machine.ffmpeg import OPENERS, opens_scheme
from edgeseg.machine.packages import find_version
from edgeseg.machine.v4l2 import Ioctl, Offer, read_offer
from edgeseg.runtime.sources.address import STREAM_SCHEMES
from edgeseg.text import explain

__all__ = ["find_sources"]


def find_sources(root: Path = Path("/"), *, ioctl: Ioctl | None = None) -> dict[str, object]:
    """Ask each camera's driver, OpenCV and PyAV; files of the system are read below `root`.

    `ioctl` calls a device; by default the system does. A device that gives no pictures is left out.
    """
    from fcntl import ioctl as call

    cameras: list[dict[str, object]] = []
    problems: list[Problem] = []
    for number in list_cameras(root):
        path = root / "dev" / f"video{number}"
        try:
            offer = _ask(path, ioctl or call)
        except OSError as error:
            problems.append(_explain(f"/dev/video{number}", error))
            continue
        if offer is not None:
            links = list_links(number, root)
            cameras.append({"device": f"/dev/video{number}", "links": links, **asdict(offer)})
    return {
        "cameras": cameras,
        "opencv": examine_opencv(),
        "pyav": find_version("av"),
        "schemes": dict(_find_schemes()),
        "problems": [asdict(problem) for problem in problems],
    }


def _ask(path: Path, ioctl: Ioctl) -> Offer | None:
    # Opening waits for nothing, and asks for no more than reading: a run may hold the camera.
    device = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return read_offer(device, ioctl)
    finally:
        os.close(device)


def _explain(device: str, error: OSError) -> Problem:
    if isinstance(error, PermissionError):
        return Problem(
            what=f"{device} may not be opened by this user",
            remedy='sudo usermod -aG video "$USER", and log in again',
        )
    return Problem(
        what=f"{device} does not answer as a camera: {explain(error)}",
        remedy="unplug it and plug it in again; dmesg says more",
    )


def _find_schemes() -> Iterator[tuple[str, bool | None]]:
    """Find which addresses an FFmpeg here opens; None where that cannot be told."""
    for scheme in STREAM_SCHEMES:
        answers = [opens_scheme(module, scheme) for module in OPENERS]
        yield scheme, True if True in answers else (False if False in answers else None)
