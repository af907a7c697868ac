"""HTML pages that need nothing beside them; in their templates text from outside stays text."""

from __future__ import annotations

import base64
from importlib import resources

from edgeseg.errors import MissingPackageError
from edgeseg.reports.phrases import (
    brittleness,
    cost,
    doubt,
    interval,
    number,
    signed,
    subject_title,
    to_plain,
    whole,
)

__all__ = ["packaged", "rendered"]


def rendered(template: str, *, css: str, **view: object) -> str:
    """A page; the template lies beside this module.

    Raises:
        MissingPackageError: jinja2 is not installed.
    """
    try:
        import jinja2
        from markupsafe import Markup
    except ImportError:
        raise MissingPackageError(
            "jinja2",
            purpose="the HTML report",
            command="pip install 'edgeseg[report]' -c constraints.txt",
        ) from None

    environment = jinja2.Environment(
        autoescape=True,
        finalize=lambda value: to_plain(value) if type(value) is str else value,
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "brittleness": brittleness,
        "cost": cost,
        "doubt": doubt,
        "interval": interval,
        "number": number,
        "plain": to_plain,
        "signed": signed,
        "subject_title": subject_title,
        "whole": whole,
        "drawing": Markup,
        "data_uri": _data_uri,
    }
    return environment.from_string(packaged(template)).render(css=Markup(css), **view)


def packaged(name: str) -> str:
    """A text that lies beside this module."""
    return resources.files("edgeseg.reports").joinpath(name).read_text("utf-8")


def _data_uri(picture: bytes) -> str:
    kind = "jpeg" if picture.startswith(b"\xff\xd8") else "png"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode('ascii')}"
