"""Takes the picture of the page of `edgeseg data` that the docs show, in a real browser."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from edgeseg.cli.scripts import run_script
from edgeseg.data_rules import NO_RULES
from edgeseg.datasheet.looking import look_at
from edgeseg.datasheet.page import write_page
from edgeseg.demo import DEMO
from edgeseg.progress import SILENT

TARGET = Path(__file__).parents[1] / "docs" / "images" / "data-sheet.jpg"


def main() -> None:
    """Look at the demo's scenes, and at the page."""
    sheet, pictures = look_at(DEMO, split="test", rules=NO_RULES, pictures=12, progress=SILENT)
    with tempfile.TemporaryDirectory() as folder:
        write_page(Path(folder) / "demo.html", sheet, pictures)
        with sync_playwright() as driver:
            browser = driver.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page(viewport={"width": 1180, "height": 1560})
            page.goto(f"file://{folder}/demo.html")
            page.screenshot(path=TARGET, type="jpeg", quality=75)
            browser.close()
    print(f"written: {TARGET}")


if __name__ == "__main__":
    run_script(main)
