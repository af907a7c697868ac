"""No other truth than the user's: how the ids in masks are read, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from edgeseg.accuracy.metrics import confusion
from edgeseg.datasets import Dataset, match_classes, open_dataset
from edgeseg.errors import DatasetError, SpecError
from edgeseg.labels import Labels, parse_labels

SIZE = (6, 8)
TWO = parse_labels({"classes": ["other", "road"]}, origin="test")


def write(folder: Path, masks: list[np.ndarray], **said: object) -> Path:
    """A folder of images and masks; a dataset.json where something is said."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for place, mask in enumerate(masks):
        name = f"{place:03d}.png"
        Image.new("RGB", mask.shape[::-1]).save(folder / "images" / name)
        Image.fromarray(mask.astype(np.uint8)).save(folder / "masks" / name)
    if said:
        (folder / "dataset.json").write_text(json.dumps(said))
    return folder


def halves(low: int, high: int) -> np.ndarray:
    mask = np.full(SIZE, low, np.uint8)
    mask[:, 4:] = high
    return mask


def read(folder: Path, labels: Labels = TWO, *, reduce_labels: bool = False) -> Dataset:
    return match_classes(open_dataset(folder), labels, reduce_labels=reduce_labels)[0]


def ids(dataset: Dataset) -> list[list[int]]:
    return [np.unique(sample.mask).tolist() for sample in dataset]


NAMES = {"classes": ["other", "road"]}
READ = "255 is read as 'road', not as ignored"


@pytest.mark.parametrize(
    "said", [{}, NAMES, {**NAMES, "ignore_index": 7}], ids=["nothing", "names", "another ignored"]
)
def test_black_and_white_masks_are_two_classes_and_that_is_said(
    said: dict[str, object], tmp_path: Path
) -> None:
    dataset = read(write(tmp_path / "d", [halves(0, 255), halves(0, 0)], **said))
    assert ids(dataset) == [[0, 1], [0]]
    (note,) = dataset.notes
    assert READ in note


def test_white_is_ignored_where_the_data_set_says_so(tmp_path: Path) -> None:
    dataset = read(write(tmp_path / "d", [halves(0, 255)], **NAMES, ignore_index=255))
    assert ids(dataset) == [[0, 255]]
    assert dataset.notes == ()


@pytest.mark.parametrize(
    "masks",
    [
        [halves(0, 1), halves(0, 255)],
        [halves(0, 255)] * 39 + [halves(1, 255)],
        [halves(0, 0)],
        [halves(255, 255)],
    ],
    ids=["both kinds", "a late one", "black only", "white only"],
)
def test_what_is_not_black_and_white_is_read_as_ever(
    masks: list[np.ndarray], tmp_path: Path
) -> None:
    """255 is ignored where 1 occurs; the last of 40 masks is among those that are looked at."""
    dataset = read(write(tmp_path / "d", masks))
    assert dataset.notes == ()
    assert ids(dataset) == [np.unique(mask).tolist() for mask in masks]


@pytest.mark.parametrize("index", [-1, 70000, 255.0, True, "x"])
def test_an_ignore_index_that_no_mask_can_hold_is_refused(index: object, tmp_path: Path) -> None:
    folder = write(tmp_path / "d", [halves(0, 1)], **NAMES, ignore_index=index)
    with pytest.raises(SpecError, match="ignore"):
        open_dataset(folder)


def test_three_classes_may_be_black_and_white_by_chance(tmp_path: Path) -> None:
    three = parse_labels({"classes": ["a", "b", "c"]}, origin="test")
    dataset = read(write(tmp_path / "d", [halves(0, 255)]), three)
    assert (ids(dataset), dataset.notes) == ([[0, 255]], ())


def test_a_mask_that_contradicts_the_others_is_named_with_the_option(tmp_path: Path) -> None:
    """Some masks are looked at before; every mask is when it is read."""
    masks = [halves(0, 255)] * 40
    masks[31] = halves(0, 1)
    folder = write(tmp_path / "d", masks)
    items = read(folder).items
    assert np.unique(items[0].read().mask).tolist() == [0, 1]
    with pytest.raises(DatasetError) as caught:
        items[31].read()
    assert str(folder / "masks" / "031.png") in str(caught.value)
    assert '"ignore_index": 255 in dataset.json' in str(caught.value)


