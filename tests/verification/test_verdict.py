"""No verdict without a judgment: every limit, and every reason why it cannot be judged."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pytest
from machines import ELSEWHERE

import edgeseg as package
from edgeseg.accuracy.limits import LIMITS, Limits
from edgeseg.bundle.staging import seal_bundle
from edgeseg.bundle.store import Bundle, open_bundle
from edgeseg.images import read_mask, write_mask

# Each would be kept, whatever is measured here.
GENEROUS: Final[Mapping[str, str]] = {
    "max_drop": "99",
    "max_class_drop": "99",
    "min_agreement": "0",
    "max_regression": "99",
    "max_class_regression": "99",
    "max_extra_drop": "99",
    "max_skipped": "5",
    "max_latency_ratio": "1000",
    "max_size_mb": "1000",
    "max_memory_mb": "9000",
}
DATA: Final = ("--data", "data")
AGAINST: Final = (*DATA, "--reference", "reference")
MORE: Final[Mapping[str, tuple[str, ...]]] = {
    "max_regression": ("--baseline", "old.json"),
    "max_class_regression": ("--baseline", "old.json"),
    "max_extra_drop": ("--corruptions", "contrast"),
}
OF_DATA: Final = (*list(GENEROUS)[:8],)


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why some limits cannot be judged: `prepare` makes the folder so, `names` says what is told.

    `default` are the limits that cannot be judged either where nobody sets them.
    """

    limits: tuple[str, ...]
    prepare: Callable[[Path], None]
    names: Mapping[str, str]
    remedy: str
    default: tuple[str, ...] = ()
    source: str = "bundle"
    args: tuple[str, ...] = AGAINST
    by_file: bool = False


def as_it_is(_root: Path) -> None:
    """Ten images, of which all can be measured."""


def few(root: Path) -> None:
    """Three images."""
    for part in ("images", "masks"):
        for path in sorted((root / "data" / part).iterdir())[3:]:
            path.unlink()


