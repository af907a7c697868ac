"""Rules of a data set, from its dataset.json and from options: the counts of the plain form."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from forms import LABELS, VOID, count, draw_scenes, save_ids, save_image, write_classes

from edgeseg.data_rules import Rules, parse_ids, parse_merge, parse_rules
from edgeseg.datasets import match_classes, open_dataset
from edgeseg.errors import DatasetError, SpecError
from edgeseg.labels import Labels
from edgeseg.pixels import ClassMap

ROAD = LABELS.classes.index("Road")
TWO = Labels(classes=("other", "Road"), palette=((0, 0, 0), (255, 255, 255)))


def write(
    folder: Path, make: Callable[[ClassMap], ClassMap] | None = None, **content: object
) -> Path:
    for scene in draw_scenes():
        ids = scene.ids if make is None else make(scene.ids.copy())
        save_image(scene, folder / "images" / f"{scene.name}.png")
        save_ids(ids, folder / "masks" / f"{scene.name}.png")
    (folder / "dataset.json").write_text(json.dumps(content)) if content else None
    return folder


def count_both(
    root: Path, names: dict[str, object], rules: dict[str, object], labels: Labels = LABELS
) -> np.ndarray:
    """Count with rules of dataset.json, and with the same rules as options."""
    (root / "dataset.json").write_text(json.dumps(names | rules))
    by_file = count(open_dataset(root), labels)
    (root / "dataset.json").write_text(json.dumps(names))
    by_option = count(open_dataset(root, rules=parse_rules(rules, origin="options")), labels)
    np.testing.assert_array_equal(by_file, by_option)
    return by_file


CLASSES = {"classes": list(LABELS.classes)}


def test_reduced_labels(tmp_path: Path) -> None:
    def raise_ids(ids: ClassMap) -> ClassMap:
        return np.where(ids == VOID, 0, ids + 1).astype(np.uint8)

    plain = count(open_dataset(write(tmp_path / "plain", **CLASSES)))
    raised = write(tmp_path / "raised", raise_ids)
    np.testing.assert_array_equal(count_both(raised, CLASSES, {"reduce_labels": True}), plain)
    nameless = {"reduce_labels": True}
    (raised / "dataset.json").write_text(json.dumps(nameless))
    np.testing.assert_array_equal(count(open_dataset(raised)), plain)
    (raised / "dataset.json").unlink()
    kept = open_dataset(raised, rules=Rules(reduce_labels=False))
    matched, _ = match_classes(kept, LABELS, reduce_labels=True)  # as the checkpoint says
    np.testing.assert_array_equal(matched.items[0].read().mask, raise_ids(draw_scenes()[0].ids))


def test_ids_that_are_not_counted(tmp_path: Path) -> None:
    """An ignored id may be a class of the data set, and there may be several."""
    data = write(tmp_path / "data")
    without = write(tmp_path / "void", lambda ids: np.where(ids == ROAD, VOID, ids).astype("u1"))
    expected = count(open_dataset(write_and_name(without)))
    rules = {"ignore_index": [ROAD, VOID]}
    np.testing.assert_array_equal(count_both(data, CLASSES, rules), expected)
    other = write(tmp_path / "other", lambda ids: np.where(ids == VOID, 77, ids).astype("u1"))
    plain = count(open_dataset(write_and_name(data)))
    np.testing.assert_array_equal(count_both(other, CLASSES, {"ignore_index": 77}), plain)


def test_255_is_not_counted_unless_another_id_is_stated(tmp_path: Path) -> None:
    """A data set without names has the model's ids, and CamVid's models ignore 11."""
    plain = count(open_dataset(write_and_name(write(tmp_path / "plain"))))

    def use_both(ids: ClassMap) -> ClassMap:
        ids[:2][ids[:2] == VOID] = 11
        return ids

    assert LABELS.ignore_index == 11
    data = write(tmp_path / "both", use_both)
    np.testing.assert_array_equal(count(open_dataset(data)), plain)
    stated = open_dataset(data, rules=Rules(ignore_index=(12,)))
    with pytest.raises(DatasetError, match="255, but .* 11 or 12; .* with --ignore-index"):
        count(stated)


def write_and_name(folder: Path) -> Path:
    write_classes(folder)
    return folder


def test_merged_classes(tmp_path: Path) -> None:
    """By name and by id; the merged class may be new to the data set."""
    data = write(tmp_path / "data")
    few = Labels(classes=("Road", "rest"), palette=((0, 0, 0), (255, 255, 255)))
    rest = [name for name in LABELS.classes if name != "Road"]
    merged = count_both(data, CLASSES, {"merge": {"rest": [rest[0], 1, *rest[2:]]}}, few)
    made = write(
        tmp_path / "made",
        lambda ids: np.where(ids == VOID, VOID, np.where(ids == ROAD, 0, 1)).astype("u1"),
    )
    (made / "dataset.json").write_text('{"classes": ["Road", "rest"], "ignore_index": 255}')
    np.testing.assert_array_equal(merged, count(open_dataset(made), few))
    _, found = match_classes(open_dataset(data, rules=Rules(merge={"rest": (0, 1)})), few)
    assert found.model_only == ()
    assert set(found.data_only) == set(rest[2:])


@pytest.mark.parametrize(
    ("merge", "says"),
    [
        ({"rest": ("Lake",)}, "counts 'Lake' as 'rest', and the data set has no such class"),
        ({"rest": (11,)}, "counts 11 as 'rest', and the data set has no such class"),
        ({"Lake": ("Sky",)}, "makes a class 'Lake', which the model does not have"),
        ({"Road": ("Sky",), "Tree": (0,)}, "counts 'Sky' as 'Road' and as 'Tree'"),
    ],
)
def test_groups_that_do_not_fit(merge: dict, says: str, tmp_path: Path) -> None:
    data = open_dataset(write(tmp_path, **CLASSES), rules=Rules(merge=merge))
    with pytest.raises(DatasetError, match=says):
        match_classes(data, LABELS)


@pytest.mark.parametrize(
    ("values", "rule"), [((0, 200), 200), ((0, 200), [200, 7]), ((9, 255), 255)]
)
def test_foreground(values: tuple[int, int], rule: object, tmp_path: Path) -> None:
    """Every other id is the first class, whatever it is."""
    low, high = values

    def binary(ids: ClassMap) -> ClassMap:
        made = np.where(ids == ROAD, high, low).astype(np.uint8)
        made[0, 0] = 33
        return made

    data = write(tmp_path / "data", binary)
    plain = write(tmp_path / "plain", lambda ids: (ids == ROAD).astype(np.uint8))
    (plain / "dataset.json").write_text('{"classes": ["other", "Road"]}')
    expected = count(open_dataset(plain), TWO)
    found = count_both(data, {"classes": ["other", "Road"]}, {"foreground": rule}, TWO)
    np.testing.assert_array_equal(found, expected)
    found = count_both(data, {}, {"foreground": rule}, TWO)
    np.testing.assert_array_equal(found, expected)


def test_foreground_is_for_two_classes(tmp_path: Path) -> None:
    data = open_dataset(write(tmp_path, **CLASSES), rules=Rules(foreground=(255,)))
    with pytest.raises(DatasetError, match="`foreground` makes two classes .* there are 11"):
        match_classes(data, LABELS)


def test_the_hash_changes_with_each_rule(tmp_path: Path) -> None:
    data = open_dataset(write(tmp_path, **CLASSES))
    rules = [
        Rules(),
        Rules(ignore_index=(3,)),
        Rules(ignore_index=(4,)),
        Rules(reduce_labels=True),
        Rules(merge={"Road": (0, ROAD)}),
    ]
    hashes = [match_classes(replace(data, rules=rule), LABELS)[0].sha256 for rule in rules]
    assert len(set(hashes)) == len(rules)


def test_folders_by_other_names(tmp_path: Path) -> None:
    plain = count(open_dataset(write_and_name(write(tmp_path / "plain"))))
    root = write_and_name(tmp_path / "other")
    for scene in draw_scenes():
        save_image(scene, root / "test" / "photos" / f"{scene.name}.png")
        save_ids(scene.ids, root / "test" / "truth" / f"{scene.name}_x.png")
    names = {"images_dir": "photos", "masks_dir": "truth", "mask_suffix": "_x"}
    found = open_dataset(root, split="test", rules=Rules(**names))
    np.testing.assert_array_equal(count(found), plain)
    write_classes(root, **names)
    np.testing.assert_array_equal(count(open_dataset(root, split="test")), plain)
    assert open_dataset(root).split == "test"  # the only one
    (root / "test" / "photos").rename(root / "test" / "pictures")
    with pytest.raises(DatasetError, match="has no split 'test' with photos/ and truth/"):
        open_dataset(root, split="test")


def test_splits_below_the_folders(tmp_path: Path) -> None:
    plain = count(open_dataset(write_and_name(write(tmp_path / "plain"))))
    root = write_and_name(tmp_path / "below")
    for scene in draw_scenes():
        save_image(scene, root / "images" / "val" / f"{scene.name}.png")
        save_ids(scene.ids, root / "masks" / "val" / f"{scene.name}.png")
    np.testing.assert_array_equal(count(open_dataset(root, split="val")), plain)


def test_masks_beside_their_images(tmp_path: Path) -> None:
    plain = count(open_dataset(write_and_name(write(tmp_path / "plain"))))
    root = write_and_name(tmp_path / "one")
    for scene in draw_scenes():
        save_image(scene, root / f"{scene.name}.png")
        save_ids(scene.ids, root / f"{scene.name}_mask.png")
    rules = Rules(images_dir=".", masks_dir=".", mask_suffix="_mask")
    np.testing.assert_array_equal(count(open_dataset(root, rules=rules)), plain)
    with pytest.raises(DatasetError, match="holds images and masks; say with --mask-suffix"):
        open_dataset(root, rules=replace(rules, mask_suffix=None))


def test_keys_that_mean_nothing_are_named(tmp_path: Path) -> None:
    """A key of one's own, such as a license, is nobody's slip."""
    data = write(tmp_path, reduce_zero_label=True, ignore_label=3, license="MIT", **CLASSES)
    path = data / "dataset.json"
    assert open_dataset(data).notes == (
        f"{path} has the key 'ignore_label', which means nothing; did you mean 'ignore_index'?",
        (
            f"{path} has the key 'reduce_zero_label', which means nothing; did you mean "
            f"'reduce_labels'?"
        ),
    )


def test_a_form_that_nobody_knows_is_told_with_the_forms(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DatasetError) as caught:
        open_dataset(tmp_path)
    told = str(caught.value)
    assert told.startswith(
        f"data set {tmp_path} has no layout that edgeseg knows; name your folders with "
        f"--images-dir and --masks-dir. It holds notes.txt, pictures/. The layouts are cityscapes, "
    )
    assert "docs/datasets.md" in told
    assert len(told) - len(str(tmp_path)) < 400


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"reduce_labels": "yes"}, "`reduce_labels` is neither true nor false"),
        ({"ignore_index": -1}, "`ignore_index` is not a whole number of 0 to 65535"),
        ({"ignore_index": [1, "a"]}, "`ignore_index` is not a whole number"),
        ({"ignore_index": True}, "`ignore_index` is not a whole number"),
        ({"merge": ["a"]}, "`merge` is not an object such as"),
        ({"merge": {"a": []}}, "`merge` is not an object such as"),
        ({"foreground": 1.5}, "`foreground` is not a whole number"),
        ({"masks_dir": 3}, "`masks_dir` is not a text"),
    ],
)
def test_rules_of_another_form_are_refused(content: dict, says: str) -> None:
    with pytest.raises(SpecError, match=f"d.json: {says}"):
        parse_rules(content, origin="d.json")


def test_options_are_parsed() -> None:
    assert parse_ids("0,255", option="--ignore-index") == (0, 255)
    assert parse_merge(["a=1, b b,3", "c=4"]) == {"a": (1, "b b", 3), "c": (4,)}
    for wrong in ("1,x", "", "-1"):
        with pytest.raises(SpecError, match="--ignore-index '.*' is not a whole number"):
            parse_ids(wrong, option="--ignore-index")
    for wrong in ("a", "=1", "a=", "a=1,,2"):
        with pytest.raises(SpecError, match="--merge '.*' is not CLASS=ID,ID"):
            parse_merge([wrong])