def test_a_part_of_the_items_is_read_as_the_whole(tmp_path: Path) -> None:
    """A share of the images, which a worker counts, has no say of its own."""
    masks = [halves(0, 0), halves(0, 255), halves(0, 255)]
    whole = read(write(tmp_path / "d", masks))
    assert [item.reading for item in whole.items] == [whole.items[0].reading] * 3
    assert np.unique(whole.items[2].read().mask).tolist() == [0, 1]


@settings(deadline=None, max_examples=25)
@given(
    masks=st.lists(hnp.arrays(np.uint8, SIZE, elements=st.integers(0, 1)), min_size=1, max_size=4),
    predicted=hnp.arrays(np.uint8, SIZE, elements=st.integers(0, 1)),
)
def test_black_and_white_counts_what_0_and_1_count(
    masks: list[np.ndarray], predicted: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> None:
    masks = [*masks, halves(0, 1)]
    folder = tmp_path_factory.mktemp("data")
    plain = read(write(folder / "plain", masks))
    painted = read(write(folder / "painted", [255 * mask for mask in masks]))
    for one, other in zip(plain, painted, strict=True):
        counts = [
            confusion(sample.mask, predicted, classes=2, ignore_index=TWO.ignore_index)
            for sample in (one, other)
        ]
        np.testing.assert_array_equal(*counts)


@settings(deadline=None, max_examples=25)
@given(mask=hnp.arrays(np.uint8, SIZE, elements=st.sampled_from([*range(5), 255])))
def test_reduced_labels_are_those_of_transformers(
    mask: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from transformers import SegformerImageProcessorPil

    processor = SegformerImageProcessorPil(do_reduce_labels=True, do_resize=False)
    image = np.zeros((*SIZE, 3), np.uint8)
    theirs = processor(image, segmentation_maps=mask, return_tensors="np")["labels"][0]
    four = parse_labels({"classes": list("abcd")}, origin="test")
    folder = write(tmp_path_factory.mktemp("data") / "d", [mask])
    (sample,) = read(folder, four, reduce_labels=True)
    np.testing.assert_array_equal(sample.mask, theirs)


def test_reduced_labels_are_said(tmp_path: Path) -> None:
    dataset = read(write(tmp_path / "d", [halves(1, 2)]), reduce_labels=True)
    (note,) = dataset.notes
    assert "do_reduce_labels" in note
    assert "0 is ignored and 1 is 'other'" in note
    with pytest.raises(DatasetError, match="holds the id 3, but .* has 2 classes"):
        read(write(tmp_path / "e", [halves(1, 3)]), reduce_labels=True).items[0].read()


def test_names_in_a_data_set_say_more_than_a_checkpoint(tmp_path: Path) -> None:
    """Its ids were said: reducing them would shift twice what names have shifted already."""
    folder = write(tmp_path / "d", [halves(1, 2)], classes=["void", "other", "road"])
    dataset = read(folder, reduce_labels=True)
    assert ids(dataset) == [[0, 1]]
    (note,) = dataset.notes
    assert "read as dataset.json names them, and not reduced" in note


def test_a_published_data_set_is_shifted_once(tmp_path: Path) -> None:
    for part, mode, value in (("images", "RGB", (0, 0, 0)), ("annotations", "L", 150)):
        place = tmp_path / part / "validation"
        place.mkdir(parents=True)
        Image.new(mode, SIZE[::-1], value).save(place / f"a.{'jpg' if mode == 'RGB' else 'png'}")
    dataset = open_dataset(f"ade20k:{tmp_path}")
    assert dataset.labels is not None
    matched, _ = match_classes(dataset, dataset.labels, reduce_labels=True)
    assert (ids(matched), matched.notes) == ([[149]], ())
