"""Sizes are height x width everywhere, as arrays have it."""

from __future__ import annotations

import typer

__all__ = ["parse_size"]


def parse_size(text: str, option: str = "--size") -> tuple[int, int]:
    """Height and width in pixels.

    Raises:
        typer.BadParameter: something else.
    """
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise typer.BadParameter(f"{option} is HEIGHTxWIDTH in pixels, as 720x1280; got {text!r}")
    return int(height), int(width)
