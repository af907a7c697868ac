"""Takes the picture of the preview page that docs/runtime.md shows: a real run, in a real browser.

python tools/preview_picture.py [--seconds 60]
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from edgeseg.cli.scripts import run_script

TARGET = Path(__file__).parents[1] / "docs" / "images" / "preview.png"
COMMAND = [sys.executable, "-m", "edgeseg", "run", "--source", "demo", "--preview", "0"]


def main() -> None:
    """Watch the demo for a while, then take the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    with subprocess.Popen(COMMAND, stderr=subprocess.PIPE, text=True, cwd="/") as process:
        assert process.stderr is not None
        url = next(found[1] for line in process.stderr if (found := re.search("(http://.*)", line)))
        with sync_playwright() as driver:
            browser = driver.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(url)
            time.sleep(options.seconds)
            page.screenshot(path=TARGET)
            browser.close()
        process.terminate()
    print(f"written: {TARGET}")


if __name__ == "__main__":
    run_script(main)
