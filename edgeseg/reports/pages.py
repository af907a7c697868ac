"""Renders HTML pages that need no other file. Their templates escape text from outside."""

from __future__ import annotations

import base64
from importlib import resources

from edgeseg.errors import MissingPackageError
from edgeseg.reports.phrases import (
    explain_doubt,
    format_cost,
    format_count,
    format_interval,
    format_number,
    format_signed,
    judge_brittleness,
    name_subject,
    to_plain,
)
from edgeseg.segformer.form import format_macs

__all__ = ["read_packaged", "render"]


def render(template: str, *, css: str, **view: object) -> str:
    """Render a page from the template that lies beside this module; `view` holds its values.

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
        "brittleness": judge_brittleness,
        "cost": format_cost,
        "doubt": explain_doubt,
        "interval": format_interval,
        "macs": format_macs,
        "number": format_number,
        "plain": to_plain,
        "signed": format_signed,
        "subject_title": name_subject,
        "whole": format_count,
        "drawing": Markup,
        "data_uri": _to_data_uri,
    }
    return environment.from_string(read_packaged(template)).render(css=Markup(css), **view)


def read_packaged(name: str) -> str:
    """Read a text file that lies beside this module."""
    return resources.files("edgeseg.reports").joinpath(name).read_text("utf-8")


def _to_data_uri(picture: bytes) -> str:
    kind = "jpeg" if picture.startswith(b"\xff\xd8") else "png"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode('ascii')}"
