from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from baselines import CLASSES, ORIGIN, report

from edgeseg.accuracy.limits import Limits
from edgeseg.bundle.manifest import Machine
from edgeseg.errors import ReportError
from edgeseg.reports.markdown import to_markdown
from edgeseg.reports.measured import Cost, Costs
from edgeseg.reports.report import Data, Report, encode_report, read_report
from edgeseg.reports.terminal import describe_report
from edgeseg.verification.baseline import compare_reports, judge_changes

DEFAULT_LIMITS = Limits()


def compared(now: Report, before: Report, limits: Limits = DEFAULT_LIMITS) -> tuple[dict, set[str]]:
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
        "\n".join(describe_report(report(right, baseline=found))),
        to_markdown(report(right, baseline=found)),
    ):
        assert ("no change is called certain" in text) is not certain


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
