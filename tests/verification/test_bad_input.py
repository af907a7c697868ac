"""What can be wrong with what `edgeseg verify` is given, and the one line that says so."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from bad_files import DATA, Bad, classes, image, mask, told

from edgeseg.bundle.store import Bundle
from edgeseg.images import read_mask, write_mask
from edgeseg.reports.report import encode_report, read_report


def all_ignored() -> None:
    for path in Path("data/masks").iterdir():
        write_mask(np.full_like(read_mask(path), 255), path)


def baseline(**fields: object) -> Callable[[], object]:
    def spoil() -> None:
        old = msgspec.structs.replace(read_report(Path("old.json")), **fields)
        Path("old.json").write_bytes(encode_report(old))

    return spoil


def other_size() -> None:
    old = read_report(Path("old.json"))
    baseline(candidate=msgspec.structs.replace(old.candidate, height=512, width=1024))()


def one_image_less() -> None:
    image().unlink()
    mask().unlink()


def settings(text: str) -> Callable[[], object]:
    return lambda: Path("edgeseg.toml").write_text(text)


TOO_LONG = "x" * 300


AGAINST_OLD = (*DATA, "--baseline", "old.json")


FATAL = [
    Bad(
        name="no class in common",
        spoil=classes(*(f"thing {number}" for number in range(11))),
        says="data set data and the model have no class in common: thing 0, thing 1, thing 2 ... "
        "and Sky, Building, Pole ...; is it another data set's model?",
    ),
    Bad(
        name="nothing labelled",
        spoil=all_ignored,
        says="no labelled pixel was counted; are all masks empty or ignored?",
    ),
    Bad(
        name="nothing readable",
        spoil=lambda: [path.write_bytes(b"") for path in Path("data/images").iterdir()],
        says="none of 3 images can be measured, the first for: data/images/100.png is empty "
        "(0 bytes); restore or remove it",
    ),
    Bad(
        name="no images",
        spoil=lambda: [path.unlink() for path in Path("data/images").iterdir()],
        says="data/images holds no images; put some there (.avif, .bmp, .heic, .heif, .jpeg, "
        ".jpg, .png, .tif, .tiff, .webp, .npy)",
    ),
    Bad(
        name="no data set",
        spoil=lambda: shutil.rmtree("data"),
        says="data set data is no folder; give a folder, or `demo`",
    ),
    Bad(
        name="no such split",
        spoil=lambda: None,
        args=(*DATA, "--split", "val"),
        says="data set data has no split 'val' with images/ and masks/; it has no splits; leave "
        "--split out to take all of it",
    ),
    Bad(
        name="a published data set that is not there",
        spoil=lambda: None,
        args=("--data", "ade20k:data"),
        says="data holds no images of ade20k's val split; give the folder that its archives were "
        "unpacked into, or a folder with images/ and masks/ without ade20k:",
    ),
    Bad(
        name="baseline of another protocol",
        spoil=baseline(protocol="slide"),
        args=AGAINST_OLD,
        says="baseline old.json cannot be compared with: its protocol is slide, this one ss; "
        "measure both on the same images in the same way",
    ),
    Bad(
        name="baseline of another size",
        spoil=other_size,
        args=AGAINST_OLD,
        says="baseline old.json cannot be compared with: its input is 512x1024, this one 96x128 "
        "(height x width); measure both on the same images in the same way",
    ),
    Bad(
        name="baseline of other images",
        spoil=one_image_less,
        args=AGAINST_OLD,
        says="baseline old.json cannot be compared with: its data are data (3 images), these data "
        "(2 images); not in both, or with another truth: 1 image, the first: 100; measure both on "
        "the same images in the same way",
    ),
    Bad(
        name="baseline of golden frames",
        spoil=baseline(data=None),
        args=AGAINST_OLD,
        says="baseline old.json cannot be compared with: it holds no measurement on a data set; "
        "measure both on the same images in the same way",
    ),
    Bad(
        name="baseline of a newer schema",
        spoil=lambda: Path("old.json").write_text('{"schema": 2}'),
        args=AGAINST_OLD,
        says="report old.json has schema 2, and this edgeseg reads 1; write it again with: edgeseg "
        "verify ... --report FOLDER",
    ),
    Bad(
        name="baseline that is none",
        spoil=lambda: Path("old.json").write_text("<html>"),
        args=AGAINST_OLD,
        says="old.json is not a report of edgeseg: ",
    ),
    Bad(
        name="no baseline",
        spoil=lambda: Path("old.json").unlink(),
        args=AGAINST_OLD,
        says="report old.json cannot be read: No such file or directory",
    ),
    Bad(
        name="a protocol that the bundle cannot follow",
        spoil=lambda: None,
        args=(*DATA, "--protocol", "ms-flip"),
        says="bundle seeded (fp32) takes 96x128 only, and for an image of 120x160 --protocol "
        "ms-flip needs 6 sizes, 48x64 to 168x224, which no bundle takes; measure the checkpoint "
        "itself: edgeseg verify CHECKPOINT --protocol ms-flip",
    ),
    Bad(
        name="a limit without a reference",
        spoil=lambda: None,
        args=(*DATA, "--max-drop", "1"),
        says="not judged: --max-drop needs a reference, and bundle seeded (fp32) has none of its "
        "own; add --reference BUNDLE or CHECKPOINT",
        status=3,
    ),
    Bad(
        name="no reference",
        spoil=lambda: None,
        args=(*DATA, "--reference", "missing"),
        says="no bundle or checkpoint at missing; is the name right? A checkpoint becomes a bundle "
        "with: edgeseg export --weights CHECKPOINT",
    ),
    Bad(
        name="settings with an unknown key",
        spoil=settings("[verify.gates]\nmax_dropp = 1\n"),
        says="edgeseg.toml: max_dropp is not a limit; did you mean max_drop? Limits are max_drop, ",
    ),
    Bad(
        name="settings nested without end",
        spoil=settings("a = " + "[" * 200_000),
        says="edgeseg.toml cannot be used: maximum recursion depth exceeded",
    ),
    Bad(
        name="settings that are no limit",
        spoil=settings("[verify.gates]\nmax_drop = -1\n"),
        says="edgeseg.toml: max_drop is 0 to 100 points; got -1",
    ),
    Bad(
        name="a data set's name that is too long",
        spoil=lambda: None,
        args=("--data", TOO_LONG),
        says=f"data set {TOO_LONG} cannot be read: File name too long",
    ),
    Bad(
        name="a published data set's name that is too long",
        spoil=lambda: None,
        args=("--data", f"camvid:{TOO_LONG}"),
        says=f"data set camvid:{TOO_LONG} cannot be read: File name too long",
    ),
    Bad(
        name="a data set's classes nested without end",
        spoil=lambda: Path("data/dataset.json").write_text("[" * 200_000),
        says="data/dataset.json cannot be read: maximum recursion depth exceeded",
    ),
    Bad(
        name="a baseline's name that is too long",
        spoil=lambda: None,
        args=(*DATA, "--baseline", TOO_LONG),
        says=f"report {TOO_LONG} cannot be read: File name too long",
    ),
    Bad(
        name="a reference's name that is too long",
        spoil=lambda: None,
        args=(*DATA, "--reference", TOO_LONG),
        says=f"{TOO_LONG} cannot be read: File name too long",
    ),
    Bad(
        name="a report's name that is too long",
        spoil=lambda: None,
        args=(*DATA, "--report", TOO_LONG),
        says=f"the report cannot be written to {TOO_LONG}: File name too long; choose another",
    ),
    Bad(
        name="a file where the report should go",
        spoil=lambda: Path("r").write_text(""),
        args=(*DATA, "--report", "r"),
        says="the report cannot be written to r: ",
    ),
]


@pytest.mark.parametrize("case", FATAL, ids=lambda case: case.name)
def test_what_cannot_be_verified_is_one_line(
    edgeseg, case: Bad, data: Path, seeded_bundle: Bundle
) -> None:
    old = edgeseg("verify", seeded_bundle.folder, *DATA, "--json").out
    Path("old.json").write_text(old)
    case.spoil()
    before = sorted(path.name for path in Path().iterdir())
    outcome = edgeseg("verify", seeded_bundle.folder, *case.args)
    assert (outcome.status, outcome.out) == (case.status, "")
    if case.status != 2:
        assert case.says in told(outcome.err)
    else:  # typer frames what is wrong with options, and breaks the line
        assert case.says in " ".join(outcome.err.replace("│", " ").split())
    assert sorted(path.name for path in Path().iterdir()) == before


@pytest.mark.parametrize("command", ["verify", "run --source demo", "inspect", "build"])
def test_a_bundle_whose_name_is_too_long(edgeseg, command: str) -> None:
    outcome = edgeseg(*command.split(), TOO_LONG)
    assert (outcome.status, outcome.out) == (1, "")
    assert told(outcome.err) == f"{TOO_LONG} cannot be read: File name too long"
