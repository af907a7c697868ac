"""Takes the pictures of the preview that docs/runtime.md shows: real runs, in a real browser.

python tools/preview_picture.py [--seconds 60]

One is of the demo, the other of four drawn streets at once.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from edgeseg.cli.scripts import run_script
from edgeseg.demo import draw_scene
from edgeseg.machine.opencv import import_opencv

IMAGES = Path(__file__).parents[1] / "docs" / "images"
CAMERAS = ("front", "left", "rear", "right")
FRAMES = 80


def main() -> None:
    """Watch each run for a while, then take its picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    take_picture("demo", IMAGES / "preview.png", seconds=options.seconds)
    with tempfile.TemporaryDirectory() as folder:
        sources = draw_clips(Path(folder))
        take_picture(str(sources), IMAGES / "preview-grid.png", seconds=min(5, options.seconds))


def draw_clips(folder: Path) -> Path:
    """Draw a clip for each camera, and write the file that names them."""
    cv2 = import_opencv("drawing clips")
    for seed, name in enumerate(CAMERAS, start=20):
        code = cv2.VideoWriter_fourcc(*"MJPG")
        writer = cv2.VideoWriter(str(folder / f"{name}.avi"), code, 10.0, (640, 480))
        for index in range(FRAMES):
            writer.write(draw_scene(seed, index).image)
        writer.release()
    sources = folder / "sources.toml"
    sources.write_text("[sources]\n" + "".join(f'{name} = "{name}.avi"\n' for name in CAMERAS))
    return sources


def take_picture(source: str, target: Path, *, seconds: float) -> None:
    """Run the demo's bundle on a source, and take a picture of its page."""
    command = [sys.executable, "-m", "edgeseg", "run", "--source", source, "--preview", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd="/") as process:
        assert process.stderr is not None
        url = next(found[1] for line in process.stderr if (found := re.search("(http://.*)", line)))
        with sync_playwright() as driver:
            browser = driver.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(url)
            time.sleep(seconds)
            page.screenshot(path=target)
            browser.close()
        process.terminate()
    print(f"written: {target}")


if __name__ == "__main__":
    run_script(main)
