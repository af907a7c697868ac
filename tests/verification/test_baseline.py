from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pytest

import edgeseg
from edgeseg.accuracy.limits import Limits
from edgeseg.bundle.manifest import Machine
from edgeseg.bundle.store import Bundle
from edgeseg.errors import ReportError
from edgeseg.reports.markdown import to_markdown
from edgeseg.reports.measured import ClassResult, Cost, Costs, ImageResult
from edgeseg.reports.report import Data, Report, Subject, encode_report, read_report
from edgeseg.reports.terminal import report_lines
from edgeseg.verification.baseline import check_protocol, compare_reports, judge_changes

ORIGIN = Path("old/report.json")
CLASSES = ("road", "car", "person", "bird")


def report(hits: np.ndarray, *, absent: tuple[int, int] | None = None, **fields: object) -> Report:
    """Of (images, classes) pixels that are right, of 1000 each; what is wrong is called road.

    Images from a place on do not show a class at all, where `absent` says both.
    """
    images = []
    for index, right in enumerate(hits):
        labelled = np.full(len(right), 1000)
        if absent is not None and index >= absent[0] and absent[1] < len(right):
            labelled[absent[1]] = 0
        right = np.minimum(right, labelled)
        predicted = right.copy()
        predicted[0] += (labelled - right).sum()
        images.append(
            ImageResult(
                name=f"image {index}",
                sha256=f"{index:064d}",
                classes=tuple(range(len(right))),
                labelled=tuple(labelled.tolist()),
                hits=tuple(right.tolist()),
                predicted=tuple(predicted.tolist()),
            )
        )
    values: dict[str, object] = {
        "passed": True,
        "created": "2026-01-01T00:00:00+00:00",
        "candidate": subject(),
        "data": Data(name="street", split="test", sha256="d"),
        "gates": (),
        "images": len(images),
        "classes": tuple(
            ClassResult(name=name, share=25, images=len(hits), counted=True)
            for name in CLASSES[: hits.shape[1]]
        ),
        "machine": Machine(cpu="c", architecture="x86_64", features=(), cores=2),
        "tools": {},
        "per_image": tuple(images),
    }
    return Report(**{**values, **fields})


def subject(**fields: object) -> Subject:
    values: dict[str, object] = {
        "kind": "bundle", "name": "b", "sha256": "s", "model": "b0", "precision": "int8",
        "engine": "e", "height": 96, "width": 128, "license": "unknown",
    }  # fmt: skip
    return Subject(**{**values, **fields})


@pytest.fixture
def hits() -> np.ndarray:
    """Images that differ much more among each other than two models do."""
    random = np.random.default_rng(0)
    return random.integers(300, 950, (60, len(CLASSES)))


def compared(now: Report, before: Report, limits: Limits = Limits()) -> tuple[dict, set[str]]:  # noqa: B008
    found = compare_reports(now, before, origin=ORIGIN, limits=limits)
    missed = {gate.name for gate in judge_changes(found, limits).misses}
    return {change.name: change for change in (found.miou, *found.classes)}, missed


def test_the_same_again_has_not_changed(hits: np.ndarray) -> None:
    changes, missed = compared(report(hits), report(hits))
    assert not missed
    assert {c.verdict for c in changes.values()} == {"unchanged"}
    assert {(c.change, c.low, c.high) for c in changes.values()} == {(0, 0, 0)}
    found = compare_reports(report(hits), report(hits), origin=ORIGIN, limits=Limits())
    values = [gate.value for gate in judge_changes(found, Limits()).gates]
    assert not any(f"{value:+}".startswith("-") for value in (*values, found.miou.low))  # -0.0


def test_a_small_loss_everywhere_is_found_however_images_differ(hits: np.ndarray) -> None:
    """15 pixels of 1000 in each image: images differ by hundreds."""
    changes, missed = compared(report(hits - 15), report(hits))
    assert "mIoU lost beyond chance" in missed
    assert changes["mIoU"].verdict == "regressed"
    assert changes["mIoU"].change == pytest.approx(-1.5, abs=0.5)
    assert changes["mIoU"].high - changes["mIoU"].low < 0.2
    changes, missed = compared(report(hits), report(hits - 15))
    assert not missed
    assert changes["mIoU"].verdict == "improved"


