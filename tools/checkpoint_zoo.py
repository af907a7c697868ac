"""Makes every kind of checkpoint, exports it, and lets its own framework judge the mask.

python tools/checkpoint_zoo.py [--only PART]

All kinds have the trained weights of the demo, those of another Mix Transformer cut from them or
repeated; only networks that are refused as other architectures are random. Each row prints the
kind, the share of equal pixels on a photograph of another size than the network's, and who judged
it; or the refusal. A row of one logit also prints the mIoU on truth of 0 and 1, by edgeseg and by
the judge. Below 99.99 % only the fast processor is accepted, whose pixels torchvision rounds.

A row that exports takes 4 to 10 seconds on two cores, a refusal below one: about ten minutes for
all. The first row of segmentation_models_pytorch installs that package into a folder of its own,
and a row that needs peft is skipped where peft is not installed. The exit status is 1 if a row is
not as it should be.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))  # the oracles of the tests

from zoo import binary, channels, encoders, frameworks, huggingface, refused, wrapped
from zoo.kind import Kind, NotJudgedError, Photo, load_photo

from edgeseg.cli.scripts import run_script
from edgeseg.deploy.defaults import fill_defaults
from edgeseg.deploy.export import export_bundle
from edgeseg.deploy.request import ExportOptions
from edgeseg.errors import EdgesegError
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.spec import RGB
from edgeseg.verification.request import VerifyRequest
from edgeseg.verification.verify import verify

ROUNDING = 0.02  # points of mIoU, where two classes tie
KINDS = [
    *huggingface.KINDS,
    *wrapped.KINDS,
    *frameworks.KINDS,
    *encoders.KINDS,
    *binary.KINDS,
    *channels.KINDS,
    *refused.KINDS,
]


def main() -> None:
    """Print one row for each kind."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="kinds with this in their names, as in `lora`")
    options = parser.parse_args()
    kinds = [kind for kind in KINDS if options.only.casefold() in kind.name.casefold()]
    if not kinds:
        parser.error(f"no kind has {options.only!r} in its name")
    hush_transformers()
    photo = load_photo()
    wrong = 0
    for number, kind in enumerate(kinds, start=1):
        print(f"kind {number} of {len(kinds)}: {kind.name}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            right, told = try_kind(kind, photo, Path(folder))
        wrong += not right
        print(f"{'' if right else 'WRONG  '}{kind.name:45}  {told}", flush=True)
    print(f"{wrong} rows are not as they should be", file=sys.stderr)
    sys.exit(1 if wrong else 0)


def hush_transformers() -> None:
    """Keep its bars out of the table."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def try_kind(kind: Kind, photo: Photo, folder: Path) -> tuple[bool, str]:
    """Make and export a kind; return whether the row is right, and what to print of it."""
    if kind.needs and importlib.util.find_spec(kind.needs) is None:
        return True, f"skipped: {kind.needs} is not installed"
    (folder / "made").mkdir()
    given = dict(kind.options)
    if kind.data is not None:
        (folder / "data").mkdir()
        kind.data(folder / "data")
        given["data"] = str(folder / "data")
    asked = ExportOptions(
        weights=str(kind.make(folder / "made")),
        precision="fp32",
        folder=folder / "bundle",
        **given,
    )
    try:
        bundle = export_bundle(fill_defaults(asked)).bundle
    except EdgesegError as error:
        told = str(error).replace(f"{folder}/made/", "").replace(f"{folder}/made", "the folder")
        return bool(kind.refusal) and kind.refusal in told, f"refused: {told}"
    if kind.judge is None:
        return False, "exported, but it should be refused"
    photo = kind.prepare(photo)
    with Segmenter(bundle) as segmenter:
        frame = photo[:, :, ::-1] if photo.shape[2] == RGB else photo
        mask = segmenter.segment(frame).mask
    try:
        equal = 100 * float((mask == kind.judge(photo)).mean())
    except NotJudgedError as error:
        return False, f"not judged: {error}"
    told = f"{equal:.4f} %  {kind.judged_by}"
    if kind.truth is None:
        return equal >= kind.least, told
    ours, theirs = measure(kind, bundle.folder, folder / "truth")
    told += f"; mIoU on truth of 0 and 1: {ours:.3f}, and {theirs:.3f} there"
    return equal >= kind.least and abs(ours - theirs) < ROUNDING, told


def measure(kind: Kind, bundle: Path, data: Path) -> tuple[float, float]:
    """Measure the mIoU on a kind's truth by `edgeseg verify`, and by the masks of its judge."""
    assert kind.truth is not None
    assert kind.judge is not None
    counts = np.zeros((2, 2), np.int64)
    for part in ("images", "masks"):
        (data / part).mkdir(parents=True)
    for index, (photo, mask) in enumerate(kind.truth()):
        Image.fromarray(photo).save(data / "images" / f"{index}.png")
        Image.fromarray(mask.astype(np.uint8)).save(data / "masks" / f"{index}.png")
        counts += np.bincount((2 * mask + kind.judge(photo)).ravel(), minlength=4).reshape(2, 2)
    found = verify(VerifyRequest(source=str(bundle), data=str(data))).miou
    assert found is not None
    hits = np.diagonal(counts)
    ious = hits / (counts.sum(0) + counts.sum(1) - hits)
    return found, 100 * float(ious.mean())


if __name__ == "__main__":
    run_script(main)
