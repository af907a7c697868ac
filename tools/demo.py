"""The main job on what edgeseg brings along: export, verify, segment. `make demo`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from edgeseg.cli.options import a_source
from edgeseg.cli.scripts import run_script

OUT = Path("out") / "demo"


def main() -> None:
    """Run the commands that a user would, and show them."""
    bundle, video, picture = OUT / "bundle", OUT / "overlay.mp4", OUT / "overlay.png"
    edgeseg("export", "--model", "b0", "--target", "onnxruntime", "-o", bundle)
    edgeseg("verify", bundle, "--data", "demo")
    edgeseg("run", bundle, "--source", "demo", "--frames", "100", "--save", video)
    edgeseg("run", bundle, "--source", "demo", "--frames", "1", "--save", picture)
    print(f"\nvideo:   {video}\npicture: {picture}\nbundle:  {bundle}")
    print("next:    edgeseg run", bundle, *a_source())
    print("         edgeseg export --weights YOUR_SEGFORMER --target onnxruntime -o out/mine")


def edgeseg(*args: object) -> None:
    """Run one command, shown as one would type it."""
    words = [str(arg) for arg in args]
    print(f"$ edgeseg {' '.join(words)}", flush=True)
    subprocess.run([sys.executable, "-m", "edgeseg", *words], check=True)


if __name__ == "__main__":
    run_script(main)