def test_noise_passes_and_what_may_be_a_loss_is_said(hits: np.ndarray) -> None:
    """Single images that go up and down by half: a loss of a point that proves nothing."""
    random = np.random.default_rng(3)
    noisy = hits.copy()
    chosen = random.random(len(hits)) < 0.15
    noisy[chosen, 1] = random.integers(0, 1000, chosen.sum())
    changes, missed = compared(report(noisy), report(hits))
    assert not missed
    assert abs(changes["car"].change) > 1
    assert changes["car"].verdict == "unclear"
    assert changes["car"].low < 0 < changes["car"].high
    assert changes["bird"].verdict == "unchanged"


def test_one_class_that_regressed_is_named_alone(hits: np.ndarray) -> None:
    worse = hits - np.array([0, 0, 60, 0])
    limits = Limits(max_regression=100)
    changes, missed = compared(report(worse), report(hits), limits)
    assert missed == {"class IoU lost beyond chance (person)"}
    assert changes["person"].verdict == "regressed"
    assert next(iter(list(changes)[1:])) == "person"  # the largest loss comes first
    _, missed = compared(report(worse), report(hits), Limits(max_regression=100,
                                                             max_class_regression=10))  # fmt: skip
    assert not missed


def test_a_rare_class_is_left_out(hits: np.ndarray) -> None:
    now = report(hits - np.array([0, 0, 0, 100]))
    rare = tuple(
        msgspec.structs.replace(c, counted=False) if c.name == "bird" else c for c in now.classes
    )
    changes, missed = compared(
        msgspec.structs.replace(now, classes=rare), report(hits), Limits(max_regression=100)
    )
    assert not missed
    assert "bird" not in changes


def test_classes_that_one_side_alone_has_are_new_or_missing(hits: np.ndarray) -> None:
    """Only images without the truth of such a class are compared: elsewhere other pixels count."""
    whole, part = report(hits, absent=(20, 3)), report(hits[:, :3], absent=(20, 3))
    found = compare_reports(whole, part, origin=ORIGIN, limits=Limits())
    assert (found.new, found.missing) == (("bird",), ())
    assert found.images == 40
    assert {c.change for c in (found.miou, *found.classes)} == {0}  # the birds called road are out
    found = compare_reports(part, whole, origin=ORIGIN, limits=Limits())
    assert (found.new, found.missing) == ((), ("bird",))
    assert found.images == 40
    (gate,) = [gate for gate in judge_changes(found, Limits()).gates if "missing" in gate.name]
    assert not gate.passed
    assert "bird" in gate.name


def test_a_class_of_the_images_left_out_alone_is_not_judged(
    hits: np.ndarray, tmp_path: Path
) -> None:
    """`person` is seen only where `bird`, which one side lacks, is seen too."""
    images = []
    for place, image in enumerate(report(hits, absent=(20, 3)).per_image):
        labelled = list(image.labelled)
        if place >= 20:
            labelled[2] = 0
        right = tuple(min(pair) for pair in zip(image.hits, labelled, strict=True))
        images.append(msgspec.structs.replace(image, labelled=tuple(labelled), hits=right))
    whole = msgspec.structs.replace(report(hits), per_image=tuple(images))
    columns = ("classes", "labelled", "hits", "predicted")
    part = msgspec.structs.replace(
        report(hits[:, :3]),
        per_image=tuple(
            msgspec.structs.replace(image, **{c: getattr(image, c)[:3] for c in columns})
            for image in images
        ),
    )
    found = compare_reports(part, whole, origin=ORIGIN, limits=Limits())
    assert found.images == 40
    assert {change.name for change in found.classes} == {"road", "car"}
    path = tmp_path / "report.json"
    path.write_bytes(encode_report(msgspec.structs.replace(part, baseline=found)))
    assert read_report(path).baseline == found


