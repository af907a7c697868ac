"""The site builds strictly, fetches nothing from elsewhere, and has what the code has."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# What a browser fetches by itself when a page is opened.
FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """The addresses that a page makes a browser fetch, and the anchors it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.fetched += [given[name] or "" for name in (FETCHED.get(tag),) if name in given]
        self.ids |= {value for value in (given.get("id"),) if value}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_no_page_fetches_anything_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for path in pages:
        text = path.read_text("utf-8")
        outside = [one for one in Page(text).fetched if re.match(r"(\w+:)?//", one)]
        assert not outside, path
    for path in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", path.read_text("utf-8")), path


def test_every_page_of_the_navigation_is_there(site: Path) -> None:
    text = (site / "index.html").read_text("utf-8")
    for path in (ROOT / "docs").rglob("*.md"):
        page = path.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
        assert f'href="{page.replace("README", "index")}"' in text


def test_the_python_reference_shows_what_one_imports(site: Path) -> None:
    ids = Page((site / "reference" / "python.html").read_text("utf-8")).ids
    assert {
        "edgeseg.open",
        "edgeseg.verify",
        "edgeseg.runtime.segmenter.Segmenter.stream",
        "edgeseg.pixels.mask.to_mask",
        "edgeseg.errors.GateMissedError",
        "edgeseg.export.checkpoint.read_checkpoint",
    } <= ids


def test_the_questions_have_their_answers(site: Path) -> None:
    ids = Page((site / "questions.html").read_text("utf-8")).ids
    assert len([one for one in ids if one.startswith(("does", "is", "can", "how", "are"))]) >= 9


@pytest.mark.parametrize("decision", sorted((ROOT / "docs" / "decisions").glob("0*.md")), ids=str)
def test_the_list_of_decisions_has_each(decision: Path) -> None:
    listed = (ROOT / "docs" / "decisions" / "README.md").read_text("utf-8")
    assert f"]({decision.name})" in listed