def rare(root: Path) -> None:
    """Ten images, and every class in two of them."""
    for place, path in enumerate(sorted((root / "data" / "masks").iterdir())):
        write_mask(np.full_like(read_mask(path), place // 2), path)


def spoiled(root: Path) -> None:
    """Seven masks of ten do not fit their images."""
    for path in sorted((root / "data" / "masks").iterdir())[3:]:
        write_mask(np.zeros((3, 3), np.uint8), path)


def unpaired(root: Path) -> None:
    """Seven images of ten have no mask."""
    for path in sorted((root / "data" / "masks").iterdir())[3:]:
        path.unlink()


SKIPPED: Final = dict.fromkeys(OF_DATA, "data set: 7 of 10 images were skipped, 70.0 %")
CLASS: Final = "class IoU drop: no class is in 5 images with 0.1 % of the pixels"
REASONS: Final[Mapping[str, Reason]] = {
    "no reference": Reason(
        limits=(
            "max_drop",
            "max_class_drop",
            "min_agreement",
            "max_extra_drop",
            "max_latency_ratio",
        ),
        prepare=as_it_is,
        names={limit: f"--{limit.replace('_', '-')} needs a reference" for limit in GENEROUS},
        remedy="add --reference BUNDLE or CHECKPOINT",
        args=DATA,
    ),
    "no data for a limit of the file": Reason(
        limits=("max_drop", "max_class_drop", "min_agreement", "max_latency_ratio"),
        prepare=as_it_is,
        names={limit: f"{limit} of edgeseg.toml" for limit in GENEROUS},
        remedy="add --data DATASET",
        args=(),
        by_file=True,
    ),
    "a checkpoint": Reason(
        limits=("max_size_mb", "max_memory_mb"),
        prepare=as_it_is,
        names={limit: f"--{limit.replace('_', '-')} is for a bundle" for limit in GENEROUS},
        remedy="export it",
        source="checkpoint",
        args=DATA,
    ),
    "few images": Reason(
        limits=("max_class_drop", "max_regression", "max_class_regression"),
        prepare=few,
        names={
            "max_class_drop": f"{CLASS} (",
            "max_regression": "mIoU lost beyond chance: 3 images are compared, and below 10",
            "max_class_regression": "class IoU lost beyond chance: 3 images are compared",
        },
        remedy="measure more images, or allow any loss with --",
        default=("max_class_drop", "max_regression", "max_class_regression"),
    ),
    "rare classes": Reason(
        limits=("max_class_drop", "max_class_regression"),
        prepare=rare,
        names={
            "max_class_drop": f"{CLASS} (Sky in 2 images",
            "max_class_regression": "class IoU lost beyond chance: no class is in 5 images",
        },
        remedy="measure more images, or allow any loss with --",
        default=("max_class_drop", "max_class_regression"),
    ),
    "spoiled masks": Reason(
        limits=OF_DATA,
        prepare=spoiled,
        names=SKIPPED,
        remedy="restore them, or allow more with --max-skipped PERCENT",
        default=OF_DATA,
    ),
    "images without masks": Reason(
        limits=("max_drop", "max_skipped"),
        prepare=unpaired,
        names=SKIPPED,
        remedy="restore them, or allow more with --max-skipped PERCENT",
        default=("max_drop",),
    ),
    "what was chosen does not run": Reason(
        limits=tuple(GENEROUS),
        prepare=few,
        names=dict.fromkeys(GENEROUS, "variant bf16 of bundle of_bf16: the export chose it"),
        remedy="measure it on a machine that runs it",
        default=("max_drop", "max_size_mb"),
        source="of_bf16",
    ),
    "what the reference's export chose does not run": Reason(
        limits=("max_drop", "max_latency_ratio"),
        prepare=few,
        names=dict.fromkeys(GENEROUS, "variant bf16 of bundle of_bf16: the export chose it"),
        remedy="measure it on a machine that runs it",
        default=("max_drop",),
        args=(*DATA, "--reference", "of_bf16"),
    ),
}
CELLS: Final = [
    *((reason, limit, False) for reason, told in REASONS.items() for limit in told.limits),
    *((reason, limit, True) for reason, told in REASONS.items() for limit in told.default),
]


@pytest.fixture(scope="module")
def of_bf16(seeded_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle for OpenVINO, made elsewhere, whose export chose BF16; its INT8 runs anywhere."""
    folder = Path(shutil.copytree(seeded_bundle.folder, tmp_path_factory.mktemp("b") / "of_bf16"))
    for name in ("manifest.json", "manifest.sha256"):
        (folder / name).unlink()
    manifest = seeded_bundle.manifest
    bf16 = msgspec.structs.replace(
        manifest.variants[0], name="bf16", precision="bf16", compute="bf16"
    )
    int8 = msgspec.structs.replace(bf16, name="int8", precision="int8", compute="f32")
    golden = tuple(
        msgspec.structs.replace(one, agreement={"bf16": 99.0, "int8": 99.0})
        for one in manifest.golden
    )
    chosen = msgspec.structs.replace(manifest.chosen, variant="bf16")
    seal_bundle(
        folder,
        msgspec.structs.replace(
            manifest, target="openvino", variants=(bf16, int8), chosen=chosen, golden=golden,
            machine=ELSEWHERE,
        ),
    )  # fmt: skip
    return open_bundle(folder).folder


@pytest.fixture
def place(
    tmp_path: Path, street: Path, seeded_bundle: Bundle, checkpoint_folder: Path, of_bf16: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:  # fmt: skip
    """A folder with all that a call names, on a CPU that computes in FP32 alone."""
    for part in ("images", "masks"):
        shutil.copytree(street / "test" / part, tmp_path / "data" / part)
    shutil.copy(street / "dataset.json", tmp_path / "data")
    for name in ("bundle", "reference"):
        (tmp_path / name).symlink_to(seeded_bundle.folder)
    (tmp_path / "checkpoint").symlink_to(checkpoint_folder)
    (tmp_path / "of_bf16").symlink_to(of_bf16)
    monkeypatch.setattr(
        "edgeseg.runtime.backends.openvino.read_float_types", lambda _core, _device: ("f32",)
    )
    return tmp_path


def test_every_limit_has_a_reason() -> None:
    assert set(GENEROUS) == set(LIMITS) == {limit for _, limit, _ in CELLS}


@pytest.mark.parametrize(("why", "limit", "unset"), CELLS)
def test_what_cannot_be_judged_is_no_pass(
    edgeseg, why: str, limit: str, unset: bool, place: Path
) -> None:
    """Set on purpose or not: exit status 3, and one line that names what, why and the remedy."""
    reason = REASONS[why]
    reason.prepare(place)
    args = [*reason.args, *MORE.get(limit, ())]
    if limit in MORE and "--baseline" in MORE[limit]:
        Path("old.json").write_text(edgeseg("verify", "bundle", *DATA, "--json").out)
    if reason.by_file:
        Path("edgeseg.toml").write_text(f"[verify.gates]\n{limit} = {GENEROUS[limit]}\n")
    elif not unset:
        args += [f"--{limit.replace('_', '-')}", GENEROUS[limit]]
    outcome = edgeseg("verify", reason.source, *args, "--json")
    assert outcome.status == 3, outcome.err
    (line,) = [line for line in outcome.err.splitlines() if line.lower().find("not judged: ") >= 0
               and reason.names[limit] in line]  # fmt: skip
    assert reason.remedy in line
    assert "next: " not in outcome.err
    if outcome.out:  # it was measured
        assert outcome.json["passed"] is False
        assert all(gate["passed"] for gate in outcome.json["gates"])


def test_python_tells_the_same(place: Path, seeded_bundle: Bundle) -> None:
    spoiled(place)
    args = {"data": place / "data", "reference": seeded_bundle.folder}
    report = package.verify(seeded_bundle.folder, **args)
    assert report.passed is False
    assert not report.misses
    assert [one.name for one in report.unjudged] == ["class IoU drop", "data set"][::-1]
    enough = package.verify(
        seeded_bundle.folder, **args, limits=Limits(max_skipped=70, max_class_drop=100)
    )
    assert enough.passed is True


def test_a_rare_class_is_named_and_makes_no_build_red(edgeseg, place: Path) -> None:
    """Its IoU is noise, which no number of builds would make judgeable."""
    for number, path in enumerate(sorted((place / "data" / "masks").iterdir())):
        mask = read_mask(path).copy()
        mask[mask == 0] = 1
        mask[:20] = 0 if number < 2 else mask[:20]  # the sky, in two images
        write_mask(mask, path)
    outcome = edgeseg("verify", "bundle", *AGAINST, "--max-drop", "99", "--json")
    assert outcome.status == 0, outcome.err
    (note,) = [note for note in outcome.json["notes"] if note.startswith("no limit looks at")]
    assert "in fewer than 5 images or below 0.1 % of the pixels" in note
    assert "Sky in 2 images" in note
    assert f"note: {note}" in outcome.err


def test_what_has_no_limit_is_measured_and_has_not_passed(edgeseg, place: Path) -> None:
    outcome = edgeseg("verify", "checkpoint", *DATA, "--json")
    assert (outcome.status, outcome.json["passed"]) == (0, None)
    assert "nothing was judged, because no limit applies" in outcome.err
    assert "note: accuracy is measured and not judged" in outcome.err
