from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from reports import (
    CAMVID,
    DATA,
    at_input_sizes,
    compared,
    corrupted,
    failed,
    golden_only,
    hostile,
    labels_of,
    many_classes,
    measured,
    pictures,
    without_reference,
)

from edgeseg.corruptions import FAMILIES
from edgeseg.errors import MissingPackageError
from edgeseg.reports.draw.pictures import ImagePictures
from edgeseg.reports.html import to_html
from edgeseg.reports.report import Report
from edgeseg.sweep.overview import to_html as sweep_html
from edgeseg.sweep.picture import draw_pareto
from edgeseg.sweep.results import Row, Sweep

A4_WIDTH = 703  # CSS px: 210 mm less the margins
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]


def html(report: Report, shown: Sequence[ImagePictures] = ()) -> str:
    return to_html(report, shown, labels=labels_of(report))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is absent; run: tools/install-system-packages.sh")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        yield running
        running.close()


@dataclass
class Opened:
    """A page, and what it complained of and asked for."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Callable[[str], Opened]]:
    """Opens a page from a file, without a network."""
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 800})

    def open_page(text: str) -> Opened:
        path = tmp_path / "report.html"
        path.write_text(text, "utf-8")
        opened = Opened(context.new_page())
        opened.page.on("console", lambda message: opened.complaints.append(message.text))
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.page.on("dialog", lambda dialog: opened.complaints.append(dialog.message))
        opened.page.on("request", lambda request: opened.requests.append(request.url))
        opened.page.goto(path.as_uri())
        return opened

    yield open_page
    context.close()


REPORTS = {
    "golden frames only": lambda: html(golden_only()),
    "no reference": lambda: html(without_reference()),
    "failed, with pictures": lambda: html(failed(), pictures(2)),
    "with a baseline": lambda: html(compared()),
    "corruptions": lambda: html(corrupted()),
    "input sizes": lambda: html(at_input_sizes()),
    "150 classes": lambda: html(many_classes(150)),
    "hostile names": lambda: html(hostile()),
}


@pytest.mark.parametrize("name", REPORTS)
def test_a_real_browser_shows_it_whole(name: str, show: Callable[[str], Opened]) -> None:
    """No complaint, nothing from outside the page, and no sideways scrolling of the page."""
    opened = show(REPORTS[name]())
    page = opened.page
    for media, width in (("screen", 1280), ("screen", 390), ("print", A4_WIDTH)):
        page.emulate_media(media=media)
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("section").first.locator("h2").inner_text().split()[0] in {
        "PASSED",
        "FAILED",
        "MEASURED",
    }
    broken = "[...document.images].filter(image => !image.naturalWidth).length"
    assert page.evaluate(broken) == 0
    outside = [url for url in opened.requests if not url.startswith("data:")]
    assert outside == [page.url]
    assert opened.complaints == []


def test_the_page_of_a_sweep_fits_and_links_to_its_reports(show: Callable[[str], Opened]) -> None:
    rows = [
        Row(
            name=f"<b>a long name of a checkpoint</b>-openvino-int8-{40 * number}x{60 * number}",
            weights="w",
            target=("openvino", "onnxruntime")[number % 2],
            precision="int8",
            status=("passed", "missed", "failed", "not judged")[number % 4],
            variant="merge-queries-keys12+int8-linear+bf16",
            form="merge-queries-keys12",
            form_changes="queries of all stages and whatever else a long line may tell, " * 3,
            macs=2_930_000_000,
            reason=None if number % 3 == 0 else "because <script>alert(1)</script> of it",
            miou=40.0 + number,
            latency_ms=3.0 * number,
            bytes=4_000_000 + number,
            report=f"reports/{number}/report.html",
        )
        for number in range(1, 13)
    ]
    found = Sweep(
        created="2026-06-30T09:12:44+00:00",
        data=DATA,
        frame=(720, 960),
        rounds=20,
        machine=measured().machine,
        tools={"python": "3.11"},
        rows=tuple(rows),
    )
    opened = show(sweep_html(found, draw_pareto(rows)))
    page = opened.page
    for media, width in (("screen", 1280), ("screen", 390), ("print", A4_WIDTH)):
        page.emulate_media(media=media)
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("a").count() == 12
    assert page.evaluate("document.scripts.length") == 0
    assert opened.complaints == []


def test_it_prints_with_what_is_folded(tmp_path: Path, show: Callable[[str], Opened]) -> None:
    pdf = tmp_path / "report.pdf"
    names = tuple(f"class{place}" for place in range(60))
    page = show(html(measured(names=names))).page
    if not page.evaluate("CSS.supports('selector(::details-content)')"):
        pytest.skip("this chromium is older than 131 and cannot print what is folded")
    page.pdf(path=pdf, prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes())) > 1
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is absent; run: apt-get install poppler-utils")
    told = subprocess.run(
        ["pdftotext", "-layout", pdf, "-"], check=True, capture_output=True, text=True
    ).stdout
    assert "PASSED" in told.split("Key figures")[0]
    assert set(names) <= set(told.split())


def test_names_stay_text(show: Callable[[str], Opened]) -> None:
    opened = show(html(hostile()))
    names = opened.page.locator("section", has_text="Classes").locator("tbody th").all_inner_texts()
    for name in ("<script>alert(1)</script> 4", "{{ 7 * 7 }} 14", "**bold** [x](http://e.vil) 7"):
        assert any(shown.startswith(name) for shown in names)
    assert opened.page.evaluate("document.scripts.length") == 0
    assert opened.page.evaluate("document.links.length") == 0
    assert opened.page.locator("img").count() == 0
    assert opened.complaints == []


def test_the_sections_are_in_order_and_only_those_with_something_to_tell() -> None:
    def headings(report: Report, shown: Sequence[ImagePictures] = ()) -> list[str]:
        return re.findall("<h2>([^<]+)</h2>", html(report, shown))

    assert headings(golden_only()) == ["Gates", "Provenance"]
    assert "Input sizes" in headings(at_input_sizes())
    assert "Corrupted images" in headings(corrupted())
    assert headings(failed(baseline=compared().baseline), pictures(2)) == [
        "Key figures",
        "Gates",
        "Classes",
        "Confusions",
        "2 images, the largest loss first",
        "Against the baseline",
        "Cost",
        "Layer sensitivity",
        "Images",
        "Provenance",
    ]


def test_what_corruptions_cost_is_told_by_family_and_by_kind() -> None:
    text = html(corrupted())
    weather = text.partition('<tr><th scope="row">weather</th>')[2].partition("</tr>")[0]
    assert "+1.320" in weather
    assert "0.900 to 1.700" in weather
    assert "more brittle" in weather
    for names in FAMILIES.values():
        for name in names:
            assert f">{name.replace('_', ' ')}</th>" in text


def test_missed_gates_are_told_with_the_verdict() -> None:
    banner = html(failed()).partition("Key figures")[0]
    assert "2 of 4 gates missed" in banner
    assert "<b>mIoU drop</b>: 2.55 points, the limit is at most 1.00 points" in banner
    assert "<b>latency ratio</b>: 0.24 times" in banner


def test_what_is_not_known_is_said() -> None:
    assert "accuracy on a data set (--data); the loss against a reference" in html(golden_only())
    assert "not measured" in html(measured())  # the reference's size
    assert "in fewer than 5 images" in html(measured())


def test_many_classes_have_no_heat_map() -> None:
    assert "Heat map" in html(many_classes(40))
    assert "Heat map" not in html(many_classes(41))
    assert "1 more class" in html(many_classes(41))


def test_pictures_without_a_reference() -> None:
    shown = pictures(1, compared=False)
    text = html(without_reference(), shown)
    assert text.count("<img ") == 4
    assert "least accurate" in text


def test_nothing_may_be_loaded_or_run() -> None:
    text = html(failed(), pictures(1))
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in text
    assert not re.search(r"<script|https?://|\bon\w+=|url\(|@import", text)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'edgeseg\[report\]'"):
        to_html(golden_only(), [], labels=CAMVID)
