"""A baseline of other images, other limits or another file is refused by name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from baselines import ORIGIN, report, subject

import edgeseg
from edgeseg.accuracy.limits import Limits
from edgeseg.bundle.store import Bundle
from edgeseg.errors import ReportError
from edgeseg.reports.measured import Windows
from edgeseg.reports.report import Data, encode_report, read_report
from edgeseg.verification.baseline import check_way, compare_reports
from edgeseg.verification.ways import Way

if TYPE_CHECKING:
    import numpy as np


def test_the_same_files_with_another_truth_are_refused(hits: np.ndarray) -> None:
    """As where dataset.json gives other names to the ids, or ignores one more."""
    now = report(hits)
    other = msgspec.structs.replace(now.per_image[7], labelled=(1000, 1000, 960, 1000))
    changed = msgspec.structs.replace(
        now, per_image=(*now.per_image[:7], other, *now.per_image[8:])
    )
    with pytest.raises(ReportError) as error:
        compare_reports(changed, report(hits), origin=ORIGIN, limits=Limits())
    assert "the truth of image 7 has 1000 pixels of 'person' there, 960 here" in str(error.value)


@dataclass(frozen=True, kw_only=True)
class Foreign:
    name: str
    fields: dict[str, object]
    says: str


FOREIGN = [
    Foreign(
        name="data",
        fields={"data": Data(name="town", split="val", sha256="e"), "per_image": ()},
        says="holds no measurement",
    ),
    Foreign(name="golden only", fields={"data": None}, says="holds no measurement on a data set"),
    Foreign(
        name="protocol", fields={"protocol": "slide"}, says="its protocol is slide, this one ss"
    ),
    Foreign(
        name="size",
        fields={"candidate": subject(height=512, width=1024)},
        says="its input is 512x1024, this one 96x128 (height x width)",
    ),
    Foreign(
        name="both",
        fields={"protocol": "keep", "candidate": subject(height=64)},
        says="its protocol is keep, this one ss; its input is 64x128, this one 96x128",
    ),
]


@pytest.mark.parametrize("case", FOREIGN, ids=lambda case: case.name)
def test_what_was_measured_otherwise_is_refused_before_measuring(
    case: Foreign, hits: np.ndarray
) -> None:
    with pytest.raises(ReportError) as error:
        check_way(report(hits, **case.fields), Way("ss", None, (96, 128)), origin=ORIGIN)
    assert str(error.value).startswith(f"baseline {ORIGIN} cannot be compared with: ")
    assert case.says in str(error.value)
    assert "\n" not in str(error.value)


TILES = Windows(height=96, width=128, stride_down=72, stride_across=96)
PUBLISHED = Windows(height=1024, width=1024, stride_down=768, stride_across=768, short_px=96)


@pytest.mark.parametrize("before", [PUBLISHED, None], ids=["named", "of an older edgeseg"])
def test_other_windows_are_refused(before: Windows | None, hits: np.ndarray) -> None:
    """An older edgeseg named none, and had the published ones only."""
    earlier = report(hits, protocol="slide", windows=before)
    with pytest.raises(ReportError) as error:
        check_way(earlier, Way("slide", TILES, (96, 128)), origin=ORIGIN)
    assert (
        "it has windows of 1024x1024 pixels, 768 apart down and 768 across, over images rescaled "
        "to a short side of 96, this one windows of 96x128 pixels, 72 apart down and 96 across, "
        "over images at their own size"
    ) in str(error.value)
    check_way(earlier, Way("slide", PUBLISHED, (96, 128)), origin=ORIGIN)


def test_other_images_are_refused_by_name(hits: np.ndarray) -> None:
    before = report(hits)
    data = Data(name="town", split=None, sha256="e")
    images = (
        msgspec.structs.replace(before.per_image[0], sha256="x", name="pond"),
        *before.per_image[1:],
    )
    now = msgspec.structs.replace(before, data=data, per_image=images)
    with pytest.raises(ReportError) as error:
        compare_reports(now, before, origin=ORIGIN, limits=Limits())
    assert (
        "its data are street test (60 images), these town (60 images); not in both, or with "
        "another truth: 2 images, the first: pond"
    ) in str(error.value)
    fewer = msgspec.structs.replace(before, per_image=before.per_image[1:], images=59)
    with pytest.raises(ReportError, match="another truth: 1 image, the first: image 0"):
        compare_reports(fewer, before, origin=ORIGIN, limits=Limits())


def test_other_images_are_refused_before_measuring(
    seeded_bundle: Bundle, street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = edgeseg.verify(seeded_bundle.folder, data=street, split="test")
    path = tmp_path / "report.json"
    path.write_bytes(encode_report(first))

    def too_late(*_args: object, **_options: object) -> None:
        raise AssertionError("it was measured")

    monkeypatch.setattr("edgeseg.verification.verify.measure", too_late)
    with pytest.raises(
        ReportError, match=r"these demo test \(\d+ images\); not in both, .*: 10 images"
    ):
        edgeseg.verify(seeded_bundle.folder, data="demo", baseline=path)


def test_a_report_is_a_baseline_for_the_next_one(
    seeded_bundle: Bundle, damaged: Bundle, street: Path, tmp_path: Path
) -> None:
    first = edgeseg.verify(seeded_bundle.folder, data=street, split="test")
    path = tmp_path / "report.json"
    path.write_bytes(encode_report(first))
    assert read_report(path) == first
    again = edgeseg.verify(seeded_bundle.folder, data=street, split="test", baseline=path)
    assert again.passed
    assert again.baseline is not None
    assert again.baseline.miou.verdict == "unchanged"
    worse = edgeseg.verify(damaged.folder, data=street, split="test", baseline=path)
    assert "mIoU lost beyond chance" in {gate.name for gate in worse.misses}
    assert worse.baseline is not None
    assert worse.baseline.miou.verdict == "regressed"


@pytest.mark.parametrize(
    "spoiled",
    [
        {"classes": (0, 1, 2, 99)},
        {"classes": (-1, 1, 2, 3)},
        {"classes": (1, 0, 2, 3)},
        {"hits": (1, 2, 3)},
        {"hits": (1, 2, 3, 10**30)},
        {"hits": (1001, 0, 0, 0)},
        {"labelled": (-1, 1000, 1000, 1000)},
        {"predicted": (4000, 1, 1, 1)},
        {"reference_hits": (1, 2), "reference_predicted": (1, 2)},
    ],
    ids=str,
)
def test_a_spoiled_baseline_is_no_report(
    spoiled: dict[str, object], hits: np.ndarray, tmp_path: Path
) -> None:
    whole = report(hits)
    path = tmp_path / "report.json"
    content = json.loads(encode_report(whole))
    content["per_image"][3] |= spoiled
    path.write_text(json.dumps(content))
    with pytest.raises(ReportError, match="is not a report of edgeseg: "):
        read_report(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not a report of edgeseg"),
        ("{}", "is not a report of edgeseg"),
        ('{"schema": 99}', "has schema 99, and this edgeseg reads 1"),
        ('{"schema": 1, "passed": true}', "is not a report of edgeseg"),
        ("[" * 100_000, "is not a report of edgeseg"),
    ],
    ids=["empty", "no schema", "newer", "incomplete", "deep"],
)
def test_what_is_no_report_is_named(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(ReportError) as error:
        read_report(path)
    assert says in str(error.value)
    assert str(path) in str(error.value)
    with pytest.raises(ReportError, match=r"x\.json cannot be read: No such file"):
        read_report(tmp_path / "x.json")
