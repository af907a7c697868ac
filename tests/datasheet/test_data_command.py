"""`edgeseg data`: what it shows of a data set, by somebody else's count."""

from __future__ import annotations

import base64
import io
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from forms import LABELS, VOID, draw_scenes, save_ids, save_image, write_classes, write_plain
from PIL import Image

from edgeseg.labels import parse_labels

ROAD = LABELS.classes.index("Road")


@pytest.fixture
def street(tmp_path: Path) -> Path:
    """Two splits, with a fault of each kind."""
    root = tmp_path / "street"
    for split in ("train", "test"):
        write_plain(root / split)
        (root / split / "dataset.json").unlink()
    write_classes(root)
    scenes = draw_scenes()
    save_image(scenes[0], root / "train" / "images" / "again.png")
    save_ids(scenes[0].ids, root / "train" / "masks" / "again.png")
    stray = scenes[1].ids.copy()
    stray[0, :6] = 77
    save_ids(stray, root / "train" / "masks" / "street1.png")
    save_ids(scenes[2].ids[1:], root / "train" / "masks" / "street2.png")
    save_image(scenes[2], root / "train" / "images" / "alone.png")
    return root


def test_facts_of_each_split(street: Path, edgeseg) -> None:
    done = edgeseg("data", street, "--json")
    assert done.status == 0, done.err
    train, test = done.json["splits"]
    ids = np.stack([scene.ids for scene in draw_scenes()])
    counted = ids[ids != VOID]
    shares = {row["name"]: (row["share"], row["images"]) for row in test["facts"]["classes"]}
    assert shares == {
        name: (
            pytest.approx(100 * (counted == place).mean()),
            int((ids == place).any(axis=(1, 2)).sum()),
        )
        for place, name in enumerate(LABELS.classes)
    }
    assert test["facts"]["uncounted"] == pytest.approx(100 * (ids == VOID).mean())
    assert test["facts"]["sizes"] == [{"height": 48, "width": 64, "images": 3}]
    assert test["failing"] == []
    (stray,) = train["facts"]["strays"]
    assert (stray["id"], stray["images"]) == (77, 1)
    assert stray["share"] == pytest.approx(100 * 6 / (3 * 48 * 64))
    assert train["facts"]["twins"] == [{"first": "again", "second": "street0"}]
    reasons = [note["reason"] for note in train["failing"]]
    assert "alone.png has no mask" in reasons[0]
    assert "street2.png is 47x64, but its image street2.png is 48x64" in reasons[1]
    shared = [(one["split"], one["name"], one["other_name"]) for one in done.json["shared"]]
    assert shared == [("train", "again", "street0"), ("train", "street1", "street1")]


def test_lines_for_people(street: Path, edgeseg) -> None:
    done = edgeseg("data", street)
    assert done.out == ""
    for line in (
        "train: 3 images with masks, layout folder",
        "  sizes (height x width): 3 of 48x64",
        "  ids that mean nothing: 1: 77 (0.065 % of the pixels, 1 mask)",
        "  images with the same pixels: 1 pair: again = street0",
        "  pairs that cannot be used: 2",
        "images that are in two splits: 2, the first: again of train is street0 of test",
        f"next: edgeseg verify BUNDLE --data {street} --split test",
    ):
        assert line in done.err.splitlines()
    never = [name for name in LABELS.classes if f"  {name} " not in done.err]
    assert not never


def test_the_page_shows_images_and_masks(street: Path, edgeseg) -> None:
    done = edgeseg("data", street, "--split", "test", "--sheet", "s.html", "--images", "2")
    assert done.status == 0, done.err
    page = Path("s.html").read_text("utf-8")
    found = re.findall(r'<img src="data:image/(\w+);base64,([^"]+)" alt="(\w+) of (\w+)"', page)
    assert [one[2:] for one in found] == [
        ("image", "street0"), ("mask", "street0"), ("image", "street1"), ("mask", "street1"),
    ]  # fmt: skip
    with Image.open(io.BytesIO(base64.b64decode(found[1][1]))) as mask:
        painted = np.asarray(mask.convert("RGB"))
    scene = draw_scenes()[0]
    palette = parse_labels({"classes": list(LABELS.classes)}, origin="dataset.json").palette
    expected = np.array([*palette, *[(164, 168, 173)] * 245], np.uint8)[scene.ids]
    np.testing.assert_array_equal(painted, expected)
    with Image.open(io.BytesIO(base64.b64decode(found[0][1]))) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(pixels - scene.image[:, :, ::-1]).mean() < 12  # a JPEG


