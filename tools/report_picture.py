"""Takes the picture of the report that the docs show: a damaged bundle, in a real browser."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from damaged_bundle import damage
from playwright.sync_api import sync_playwright

import edgeseg
from edgeseg.bundle.store import open_bundle
from edgeseg.cli.scripts import run_script
from edgeseg.demo.assets import find_demo_bundle

TARGET = Path(__file__).parents[1] / "docs" / "images" / "report.png"


def main() -> None:
    """Damage the packaged bundle, verify it on the demo, and look."""
    with tempfile.TemporaryDirectory() as folder:
        # Three times too much in one layer: a loss that the eye finds, not a ruin.
        bundle = damage(
            open_bundle(find_demo_bundle()),
            Path(folder) / "street",
            layer="stage2.block1.ffn_out",
            factor=3,
        )
        edgeseg.verify(bundle.folder, data="demo", report=Path(folder) / "report")
        with sync_playwright() as driver:
            browser = driver.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page(viewport={"width": 1180, "height": 2500})
            page.goto(f"file://{folder}/report/report.html")
            page.screenshot(path=TARGET)
            browser.close()
    print(f"written: {TARGET}")


if __name__ == "__main__":
    run_script(main)
