"""A bundle with one layer's weights damaged: what `edgeseg verify` has to find.

    python tools/damaged_bundle.py BUNDLE FOLDER [--layer stage3.block0.ffn_out] [--factor -1]

It is sealed again, so its hashes are right and only its masks tell. For ONNX Runtime.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from edgeseg.bundle.staging import new_bundle, seal_bundle
from edgeseg.bundle.store import Bundle, open_bundle
from edgeseg.cli.scripts import run_script

LAYER = "stage3.block0.ffn_out"


def main() -> None:
    """Damage the variant that runs; the others stay as they are."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layer", default=LAYER)
    parser.add_argument("--factor", type=float, default=-1.0)
    options = parser.parse_args()
    if options.folder.exists():
        raise SystemExit(f"{options.folder} exists; choose another folder")
    made = damage(
        open_bundle(options.bundle), options.folder, layer=options.layer, factor=options.factor
    )
    print(f"{made.folder}: {options.layer} of {made.chosen.name} multiplied by {options.factor:g}")


def damage(bundle: Bundle, folder: Path, *, layer: str = LAYER, factor: float = -1.0) -> Bundle:
    """A copy in `folder` whose chosen variant has a layer's weights multiplied by `factor`."""
    if not bundle.chosen.file.endswith(".onnx"):
        raise SystemExit(
            f"{bundle.folder} is for {bundle.manifest.target}; give one for ONNX Runtime"
        )
    with new_bundle(folder) as staging:
        shutil.copytree(bundle.folder, staging, dirs_exist_ok=True)
        for name in ("manifest.json", "manifest.sha256"):
            (staging / name).unlink()
        graph = onnx.load(staging / bundle.chosen.file)
        # Weights in INT8 are multiplied through their scales.
        names = {f"{layer}.weight", f"{layer}.weight_scale"}
        found = [weight for weight in graph.graph.initializer if weight.name in names]
        if len(found) != 1:
            raise SystemExit(f"{bundle.folder} has no layer {layer!r}")
        values = numpy_helper.to_array(found[0])
        damaged = (values * np.float32(factor)).astype(values.dtype)
        found[0].CopyFrom(numpy_helper.from_array(damaged, found[0].name))
        onnx.save(graph, staging / bundle.chosen.file)
        seal_bundle(staging, bundle.manifest)
    return open_bundle(folder)


if __name__ == "__main__":
    run_script(main)
