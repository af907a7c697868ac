"""Makes every kind of checkpoint, exports it, and lets its own framework judge the mask.

python tools/checkpoint_zoo.py [--only WORD]

All kinds have the trained weights of the demo. Each row prints the kind, the share of equal pixels
on a photograph of another size than the network's, and who judged it; or the refusal. The exit
status is 1 if a row is not as it should be.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))  # the oracles of the tests

from zoo import binary, channels, frameworks, huggingface, refused, wrapped
from zoo.kind import Kind, NotJudgedError, Photo, load_photo

from edgeseg.cli.scripts import run_script
from edgeseg.deploy.defaults import fill_defaults
from edgeseg.deploy.export import export_bundle
from edgeseg.deploy.request import ExportOptions
from edgeseg.errors import EdgesegError
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.spec import RGB

LEAST = 99.99  # in % of the pixels
KINDS = [
    *huggingface.KINDS,
    *wrapped.KINDS,
    *frameworks.KINDS,
    *binary.KINDS,
    *channels.KINDS,
    *refused.KINDS,
]


def main() -> None:
    """Print one row for each kind."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="kinds whose name holds this word")
    options = parser.parse_args()
    hush_transformers()
    photo = load_photo()
    wrong = 0
    for kind in (one for one in KINDS if options.only in one.name):
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
    return equal >= LEAST, f"{equal:.4f} %  {kind.judged_by}"


if __name__ == "__main__":
    run_script(main)
