"""An export's limits decide, or it says before the search that they cannot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeseg.accuracy.limits import Limits
from edgeseg.deploy.defaults import fill_defaults
from edgeseg.deploy.request import ExportOptions, ExportRequest
from edgeseg.errors import NotJudgedError
from edgeseg.segformer.form import EXACT


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """Eight images with masks: four of them would decide."""
    random = np.random.default_rng(0)
    for part, shape in (("images", (64, 64, 3)), ("masks", (64, 64))):
        (tmp_path / "data" / part).mkdir(parents=True)
        for number in range(8):
            pixels = random.integers(0, 2, shape).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / part / f"{number}.png")
    return tmp_path / "data"


def asked(few: Path, precision: str, limits: Limits) -> ExportRequest:
    options = ExportOptions(
        weights="w.pth", precision=precision, calibration=str(few / "images"), calibration_images=4,
        data=str(few), limits=limits, budget_s=1,
    )  # fmt: skip
    return fill_defaults(options)


def test_images_too_few_for_the_limit_on_classes_are_told_before_the_search(few: Path) -> None:
    with pytest.raises(NotJudgedError, match=r"not judged: half of the 8 images .* give 10 or"):
        asked(few, "int8", Limits())
    told = asked(few, "auto", Limits()).notes
    assert any(note.startswith("nothing but exact FP32 can pass: half of the 8") for note in told)
    assert not asked(few, "int8", Limits(max_class_drop=100)).notes


def test_a_form_that_no_images_can_choose_is_told(few: Path) -> None:
    def ask(**given: object) -> tuple[str, ...]:
        made = ExportOptions(weights="w.pth", precision="fp32", **given)  # type: ignore[arg-type]  # as named
        request = fill_defaults(made)
        assert request.form is EXACT
        return request.notes

    assert ask() == ask(data=str(few)) == ask(data=str(few), form="exact") == ()
    (told,) = ask(data=str(few), form="auto")
    assert told.startswith("form exact is kept: half of the 8 images decides")
    assert told.endswith("give 10 or more, or allow any loss of a class with --max-class-drop 100")
    (told,) = ask(form="auto")
    assert told.endswith("no images to judge another one on; add --data or --calibration")


@pytest.mark.parametrize("option", ["--max-drop", "--max-class-drop"])
def test_a_limit_without_ground_truth_is_refused(edgeseg, few: Path, option: str) -> None:
    """It was passed over, and the export judged agreement alone."""
    outcome = edgeseg("export", "--weights", "w.pth", "--calibration", few / "images", option, "1")
    assert outcome.status == 2
    assert f"{option} needs images with ground truth; add --data DATASET" in " ".join(
        outcome.err.replace("│", " ").split()
    )
