"""The main job on drawn scenes: checkpoint, bundle, verification, segmented video. `make demo`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

from edgeseg.export.huggingface import write_huggingface
from edgeseg.export.segformer import SegFormer
from edgeseg.labels import known_labels
from edgeseg.spec import VARIANTS, HeadKind, InputSpec, ModelSpec, NormEps

OUT = Path("out") / "demo"
NOTE = """
  These are RANDOM weights: the colours mean nothing. They show that the path works, from a
  checkpoint to a segmented video. A trained demo model will come with edgeseg; until then give
  your own: edgeseg export --weights YOUR_SEGFORMER -o out/mine
"""


def main() -> None:
    """Run the commands that a user would, and show them."""
    print(NOTE)
    checkpoint = OUT / "random_b0"
    if not checkpoint.exists():
        write_random_checkpoint(checkpoint)
    bundle = OUT / "bundle"
    edgeseg("export", "--weights", checkpoint, "--target", "onnxruntime", "-o", bundle)
    edgeseg("verify", bundle)
    video, picture = OUT / "overlay.mp4", OUT / "overlay.png"
    edgeseg("run", bundle, "--source", "demo", "--frames", "100", "--save", video)
    edgeseg("run", bundle, "--source", "demo", "--frames", "1", "--save", picture)
    print(NOTE)
    print(f"video:   {video}\npicture: {picture}\nbundle:  {bundle}")
    print("next:    edgeseg export --weights YOUR_SEGFORMER -o out/mine")


def write_random_checkpoint(folder: Path) -> None:
    """A seeded SegFormer-B0 with CamVid's classes, in Hugging Face's form."""
    eps = NormEps(patch_embed=1e-5, block=1e-5, reduction=1e-5, stage=1e-5)
    spec = ModelSpec(
        variant=VARIANTS["b0"], classes=11, decoder_width=256, head=HeadKind.LINEAR, eps=eps
    )
    torch.manual_seed(0)
    model = SegFormer(spec).eval()
    labels = known_labels("camvid")
    write_huggingface(folder, model, labels=labels, spec=InputSpec(height=512, width=512))


def edgeseg(*args: object) -> None:
    """Run one command, shown as one would type it."""
    words = [str(arg) for arg in args]
    print(f"$ edgeseg {' '.join(words)}", flush=True)
    subprocess.run([sys.executable, "-m", "edgeseg", *words], check=True)


if __name__ == "__main__":
    main()
