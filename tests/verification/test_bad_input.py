"""What can be wrong with what `edgeseg verify` is given, and the one line that says so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from edgeseg.bundle.store import Bundle
from edgeseg.images import read_mask, write_mask
from edgeseg.reports.report import Report, encode_report, read_report

DATA = ("--data", "data")


@dataclass(frozen=True, kw_only=True)
class Bad:
    """`spoil` works in a folder with a whole data set `data`, and a report on it, `old.json`."""

    name: str
    spoil: Callable[[], object]
    says: str
    args: tuple[str, ...] = DATA
    status: int = 1


def image(number: int = 100) -> Path:
    return Path(f"data/images/{number}.png")


def mask(number: int = 100) -> Path:
    return Path(f"data/masks/{number}.png")


def save_as(mode: str) -> Callable[[], object]:
    def spoil() -> None:
        with Image.open(image()) as whole:
            whole.convert(mode).save(image(), format="TIFF" if mode == "CMYK" else None)

    return spoil


def deep() -> None:
    with Image.open(image()) as whole:
        gray = np.asarray(whole.convert("L")).astype(np.uint16) * 257
    Image.fromarray(gray).save(image())


def floating() -> None:
    with Image.open(image()) as whole:
        whole.convert("F").save(image(), format="TIFF")


def turned() -> None:
    """Stored upright, as the mask is, with a tag that says it lies on its side."""
    with Image.open(image()) as whole:
        exif = whole.getexif()
        exif[0x0112] = 6
        whole.save(image(), exif=exif)


def turned_square() -> None:
    """A tag that leaves the size as it is: it cannot be told whether the mask was drawn before."""
    with Image.open(image()) as whole:
        exif = whole.getexif()
        exif[0x0112] = 3
        whole.save(image(), exif=exif)


def broken(path: Path) -> Callable[[], object]:
    return lambda: path.write_bytes(path.read_bytes()[:300])


def other_mask(ids: np.ndarray) -> Callable[[], object]:
    return lambda: write_mask(ids.astype(np.uint8), mask())


def colored_mask() -> None:
    with Image.open(image()) as whole:
        whole.save(mask())


def all_ignored() -> None:
    for path in Path("data/masks").iterdir():
        write_mask(np.full_like(read_mask(path), 255), path)


def classes(*names: str) -> Callable[[], object]:
    text = json.dumps({"classes": names})
    return lambda: Path("data/dataset.json").write_text(text)


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


CAMVID = ("Sky", "Building", "Pole", "Road", "Pavement", "Tree", "SignSymbol", "Fence", "Car",
          "Pedestrian", "Bicyclist")  # fmt: skip
TOO_LONG = "x" * 300
AGAINST_OLD = (*DATA, "--baseline", "old.json")

BAD = [
    Bad(
        name="image of zero bytes",
        spoil=lambda: image().write_bytes(b""),
        says="data/images/100.png is empty (0 bytes); restore or remove it",
    ),
    Bad(
        name="image cut off",
        spoil=broken(image()),
        says="data/images/100.png cannot be read as an image: ",
    ),
    Bad(
        name="text for an image",
        spoil=lambda: image().write_text("hello"),
        says="data/images/100.png cannot be read as an image: its format is not known",
    ),
    Bad(
        name="mask cut off",
        spoil=broken(mask()),
        says="data/masks/100.png cannot be read as an image: ",
    ),
    Bad(
        name="image without mask",
        spoil=lambda: mask().unlink(),
        says="data/images/100.png has no mask; there is no data/masks/100.png",
    ),
    Bad(
        name="mask without image",
        spoil=lambda: image().unlink(),
        says="data/masks/100.png has no image of its own in data/images",
    ),
    Bad(
        name="two images of one name",
        spoil=lambda: shutil.copy(image(), "data/images/100.bmp"),
        says="data/images/100.bmp has the same name as 100.png; keep the one that the mask is of",
    ),
    Bad(
        name="mask of another size",
        spoil=other_mask(np.zeros((3, 5))),
        says="data/masks/100.png is 3x5, but its image 100.png is 120x160 (height x width); give "
        "the image its own mask",
    ),
    Bad(
        name="mask drawn before a rotation",
        spoil=turned,
        says="data/masks/100.png is 120x160, but its image 100.png is 160x120 (height x width): "
        "the mask fits the image before its EXIF rotation; turn the mask, or remove the "
        "image's tag",
    ),
    Bad(
        name="mask in color",
        spoil=colored_mask,
        says="data/masks/100.png is a RGB image; a mask holds one class id a pixel "
        "(mode L, P, I;16 or 1)",
    ),
    Bad(
        name="mask id out of range",
        spoil=other_mask(np.full((120, 160), 77)),
        says="the mask of 100 holds the id 77, but data has 11 classes and the ignore index 255",
    ),
    Bad(
        name="image of floats",
        spoil=floating,
        says="data/images/100.png holds floating-point pixels, which have no one way to 8 bits; "
        "save it as 8-bit RGB",
    ),
    Bad(
        name="gray",
        spoil=save_as("L"),
        says="--strict: image 100 had to be converted: gray",
    ),
    Bad(
        name="alpha",
        spoil=save_as("RGBA"),
        says="--strict: image 100 had to be converted: alpha",
    ),
    Bad(
        name="16-bit",
        spoil=deep,
        says="--strict: image 100 had to be converted: gray, 16-bit",
    ),
    Bad(
        name="CMYK",
        spoil=save_as("CMYK"),
        says="--strict: image 100 had to be converted: CMYK",
    ),
    Bad(
        name="palette",
        spoil=save_as("P"),
        says="--strict: image 100 had to be converted: palette",
    ),
    Bad(
        name="rotated",
        spoil=turned_square,
        says="--strict: image 100 had to be converted: rotated by its EXIF tag",
    ),
    Bad(
        name="a class that the model does not have",
        spoil=classes(*CAMVID[:10], "Unicorn"),
        says="--strict: classes of the data set that the model does not have, not counted: "
        "Unicorn; classes of the model that the data set does not have: Bicyclist",
    ),
]
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
        says="data/images holds no images (.bmp, .jpeg, .jpg, .png, .tif, .tiff, .webp)",
    ),
    Bad(
        name="no data set",
        spoil=lambda: shutil.rmtree("data"),
        says="data set data is not a folder; give one, or `demo`",
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
        says="report old.json has schema 2, this edgeseg reads 1; write it again with: edgeseg "
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
        says="not judged: --max-drop is against a reference, which bundle seeded (fp32) does not "
        "bring with it; add --reference BUNDLE or CHECKPOINT",
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


@pytest.fixture(scope="module")
def report(seeded_bundle: Bundle, street: Path) -> Report:
    import edgeseg

    return edgeseg.verify(seeded_bundle.folder, data=street, split="test")


@pytest.fixture
def data(tmp_path: Path, street: Path, report: Report) -> Path:
    """Three images of the street, without splits, and a report on them."""
    for part in ("images", "masks"):
        (tmp_path / "data" / part).mkdir(parents=True)
        for path in sorted((street / "test" / part).iterdir())[:3]:
            shutil.copy(path, tmp_path / "data" / part)
    shutil.copy(street / "dataset.json", tmp_path / "data")
    return tmp_path


def told(err: str) -> str:
    """What `edgeseg:` says: one line, and no traceback."""
    lines = [line for line in err.splitlines() if not line.startswith("limits from ")]
    assert len(lines) == 1, err
    return lines[0].removeprefix("edgeseg: ")


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_an_image_is_named_and_passed_over_and_strictly_refused(
    edgeseg, case: Bad, data: Path, seeded_bundle: Bundle
) -> None:
    case.spoil()
    strict = edgeseg("verify", seeded_bundle.folder, *case.args, "--strict")
    assert strict.status == 1
    assert case.says in told(strict.err)
    outcome = edgeseg("verify", seeded_bundle.folder, *case.args, "--max-skipped", "50", "--json")
    assert outcome.status == 0
    found = outcome.json
    noted = [f"{note['name']}: {note['reason']}" for note in found["skipped"] + found["converted"]]
    reason = case.says.removeprefix("--strict: image 100 had to be converted: ")
    if case.name == "a class that the model does not have":
        assert found["differences"]["data_only"] == ["Unicorn"]
    else:
        (note,) = noted
        assert reason in note
    assert found["images"] == 3 - len(found["skipped"])


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
