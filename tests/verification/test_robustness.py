from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgeseg as package
from edgeseg.accuracy.counts import Counts, Masks
from edgeseg.accuracy.limits import Limits
from edgeseg.bundle.store import Bundle
from edgeseg.datasets import Differences, Item, Survey, match_classes, open_dataset
from edgeseg.errors import DatasetError, SpecError
from edgeseg.labels import get_known_labels
from edgeseg.progress import SILENT
from edgeseg.reports.phrases import judge_brittleness
from edgeseg.reports.report import Data
from edgeseg.verification.measuring import (
    Corruption,
    Measurement,
    Pair,
    Share,
    join_shares,
    measure_share,
)
from edgeseg.verification.opening import open_model
from edgeseg.verification.reader import Measured
from edgeseg.verification.robustness import Robustness, judge_robustness, measure_robustness

LABELS = get_known_labels("camvid")
NAMES = ("gaussian_noise", "motion_blur", "fog")


def share(items: Sequence[Item], *, wrong: float, more: float, seed: int) -> Share:
    """Masks of 11 classes; the reference errs in a part of the pixels, the candidate in some more.

    How much is another one in each image.
    """
    random = np.random.default_rng(seed)
    counts = Counts(LABELS, ignore_index=LABELS.ignore_index)
    for _ in items:
        truth = random.integers(0, 11, (40, 50)).astype(np.uint8)
        part = np.clip(random.normal(wrong, 0.05), 0, 1)
        reference = np.where(random.random(truth.shape) < part, (truth + 1) % 11, truth)
        worse = np.clip(random.normal(more, 0.01), 0, 1)
        candidate = np.where(random.random(truth.shape) < worse, (truth + 2) % 11, reference)
        counts.add(Masks(truth, reference.astype(np.uint8), candidate.astype(np.uint8)))
    return Share(
        counts=counts,
        hashes=(),
        measured=(),
        skipped=(),
        converted=(),
        shrunk=(),
        survey=Survey(),
    )


def robustness(more: dict[str, float], *, images: int = 30) -> Robustness:
    """What comes of it where the candidate errs in so many more pixels under each corruption."""
    items: tuple[Item, ...] = open_dataset("demo").items[:images]
    measured = tuple(Measured(item, item.sha256) for item in items)
    clean = Measurement(
        share=replace(share(items, wrong=0.1, more=0.02, seed=1), measured=measured),
        data=Data(name="d", split=None, sha256="d"),
        differences=Differences(),
        notes=(),
    )

    def shares(_items: Sequence[Item], corruption: Corruption | None) -> list[Share]:
        assert corruption is not None
        name, severity = corruption
        seed = 10 * NAMES.index(name) + severity
        halves = ((items[:5], measured[:5]), (items[5:], measured[5:]))
        wrong = 0.1 + 0.05 * severity
        return [
            replace(share(half, wrong=wrong, more=more[name], seed=seed), measured=own)
            for half, own in halves
        ]

    return measure_robustness(clean, NAMES, shares, SILENT)


def test_a_candidate_that_is_more_brittle_in_one_family_is_found() -> None:
    found = robustness({"gaussian_noise": 0.10, "motion_blur": 0.02, "fog": 0.02})
    noise, blur, weather = found.families
    assert [family.name for family in found.families] == ["noise", "blur", "weather"]
    assert noise.extra_low is not None
    assert noise.extra_low > 1
    assert noise.extra_low < noise.extra_drop < noise.extra_high
    for family in (blur, weather):
        assert family.extra_drop == pytest.approx(0, abs=1)
    missed = list(judge_robustness(found.families, Limits()).misses)
    assert [gate.name for gate in missed] == ["extra mIoU drop (noise)"]
    assert not judge_robustness(found.families, Limits(max_extra_drop=None)).gates


@pytest.mark.parametrize(("images", "told"), [(9, False), (10, True)])
def test_on_few_images_no_family_is_called_brittle(images: int, told: bool) -> None:
    found = robustness({"gaussian_noise": 0.2, "motion_blur": 0.02, "fog": 0.02}, images=images)
    noise = found.families[0]
    assert noise.extra_drop > 1
    assert (noise.extra_low is not None) is told
    assert judge_brittleness(noise) == ("more brittle" if told else "too few images to tell")


def test_families_are_means_over_kinds_and_severities() -> None:
    found = robustness(dict.fromkeys(NAMES, 0.02))
    assert [(r.name, r.severity) for r in found.corruptions] == [
        (name, severity) for name in NAMES for severity in range(1, 6)
    ]
    for family in found.families:
        own = [r for r in found.corruptions if r.family == family.name]
        assert family.miou == pytest.approx(np.mean([r.miou for r in own]))
        assert family.drop == pytest.approx(np.mean([r.drop for r in own]))
    (gate,) = judge_robustness(found.families, Limits()).gates  # the worst, where none misses
    assert gate.passed