def test_where_every_image_shows_a_class_of_one_side_nothing_is_compared(hits: np.ndarray) -> None:
    with pytest.raises(ReportError, match="every image shows a class that only one of the models"):
        compare_reports(report(hits), report(hits[:, :3]), origin=ORIGIN, limits=Limits())


def test_where_no_image_shows_a_class_of_both_nothing_is_compared(hits: np.ndarray) -> None:
    one, blank = report(hits), report(np.zeros_like(hits))
    unlabeled = tuple(
        msgspec.structs.replace(
            image, classes=(), labelled=(), hits=(), predicted=(), sha256=image.sha256
        )
        for image in blank.per_image
    )
    empty = msgspec.structs.replace(one, per_image=unlabeled)
    with pytest.raises(ReportError, match="no image shows a class that both models have"):
        compare_reports(empty, empty, origin=ORIGIN, limits=Limits())


@pytest.mark.parametrize(("images", "certain"), [(9, False), (10, True)])
def test_on_few_images_nothing_is_certain(images: int, certain: bool) -> None:
    right = np.random.default_rng(0).integers(500, 950, (images, len(CLASSES)))
    changes, missed = compared(report(right - 100), report(right))
    assert (changes["mIoU"].verdict == "regressed") is certain
    assert bool(missed) is certain
    found = compare_reports(report(right), report(right), origin=ORIGIN, limits=Limits())
    for text in (
        "\n".join(report_lines(report(right, baseline=found))),
        to_markdown(report(right, baseline=found)),
    ):
        assert ("no change is called certain" in text) is not certain


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


def test_classes_are_matched_by_name_whatever_their_order(hits: np.ndarray) -> None:
    order = [2, 0, 3, 1]
    now = report(hits)
    classes = tuple(
        msgspec.structs.replace(now.classes[i], name=f" {CLASSES[i].upper()}") for i in order
    )
    images = tuple(
        msgspec.structs.replace(
            image,
            hits=tuple(image.hits[i] for i in order),
            labelled=tuple(image.labelled[i] for i in order),
            predicted=tuple(image.predicted[i] for i in order),
        )
        for image in reversed(now.per_image)
    )
    shuffled = msgspec.structs.replace(now, classes=classes, per_image=images)
    changes, missed = compared(shuffled, report(hits))
    assert not missed
    assert {c.change for c in changes.values()} == {0}


def test_costs_are_compared_where_they_can_be(hits: np.ndarray) -> None:
    def costing(latency_ms: float, size: int, **fields: object) -> Report:
        cost = Cost(latency_ms=latency_ms, bytes=size, memory_mb=100.0)
        return report(hits, costs=Costs(frame=(4, 6), rounds=3, candidate=cost), **fields)

    found = compare_reports(costing(9, 50), costing(10, 40), origin=ORIGIN, limits=Limits())
    told = {cost.name: (cost.before, cost.now) for cost in found.costs}
    assert told == {
        "size in bytes": (40, 50),
        "peak memory in MB": (100, 100),
        "latency in ms": (10, 9),
    }
    other = Machine(cpu="other", architecture="aarch64", features=(), cores=4)
    found = compare_reports(
        costing(9, 50, machine=other), costing(10, 40), origin=ORIGIN, limits=Limits()
    )
    assert "latency in ms" not in {cost.name for cost in found.costs}


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
        check_protocol(report(hits, **case.fields), origin=ORIGIN, protocol="ss", size=(96, 128))
    assert str(error.value).startswith(f"baseline {ORIGIN} cannot be compared with: ")
    assert case.says in str(error.value)
    assert "\n" not in str(error.value)


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


def test_other_names_and_another_order_are_the_same_images(hits: np.ndarray) -> None:
    before = report(hits)
    renamed = [msgspec.structs.replace(image, name=f"z{image.name}") for image in before.per_image]
    now = msgspec.structs.replace(
        before,
        data=Data(name="street", split="test", sha256="another order"),
        per_image=tuple(reversed(renamed)),
    )
    changes, missed = compared(now, before)
    assert not missed
    assert {c.change for c in changes.values()} == {0}


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
        ('{"schema": 99}', "has schema 99, this edgeseg reads 1"),
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
