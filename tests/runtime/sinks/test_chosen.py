"""Scores beside masks, pixels that are not sure enough, and chosen classes, in every output."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

import edgeseg as package
from edgeseg.bundle.store import Bundle, open_bundle
from edgeseg.datasets import open_dataset
from edgeseg.demo import draw_scene
from edgeseg.demo.assets import find_demo_bundle
from edgeseg.errors import SpecError
from edgeseg.images import read_image, read_mask, write_image
from edgeseg.labels import Labels, get_known_labels
from edgeseg.pixels import to_input
from edgeseg.runtime import session
from edgeseg.runtime.class_choice import find_min_scores
from edgeseg.runtime.legend import plan_finish
from edgeseg.runtime.preview.picture import Look, to_jpeg
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.runtime.sinks.masks import MaskFiles

if TYPE_CHECKING:
    from outcome import Outcome

CAMVID = get_known_labels("camvid")
ROAD, CAR, BACKGROUND, IGNORE = 3, 8, 11, 255
SIZE = (240, 320)


@pytest.fixture(scope="module")
def demo() -> Bundle:
    return open_bundle(find_demo_bundle())


@pytest.fixture
def image(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    path = tmp_path / "images" / "a.png"
    write_image(draw_scene(4, 0, height=SIZE[0], width=SIZE[1]).image, path)
    return path


@pytest.fixture
def run(edgeseg, demo: Bundle, image: Path):
    def call(*args: object) -> Outcome:
        return edgeseg("run", demo.folder, "--source", image, *args)

    return call


@pytest.fixture(scope="module")
def likely(demo: Bundle) -> tuple[np.ndarray, np.ndarray]:
    """PyTorch's classes and probabilities of the image, from the engine's logits."""
    frame = draw_scene(4, 0, height=SIZE[0], width=SIZE[1]).image
    with Segmenter(demo) as segmenter:
        logits = torch.from_numpy(segmenter.backend.infer(to_input(frame, segmenter.input)).copy())
    sized = functional.interpolate(logits, SIZE, mode="bilinear", align_corners=False)[0]
    highest = sized.softmax(dim=0).max(dim=0)
    return highest.indices.numpy(), highest.values.numpy()


def _legend(folder: Path) -> dict[str, object]:
    return json.loads((folder / "legend.json").read_text("utf-8"))


def test_scores_lie_beside_the_masks(run, likely, tmp_path: Path) -> None:
    outcome = run("--masks", "m", "--scores")
    assert outcome.status == 0, outcome.err
    assert "written: m-scores" in outcome.err
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["a.png", "legend.json"]
    assert [path.name for path in (tmp_path / "m-scores").iterdir()] == ["a.png"]
    with Image.open(tmp_path / "m-scores" / "a.png") as picture:
        assert picture.mode == "L"
        scores = np.array(picture).astype(int)
    assert np.abs(scores - np.rint(255 * likely[1])).max() <= 1
    # Another run replaces them; a picture that somebody drew there is kept.
    assert run("--masks", "m", "--scores").status == 0
    Image.new("L", (4, 4)).save(tmp_path / "m-scores" / "a.png")
    outcome = run("--masks", "m", "--scores")
    assert outcome.status == 1
    assert "m-scores/a.png exists and does not say that edgeseg run wrote it" in outcome.err


def test_python_gives_scores_when_asked(demo: Bundle, image: Path, likely) -> None:
    with package.open(demo.folder) as segmenter:
        alone = segmenter.segment(read_image(image), scores=True)
        (streamed,) = segmenter.stream(str(image), scores=True)
        tiled = segmenter.segment(read_image(image), scores=True, tile=True)
        assert segmenter.segment(read_image(image)).scores is None
    assert alone.scores is not None
    assert np.abs(alone.scores - np.rint(255 * likely[1])).max() <= 1
    np.testing.assert_array_equal(alone.scores, streamed.segmentation.scores)
    np.testing.assert_array_equal(alone.scores, tiled.scores)


def test_unsure_pixels_are_ignored_in_every_output(run, likely, tmp_path: Path) -> None:
    classes, probability = likely
    args = ("--min-score", "0.6,Road=0.9", "--masks", "masks", "--save", "o/", "--jsonl", "x.jsonl")
    outcome = run(*args)
    assert outcome.status == 0, outcome.err
    limit = np.where(classes == ROAD, 0.9, 0.6)
    mask = read_mask(tmp_path / "masks" / "a.png")
    sure = np.abs(probability - limit) > 1e-4
    expected = np.where(probability < limit, IGNORE, classes)
    np.testing.assert_array_equal(mask[sure], expected[sure])
    ignored = mask == IGNORE
    assert 0.001 < ignored.mean() < 0.9
    shown, frame = (read_image(tmp_path / name / "a.png") for name in ("o", "images"))
    np.testing.assert_array_equal(shown[ignored], frame[ignored])
    assert (shown[~ignored] != frame[~ignored]).any(axis=1).mean() > 0.9
    shares = json.loads((tmp_path / "x.jsonl").read_text())["shares"]
    assert shares["ignore"] == round(ignored.mean(), 6)
    assert _legend(tmp_path / "masks")["ignore"] == {"id": IGNORE, "color": "#e0e0c0"}
    (item,) = open_dataset(str(tmp_path), split=None).items
    np.testing.assert_array_equal(item.read().mask, mask)


def test_chosen_classes_keep_their_ids_in_every_output(run, likely, tmp_path: Path) -> None:
    outcome = run("--classes", "road, Car", "--masks", "m", "--save", "o.png", "--jsonl", "x.jsonl")
    assert outcome.status == 0, outcome.err
    mask, plain = read_mask(tmp_path / "m" / "a.png"), likely[0]
    kept = np.isin(plain, (ROAD, CAR))
    assert (mask != np.where(kept, plain, BACKGROUND)).mean() < 1e-4  # ties
    rest = mask == BACKGROUND
    assert 0.1 < rest.mean() < 0.95
    shown, frame = read_image(tmp_path / "o.png"), read_image(tmp_path / "images" / "a.png")
    np.testing.assert_array_equal(shown[rest], frame[rest])
    named = [(entry["id"], entry["name"]) for entry in _legend(tmp_path / "m")["classes"]]
    assert named == [(ROAD, "Road"), (CAR, "Car"), (BACKGROUND, "background")]
    shares = json.loads((tmp_path / "x.jsonl").read_text())["shares"]
    assert set(shares) <= {"Road", "Car", "background"}
    assert shares["background"] == round(rest.mean(), 6)


def test_other_ids_and_colors_know_background_and_ignore(run, tmp_path: Path) -> None:
    args = ("--classes", "Road", "--min-score", "0.9", "--masks")
    ids = {name: 10 + index for index, name in enumerate(CAMVID.classes)}
    (tmp_path / "ids.json").write_text(json.dumps({**ids, "background": 7}))
    for folder, more in {
        "plain": (),
        "own": ("--label-ids", "ids.json"),
        "camvid": ("--label-ids", "camvid"),
        "painted": ("--masks-palette",),
    }.items():
        outcome = run(*args, folder, *more)
        assert outcome.status == 0, outcome.err
    plain = read_mask(tmp_path / "plain" / "a.png")
    assert set(np.unique(plain)) == {ROAD, BACKGROUND, IGNORE}
    own = read_mask(tmp_path / "own" / "a.png")
    for ours, theirs in {ROAD: 13, BACKGROUND: 7, IGNORE: 255}.items():
        assert (own[plain == ours] == theirs).all()
    camvid = read_mask(tmp_path / "camvid" / "a.png")
    np.testing.assert_array_equal(camvid, np.where(plain == ROAD, ROAD, 255))
    painted = np.array(Image.open(tmp_path / "painted" / "a.png"))
    for ours, color in {ROAD: CAMVID.palette[ROAD], BACKGROUND: (0, 0, 0)}.items():
        assert (painted[plain == ours] == color).all()
    assert (painted[plain == IGNORE] == (224, 224, 192)).all()


def test_the_page_leaves_them_without_color(demo: Bundle, image: Path) -> None:
    finish, legend = plan_finish(CAMVID, tile=False, scores=False, least=(0.9,) * 11, kept=(ROAD,))
    frame = read_image(image)
    with Segmenter(demo) as segmenter:
        (plain,) = segmenter.stream(str(image))
        logits = segmenter.backend.infer(to_input(frame, segmenter.input))
        mask, _ = finish.make(logits, segmenter.input, frame)
    assert set(np.unique(mask)) == {ROAD, BACKGROUND, IGNORE}
    one = replace(plain, segmentation=replace(plain.segmentation, mask=mask))
    without = to_jpeg(one, legend, Look(hidden=frozenset({ROAD})), whole=True)
    assert without == to_jpeg(one, legend, Look(opacity=0.0), whole=True)
    assert without != to_jpeg(one, legend, Look(), whole=True)
    assert set(legend.compute_shares(one.segmentation)) == {"Road", "background", "ignore"}


def test_a_models_own_background_is_taken() -> None:
    labels = Labels(classes=("Background", "cat", "dog"), palette=((0, 0, 0),) * 3)
    finish, legend = plan_finish(labels, tile=False, scores=False, least=(), kept=(2,))
    assert finish.becomes == (0, 0, 2)
    assert [name for _, name, _ in legend.entries] == ["Background", "dog"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (0.5, (0.5, 0.5, 0.5)),
        ("0.5", (0.5, 0.5, 0.5)),
        ("b=0.7", (0.0, 0.7, 0.0)),
        ("0.2,B=0.7", (0.2, 0.7, 0.2)),
        ("*=0.2,2=0.7", (0.2, 0.2, 0.7)),
        ({"a, b": 0.25, "*": 1}, (1.0, 1.0, 0.25)),
    ],
    ids=str,
)
def test_thresholds(given, expected: tuple[float, ...], tmp_path: Path) -> None:
    labels = Labels(classes=("a", "b", "a, b"), palette=((0, 0, 0),) * 3)
    assert find_min_scores(given, labels) == expected
    if isinstance(given, dict):
        (tmp_path / "t.json").write_text(json.dumps(given))
        assert find_min_scores(str(tmp_path / "t.json"), labels) == expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1.5", "1.5 for every class is not a probability; give 0 to 1"),
        ("nan", "nan for every class is not a probability; give 0 to 1"),
        ("Road=x", "'Road=x' is neither a probability nor CLASS=PROBABILITY"),
        ("Raod=0.5", "the model has no class 'Raod'; did you mean 'Road'? it has Sky, Building"),
        ("Road=0.5,3=0.6", "has two numbers for '3'"),
        ("none.json", "none.json cannot be read: No such file or directory"),
        ("list.json", "list.json is not a JSON object of probabilities"),
        ("cut.json", "cut.json is not JSON"),
        ("word.json", "'high' for 'Road' is not a probability"),
    ],
)
def test_wrong_thresholds_are_told(run, tmp_path: Path, text: str, told: str) -> None:
    files = {"list": "[0.5]", "cut": '{"Road": 0.', "word": '{"Road": "high"}'}
    for name, content in files.items():
        (tmp_path / f"{name}.json").write_text(content)
    outcome = run("--min-score", text, "--masks", "m")
    # What no model and no file is needed to see is wrong usage.
    assert outcome.status == (2 if text in {"1.5", "nan", "Road=x"} else 1)
    assert told in outcome.err
    assert not (tmp_path / "m").exists()


def test_unknown_classes_are_told(run) -> None:
    outcome = run("--classes", "road,pedestrain")
    assert outcome.status == 1
    assert (
        "--classes: the model has no class 'pedestrain'; did you mean 'Pedestrian'?" in outcome.err
    )
    assert "--classes names no class" in run("--classes", ",").err


def test_scores_need_masks(run) -> None:
    outcome = run("--scores")
    assert outcome.status == 2
    assert "--scores is for masks; add --masks FOLDER" in outcome.err


def test_a_graph_that_ends_in_class_ids_has_no_scores(
    demo: Bundle, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = msgspec.structs.replace(demo.chosen, output="class_map")
    monkeypatch.setattr(session, "choose_variant", lambda _bundle, **_options: ids)
    for options in ({"min_score": 0.5}, {"masks": MaskFiles(image.parent / "m", scores=True)}):
        with pytest.raises(SpecError, match="ends in class ids, which have no probabilities"):
            package.run(demo.folder, source=image, say=lambda _: None, **options)
