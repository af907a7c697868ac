"""Puts a trained checkpoint and its bundle into the package: tools/pack_demo.py CHECKPOINT.

The bundle serves devices on which nothing can be exported; it is made by the same function as any
other and verified before it is taken.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from edgeseg.cli.answers.export import describe_export
from edgeseg.cli.scripts import run_script
from edgeseg.datasets import open_dataset
from edgeseg.demo import DEMO
from edgeseg.demo.assets import find_demo_bundle, find_demo_checkpoint
from edgeseg.deploy.export import export_bundle
from edgeseg.deploy.request import ExportRequest
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.progress import Progress
from edgeseg.quantize.recipes import RECIPES


def main() -> None:
    """Copy the checkpoint, export the bundle, say how large both are."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", nargs="?", help="else the packaged one is exported again")
    options = parser.parse_args()
    if options.checkpoint is not None:
        read_checkpoint(options.checkpoint)  # before the packaged one is removed
        take(Path(options.checkpoint))
    request = ExportRequest(
        weights=DEMO,
        target="onnxruntime",
        folder=find_demo_bundle(),
        dataset=open_dataset(DEMO, split="test"),
        calibration=DEMO,
        precision="auto",
        recipes=(RECIPES["int8-linear"],),  # as fast as the others, and the smallest file
        small=True,
        form=None,  # the fastest that passes
    )
    for line in describe_export(export_bundle(request, progress=Progress(say=print))):
        print(line)
    for folder in (find_demo_checkpoint(), find_demo_bundle()):
        print(f"{folder.name}: {measure_megabytes(folder):.2f} MB")


def take(checkpoint: Path) -> None:
    """Put a checkpoint in the place of the packaged one, once it is copied whole."""
    target = find_demo_checkpoint()
    if checkpoint.resolve() == target.resolve():
        return
    copied = Path(shutil.copytree(checkpoint, target.with_name(f"{target.name}.new")))
    for path in copied.iterdir():
        path.chmod(0o644)  # whoever installs edgeseg, all may read it
    shutil.rmtree(target, ignore_errors=True)
    copied.rename(target)


def measure_megabytes(folder: Path) -> float:
    """The size of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


if __name__ == "__main__":
    run_script(main)
