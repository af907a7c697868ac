"""Notices images so much larger than the network's input that it hardly sees what is in them."""

from __future__ import annotations

from typing import Final

from edgeseg.pixels import fit_size
from edgeseg.progress import Say
from edgeseg.spec import InputSpec

__all__ = ["ShrinkTeller", "describe_shrinking"]

# Times in one direction. A camera of 1920x1080 is shrunk 3.8 times to 512 pixels, which needs no
# note. A network tells classes apart for every 4 of its input's pixels; at 4 times these are 16
# pixels of the image.
_FAR: Final = 4.0


def describe_shrinking(height: int, width: int, spec: InputSpec, *, remedy: str) -> str | None:
    """Describe an image, given in pixels, that is far too large; None for any other.

    `remedy` is what keeps its small things, as a clause.
    """
    fitted = fit_size(height, width, spec)
    times = max(height / fitted[0], width / fitted[1])
    if times <= _FAR:
        return None
    return (
        f"{height}x{width} pixels (height x width) are shrunk {times:.1f} times for the network's "
        f"input of {spec.height}x{spec.width}, and what is small in them is lost; {remedy}"
    )


class ShrinkTeller:
    """Tells of the first image that is far too large, and of no other."""

    def __init__(self, spec: InputSpec, say: Say, *, remedy: str) -> None:
        self._spec = spec
        self._say = say
        self._remedy = remedy
        self._told = False

    def see(self, height: int, width: int) -> None:
        """Look at an image of that size in pixels."""
        if self._told:
            return
        note = describe_shrinking(height, width, self._spec, remedy=self._remedy)
        if note is not None:
            self._told = True
            self._say(note)
