"""`edgeseg verify` of a bundle with several input sizes replays the golden frames of each."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image

from edgeseg.bundle.staging import seal_bundle
from edgeseg.bundle.store import Bundle, open_bundle
from edgeseg.images import read_mask


def test_each_size_is_proved(edgeseg, sized_bundle: Bundle) -> None:
    outcome = edgeseg("verify", sized_bundle.folder, "--json")
    assert outcome.status == 0, outcome.err
    gates = [gate["name"] for gate in outcome.json["gates"]]
    frames = [golden.frame for golden in sized_bundle.manifest.golden]
    assert gates == [
        *(f"{frame} pixel agreement" for frame in frames),
        *(f"sizes/48x64/{frame} pixel agreement" for frame in frames),
    ]


def test_a_size_that_computes_otherwise_is_missed(
    edgeseg, sized_bundle: Bundle, tmp_path: Path
) -> None:
    """Its engine's masks are not those that were recorded."""
    folder = tmp_path / "sized"
    shutil.copytree(sized_bundle.folder, folder)
    inner = open_bundle(folder / "sizes" / "48x64")
    mask = inner.path(inner.manifest.golden[0].mask)
    Image.fromarray((read_mask(mask) + 1).astype(np.uint8) % 11).save(mask)
    for part in (inner, open_bundle_unchecked(sized_bundle, folder)):
        for name in ("manifest.json", "manifest.sha256"):
            (part.folder / name).unlink()
        seal_bundle(part.folder, msgspec.structs.replace(part.manifest, files={}))
    outcome = edgeseg("verify", folder, "--json")
    assert outcome.status == 3
    missed = [gate["name"] for gate in outcome.json["gates"] if not gate["passed"]]
    assert missed == [f"sizes/48x64/{inner.manifest.golden[0].frame} pixel agreement"]


def open_bundle_unchecked(bundle: Bundle, folder: Path) -> Bundle:
    """A copy's bundle, whose files were changed."""
    return Bundle(folder=folder, manifest=bundle.manifest)
