"""Parses sizes, which are height x width everywhere, as in arrays."""

from __future__ import annotations

import typer

__all__ = ["parse_size"]


def parse_size(text: str, option: str = "--size") -> tuple[int, int]:
    """Parse a height and a width in pixels.

    Raises:
        typer.BadParameter: the text is not a size.
    """
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise typer.BadParameter(
            f"{option} is HEIGHTxWIDTH in pixels, for example 720x1280; got {text!r}"
        )
    return int(height), int(width)
