"""The main job on what edgeseg brings along: look, export, verify, segment. `make demo`."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

from edgeseg.cli.options import suggest_source
from edgeseg.cli.progress import show_progress
from edgeseg.cli.scripts import run_script
from edgeseg.demo import draw_scene
from edgeseg.demo.splits import DEMO_SPLITS, SIDE
from edgeseg.images import write_image, write_mask
from edgeseg.labels import read_labels
from edgeseg.progress import begin
from edgeseg.text import explain

OUT: Final = Path("out") / "demo"

# By split of the data set that is drawn: which drives, and how many images. Of those that measure,
# half decide, and the limit on classes takes at least five images in that half.
STREETS: Final = {"train": ("calibration", 16), "test": ("test", 24)}
PREVIEW_PORT: Final = 8008
PREVIEW_S: Final = 8
VIDEO_FRAMES: Final = 50


def main() -> None:
    """Run the commands that a user would, and show them."""
    bundle, streets = OUT / "bundle", OUT / "streets"
    picture, video = OUT / "overlay.png", OUT / "overlay.mp4"

    say("1 of 5: the model that edgeseg brings, in INT8, on one drawn street")
    edgeseg("run", "--source", "demo", "--frames", "1", "--save", picture)

    say(f"2 of 5: the same live for {PREVIEW_S} seconds; watch it at the address that it tells")
    preview()

    counts = " and ".join(f"{count} for {split}" for split, (_, count) in STREETS.items())
    say(f"3 of 5: a data set of drawn streets ({counts}), and an INT8 model calibrated on it")
    draw_streets(streets)
    edgeseg(
        *("export", "--model", "b0", "--target", "onnxruntime", "--int8"),
        *("--recipe", "int8-linear", "--calibration", streets / "train" / "images"),
        *("--data", streets, "--split", "test", "-o", bundle),
    )

    say("4 of 5: the new model measured once more, as a device or CI would")
    edgeseg("verify", bundle, "--data", streets, "--split", "test")

    say("5 of 5: the new model on a drive, as a video")
    edgeseg("run", bundle, "--source", "demo", "--frames", VIDEO_FRAMES, "--save", video)

    say("done")
    print(f"picture:  {picture}\nvideo:    {video}\nbundle:   {bundle}\ndata set: {streets}")
    print(
        "\nThis was one recipe on few images. The full search calibrates on 300, measures on 100\n"
        "and tries every recipe, until its --budget of 20 minutes is used up:\n"
        f"  edgeseg export --model b0 --target onnxruntime -o {OUT / 'searched'}\n"
        "Your own model, and your own camera or video:\n"
        "  edgeseg export --weights YOUR_SEGFORMER --target onnxruntime -o out/mine\n"
        f"  edgeseg run {bundle} {' '.join(suggest_source())}"
    )


def say(line: str) -> None:
    """What comes next."""
    print(f"\n== {line}", flush=True)


def edgeseg(*args: object) -> None:
    """Run one command, shown as one would type it."""
    words = [str(arg) for arg in args]
    print(f"$ edgeseg {' '.join(words)}", flush=True)
    subprocess.run([sys.executable, "-m", "edgeseg", *words], check=True)


def preview() -> None:
    """Show the page for a while; the demo goes on without one."""
    try:
        edgeseg("run", "--source", "demo", "--seconds", PREVIEW_S, "--preview", find_address())
    except subprocess.CalledProcessError:
        print("no page could be shown here; the demo goes on without it", flush=True)


def find_address() -> str:
    """Where the preview is by default; at a free port, which it tells, where that one is taken."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", PREVIEW_PORT))
        except OSError as error:
            print(f"port {PREVIEW_PORT}: {explain(error)}; the page takes another", flush=True)
            return "127.0.0.1:0"
    return f"127.0.0.1:{PREVIEW_PORT}"


def draw_streets(folder: Path) -> None:
    """Write images and ground truth as a user's own data set would lie in a folder."""
    labels = read_labels("camvid")
    folder.mkdir(parents=True, exist_ok=True)
    content = {"classes": labels.classes, "ignore_index": labels.ignore_index}
    (folder / "dataset.json").write_text(json.dumps(content), "utf-8")
    with show_progress() as progress:
        step = begin(progress, "drawing", sum(count for _, count in STREETS.values()))
        for split, (drives, count) in STREETS.items():
            images, masks = folder / split / "images", folder / split / "masks"
            for kind in (images, masks):
                kind.mkdir(parents=True, exist_ok=True)
            for index, (seed, frame) in enumerate(DEMO_SPLITS[drives].frames(count)):
                drawn = draw_scene(seed, frame, height=SIDE, width=SIDE)
                write_image(drawn.image, images / f"{index:03}.png")
                write_mask(drawn.mask, masks / f"{index:03}.png")
                step()


if __name__ == "__main__":
    run_script(main)