def test_every_model_sees_the_same_corrupted_image_whatever_the_order(
    seeded_bundle: Bundle, street: Path
) -> None:
    model = open_model(str(seeded_bundle.folder))
    pair = Pair(candidate=model, reference=open_model(str(seeded_bundle.folder)), protocol="ss")
    items = match_classes(open_dataset(street, split="test"), model.labels)[0].items
    for corruption in (Corruption("shot_noise", 3), Corruption("fog", 5)):
        once = measure_share(pair, items, strict=False, corruption=corruption)
        parts = [
            measure_share(pair, part, strict=False, corruption=corruption)
            for part in (items[:3], items[3:])
        ]
        back = measure_share(pair, items[::-1], strict=False, corruption=corruption)
        assert np.array_equal(once.counts.candidate.total, once.counts.reference.total)
        for other in (join_shares(parts, model.labels), back):
            assert np.array_equal(other.counts.candidate.total, once.counts.candidate.total)
        clean = measure_share(pair, items, strict=False)
        assert not np.array_equal(clean.counts.candidate.total, once.counts.candidate.total)


def test_an_image_that_is_gone_since_ends_it(seeded_bundle: Bundle, street: Path) -> None:
    """On other images the intervals would not be paired any more."""
    model = open_model(str(seeded_bundle.folder))
    pair = Pair(candidate=model, reference=None, protocol="ss")
    items = match_classes(open_dataset(street, split="test"), model.labels)[0].items
    clean = Measurement(
        share=measure_share(pair, items, strict=False),
        data=Data(name="d", split=None, sha256="d"),
        differences=Differences(),
        notes=(),
    )

    def shares(items: Sequence[Item], _corruption: Corruption | None) -> list[Share]:
        return [measure_share(pair, items[1:], strict=False)]

    with pytest.raises(DatasetError, match="no longer those that were measured clean"):
        measure_robustness(clean, ("fog",), shares, SILENT)


def test_a_model_against_itself_is_not_brittle(seeded_bundle: Bundle, street: Path) -> None:
    report = package.verify(
        seeded_bundle.folder,
        data=street,
        split="test",
        reference=seeded_bundle.folder,
        corruptions="digital",
        limits=Limits(max_extra_drop=0.0),
    )
    assert report.passed
    assert len(report.corruptions) == 4 * 5
    (family,) = report.families
    assert (family.drop, family.extra_drop, family.extra_low, family.extra_high) == (0, 0, 0, 0)
    assert family.corruptions == ("brightness", "contrast", "saturate", "jpeg")


def test_without_a_reference_accuracy_alone_is_told(
    edgeseg, seeded_bundle: Bundle, street: Path
) -> None:
    args = ["verify", seeded_bundle.folder, "--data", street, "--split", "test"]
    outcome = edgeseg(*args, "--corruptions", "contrast", "--report", "r", "--json")
    assert outcome.status == 0
    (family,) = outcome.json["families"]
    assert family["extra_drop"] is None
    assert "digital (contrast): mIoU " in outcome.err
    for form in ("report.md", "report.html"):
        text = (Path("r") / form).read_text("utf-8")
        assert "Corrupted images" in text
        assert "Beyond the clean drop" not in text
    outcome = edgeseg(*args, "--corruptions", "contrast", "--max-extra-drop", 1)
    assert outcome.status == 3
    assert "--max-extra-drop needs a reference" in outcome.err


def test_the_command_names_what_it_measured_and_what_it_cannot(
    edgeseg, seeded_bundle: Bundle, damaged: Bundle, street: Path
) -> None:
    args = ["verify", damaged.folder, "--data", street, "--split", "test"]
    args += ["--reference", seeded_bundle.folder]
    outcome = edgeseg(*args, "--corruptions", "jpeg, noise", "--report", "r", "--json")
    assert outcome.status == 3
    assert [family["name"] for family in outcome.json["families"]] == ["noise", "digital"]
    assert "extra mIoU drop (" in outcome.err
    assert "more than on clean images (95 % interval " in outcome.err
    for form in ("report.md", "report.html"):
        text = (Path("r") / form).read_text("utf-8")
        assert "Beyond the clean drop" in text
        assert "impulse noise" in text
    outcome = edgeseg(*args, "--corruptions", "rain")
    assert outcome.status == 2
    assert "rain" in outcome.err
    outcome = edgeseg(*args, "--max-extra-drop", 1)
    assert outcome.status == 2
    assert "add --corruptions all" in " ".join(outcome.err.replace("│", " ").split())
    with pytest.raises(SpecError, match="--corruptions needs images with ground truth"):
        package.verify(seeded_bundle.folder, corruptions="all")