def test_only_its_own_page_is_replaced(street: Path, edgeseg) -> None:
    Path("own.html").write_text("<p>mine")
    refused = edgeseg("data", street, "--sheet", "own.html")
    assert (refused.status, Path("own.html").read_text()) == (1, "<p>mine")
    assert "own.html is no page of edgeseg data; choose another name" in refused.err
    assert edgeseg("data", street, "--sheet", "away/s.html").status == 1
    for _ in range(2):
        assert edgeseg("data", street, "--split", "test", "--sheet", "s.html").status == 0


def test_rules_change_what_is_shown(street: Path, edgeseg) -> None:
    args = ("data", street, "--split", "test", "--json")
    merged = edgeseg(*args, "--merge", "ground=Road,Pavement").json["splits"][0]["facts"]
    plain = edgeseg(*args).json["splits"][0]["facts"]
    was = {row["name"]: row["share"] for row in plain["classes"]}
    now = {row["name"]: row["share"] for row in merged["classes"]}
    assert now.keys() == was.keys() - {"Road", "Pavement"} | {"ground"}
    assert now["ground"] == pytest.approx(was["Road"] + was["Pavement"])
    ignored = edgeseg(*args, "--ignore-index", f"{ROAD},255").json["splits"][0]["facts"]
    assert {row["name"] for row in ignored["classes"] if not row["images"]} >= {"Road"}
    assert ignored["uncounted"] > plain["uncounted"]


def test_ids_without_names_are_shown_as_numbers(street: Path, edgeseg) -> None:
    (street / "dataset.json").unlink()
    found = edgeseg("data", street, "--split", "test", "--json").json["splits"][0]
    seen = sorted(set(np.unique([scene.ids for scene in draw_scenes()]).tolist()))
    names = [f"id {own}" for own in seen if own != VOID]
    assert [row["name"] for row in found["facts"]["classes"]] == names
    assert found["facts"]["uncounted"] > 0
    assert not found["facts"]["strays"]
    stated = ("--ignore-index", f"{ROAD},{VOID}")
    left = edgeseg("data", street, "--split", "test", *stated, "--json").json["splits"][0]
    assert {row["name"] for row in left["facts"]["classes"]} == set(names) - {f"id {ROAD}"}
    assert any("nothing names the masks' ids" in note for note in found["notes"])
    binary = edgeseg("data", street, "--split", "test", "--foreground", ROAD, "--json")
    rows = binary.json["splits"][0]["facts"]["classes"]
    assert [row["name"] for row in rows] == ["background", "foreground"]


def test_a_split_that_cannot_be_opened_is_left_out_and_said(street: Path, edgeseg) -> None:
    shutil.rmtree(street / "test" / "masks")
    (street / "test" / "masks").mkdir()
    done = edgeseg("data", street, "--json")
    assert [one["split"] for one in done.json["splits"]] == ["train"]
    assert "split test is left out: " in done.json["notes"][0]
    assert edgeseg("data", street / "test").status == 1
    assert "data set nowhere is no folder" in edgeseg("data", "nowhere").err


def test_a_data_set_of_which_nothing_can_be_read_is_refused(street: Path, edgeseg) -> None:
    """With one line that has the reason: no table, no page, and no next step."""
    for path in (street / "test" / "masks").iterdir():
        Image.new("RGB", (64, 48), (1, 2, 3)).save(path)
    done = edgeseg("data", street, "--split", "test", "--sheet", "s.html", "--json")
    assert (done.status, done.out) == (1, "")
    (line,) = [one for one in done.err.splitlines() if one.strip()]
    assert "none of 3 images can be read with its mask, the first for: " in line
    assert "street0.png" in line
    assert "nothing says what they mean" in line
    assert not Path("s.html").exists()
    # A split of which something can be read is shown beside it.
    both = edgeseg("data", street, "--json")
    assert both.status == 0
    assert [one["facts"]["images"] for one in both.json["splits"]] == [3, 0]
