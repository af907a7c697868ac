"""Links of the pages at the root lead somewhere; nothing in any page was left to be filled in.

Links between the pages in docs/ are checked where the site is built, strictly.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
AT_THE_ROOT = sorted(ROOT.glob("*.md"))
PAGES = [*AT_THE_ROOT, *sorted((ROOT / "docs").rglob("*.md"))]


def anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"(?m)^#+ (.*)$", text)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", AT_THE_ROOT, ids=lambda path: path.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if link.startswith("http"):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text("utf-8")), link


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_nothing_was_left_to_be_filled_in(page: Path) -> None:
    assert not re.findall(r"\b(?:TODO|TBD|[A-Z]+_TABLE)\b", page.read_text("utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_script_that_is_named_exists(page: Path) -> None:
    folders = "benchmarks|calibration|edgeseg|export|quantize|runtime|tests|tools"
    text = page.read_text("utf-8")
    named = re.findall(rf"\b(?:{folders})/[\w/]+\.(?:py|sh)\b", text)
    given = re.findall(r'^```python title="([^"]+)"$', text, re.MULTILINE)  # by the page itself
    assert [path for path in named if not (ROOT / path).exists() and path not in given] == []
