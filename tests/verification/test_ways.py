"""The protocols over real models: a bundle's engine, and the checkpoint in PyTorch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import edgeseg
from edgeseg.bundle.store import Bundle
from edgeseg.errors import SpecError
from edgeseg.runtime import timing
from edgeseg.verification.opening import open_model
from edgeseg.verification.protocols import segment_by


def test_a_bundle_follows_a_protocol_that_its_size_allows(
    seeded_bundle: Bundle, street: Path, checkpoint_folder: Path
) -> None:
    """Scenes of 120x160 become 96x128."""
    report = edgeseg.verify(
        seeded_bundle.folder,
        data=street,
        split="test",
        protocol="keep",
        reference=checkpoint_folder,
    )
    assert (report.protocol, report.windows) == ("keep", None)
    assert report.drop == pytest.approx(0, abs=0.05)
    assert report.pixel_agreement == pytest.approx(100, abs=0.05)
    own = edgeseg.verify(seeded_bundle.folder, data=street, split="test")
    assert own.per_image != report.per_image  # another way, other masks


@pytest.mark.parametrize("protocol", ["ms-flip", "slide-ms-flip"])
def test_a_bundle_names_who_could_follow_a_protocol_that_it_cannot(
    protocol: str, seeded_bundle: Bundle, street: Path, checkpoint_folder: Path
) -> None:
    options = {"data": street, "split": "test", "protocol": protocol}
    with pytest.raises(SpecError) as error:
        edgeseg.verify(seeded_bundle.folder, **options)
    assert "takes 96x128 only" in str(error.value)
    assert f"edgeseg verify CHECKPOINT --protocol {protocol}" in str(error.value)
    report = edgeseg.verify(checkpoint_folder, **options)
    assert report.images == 10


def test_a_checkpoint_takes_images_of_any_size(checkpoint_folder: Path) -> None:
    model = open_model(str(checkpoint_folder))
    for height, width in ((70, 93), (200, 80)):
        frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        mask = segment_by("keep", model, frame, short_px=96)
        assert mask.shape == (height, width)


def test_a_checkpoint_is_measured_at_several_short_sides(
    edgeseg, checkpoint_folder: Path, street: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "ROUNDS", 1)
    outcome = edgeseg(
        "verify", checkpoint_folder, "--data", street, "--split", "test",
        "--short-sides", "64,128", "--report", "r", "--json",
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    points = outcome.json["short_sides"]
    assert [(p["short_px"], p["height"], p["width"]) for p in points] == [
        (128, 128, 171),
        (64, 64, 85),
    ]
    assert all(0 < p["miou"] <= 100 and p["latency_ms"] > 0 for p in points)
    assert "short side 128: mIoU" in outcome.err
    assert outcome.err.splitlines()[-1] == f"next: edgeseg export --weights {checkpoint_folder}"
    page = Path("r/report.html").read_text("utf-8")
    assert "128 px" in page
    assert json.loads(Path("r/report.json").read_text("utf-8"))["short_sides"] == points


def test_a_bundle_has_one_size_to_be_measured_at(
    edgeseg, seeded_bundle: Bundle, street: Path
) -> None:
    outcome = edgeseg(
        "verify", seeded_bundle.folder, "--data", street, "--split", "test",
        "--short-sides", "64,128",
    )  # fmt: skip
    assert outcome.status == 1
    assert "takes one size; for --short-sides give the checkpoint" in outcome.err
