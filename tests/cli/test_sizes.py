"""Sizes are height x width, and where they seem to be swapped, somebody asks."""

from __future__ import annotations

from pathlib import Path

import pytest
from small import write_street

from edgeseg.bundle.store import Bundle
from edgeseg.cli.run_sources import _describe_camera
from edgeseg.runtime.sources.named import NamedSource


def test_the_camera_is_asked_for_height_and_width() -> None:
    asked = _describe_camera((NamedSource(0),), "720x1280", None)
    assert (asked.height, asked.width) == (720, 1280)


@pytest.mark.parametrize("size", ["big", "720", "x", "0x720", "720x", "-1x2"])
@pytest.mark.parametrize(
    "words",
    [
        "run --camera 0 --camera-size",
        "export --weights w --size",
        "sweep --weights w --data d --size",
    ],
)
def test_what_is_no_size(edgeseg, words: str, size: str) -> None:
    outcome = edgeseg(*words.split(), size)
    option = words.split()[-1]
    assert outcome.status == 2
    assert outcome.err == (
        f"edgeseg: {option} is HEIGHTxWIDTH in pixels, for example 720x1280; got {size!r}\n"
    )


def test_a_camera_that_would_be_higher_than_wide(edgeseg) -> None:
    outcome = edgeseg("run", "--camera", 97, "--camera-size", "1280x720")
    assert "1280 high and 720 wide (height x width); did you mean 720x1280?" in outcome.err


def test_a_size_unlike_the_images(
    edgeseg, checkpoint_folder: Path, seeded_bundle: Bundle, tmp_path: Path
) -> None:
    data = write_street(tmp_path / "street", seeded_bundle, train=1, test=2)
    words = ["export", "--weights", checkpoint_folder, "--data", data, "--split", "test"]
    says = "which are 96x128 (height x width); did you mean --size 96x128?"
    swapped = edgeseg(*words, "--precision", "fp32", "--size", "128x96", "-o", "b1")
    assert says in swapped.err
    right = edgeseg(*words, "--precision", "fp32", "--size", "96x128", "-o", "b2")
    assert "did you mean" not in right.err
