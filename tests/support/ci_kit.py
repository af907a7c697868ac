"""Where the kit for CI lies, and blocks of its guide."""

from __future__ import annotations

import re

from conftest import ROOT

KIT = ROOT / "docs" / "ci"


FORMS = {"report.json", "report.md", "report.xml", "report.html"}


def _guide() -> str:
    return (ROOT / "docs" / "ci.md").read_text("utf-8")


def _blocks(language: str) -> str:
    """All code of a language in the guide, one block after another."""
    return "\n".join(re.findall(rf"(?ms)^```{language}\n(.*?)^```$", _guide()))
