"""Every figure of a report once more, by a library that shares no line with edgeseg's counting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, jaccard_score

from edgeseg.accuracy.counts import Counts, Masks
from edgeseg.datasets import open_dataset
from edgeseg.images import read_mask
from edgeseg.labels import Labels, get_known_labels
from edgeseg.verification.findings import make_accuracy_fields


def counted(images: Sequence[Masks], labels: Labels) -> dict:
    counts = Counts(labels, ignore_index=labels.ignore_index)
    for masks in images:
        counts.add(masks)
    return make_accuracy_fields(counts)


def flat(images: Sequence[Masks], labels: Labels) -> tuple[np.ndarray, ...]:
    """Truth, reference and candidate of all labelled pixels, one after another."""
    whole = [np.concatenate([np.asarray(m[i]).ravel() for m in images]) for i in range(3)]
    labelled = whole[0] != labels.ignore_index
    return tuple(part[labelled] for part in whole)


def assert_equal_to_oracle(images: Sequence[Masks], labels: Labels) -> None:
    found = counted(images, labels)
    truth, reference, candidate = flat(images, labels)
    ids = list(range(len(labels.classes)))
    for key, predicted in (("confusion", candidate), ("reference_confusion", reference)):
        np.testing.assert_array_equal(found[key], confusion_matrix(truth, predicted, labels=ids))
    for key, predicted in (("iou", candidate), ("reference_iou", reference)):
        occurring = sorted(set(np.unique(truth)) | set(np.unique(predicted)))
        scores = 100 * jaccard_score(truth, predicted, labels=occurring, average=None)
        own = {place: getattr(c, key) for place, c in enumerate(found["classes"])}
        assert sorted(place for place, value in own.items() if value is not None) == occurring
        np.testing.assert_allclose([own[place] for place in occurring], scores)
        miou = found["miou" if key == "iou" else "reference_miou"]
        assert miou == pytest.approx(float(np.mean(scores)))
    assert found["drop"] == pytest.approx(found["reference_miou"] - found["miou"])
    everywhere = [np.concatenate([np.asarray(m[i]).ravel() for m in images]) for i in (1, 2)]
    assert found["pixel_agreement"] == pytest.approx(100 * accuracy_score(*everywhere))
    both = sorted(set(np.unique(everywhere[0])) | set(np.unique(everywhere[1])))
    scores = 100 * jaccard_score(*everywhere, labels=both, average="macro")
    assert found["agreement_iou"] == pytest.approx(float(scores))


def neighbors(masks: Sequence[np.ndarray], ignored: int) -> Iterator[Masks]:
    """The truth of a drive, and two models that see it late: by four pixels, and by a frame."""
    for before, now in pairwise(masks):
        shifted = np.roll(now, 4, axis=1)
        late = np.where(before == ignored, 0, before)
        yield Masks(now, np.where(shifted == ignored, 0, shifted), late)


def test_camvid_masks(camvid: Path) -> None:
    dataset = open_dataset(camvid, split="test").take_evenly(25)
    masks = [sample.mask for sample in dataset]
    assert dataset.labels is not None
    assert_equal_to_oracle(list(neighbors(masks, dataset.labels.ignore_index)), dataset.labels)


def test_the_published_predictions_of_ade20k(shared: Path, tmp_path: Path) -> None:
    """Three images with masks and predictions as they were published, and the same moved down."""
    sample = shared / "data" / "ade20k_sample" / "sampleData"
    for part in ("images", "annotations"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "validation").symlink_to(sample / part)
    images = []
    for item in open_dataset(f"ade20k:{tmp_path}").items:
        published = read_mask(sample / "predictions" / f"{item.name}.png").astype(int)
        predicted = np.maximum(published - 1, 0)  # 0 is "none" there, which a model never says
        images.append(Masks(item.read().mask, predicted, np.roll(predicted, 3, axis=0)))
    assert_equal_to_oracle(images, get_known_labels("ade20k"))
    found = counted(images, get_known_labels("ade20k"))
    assert found["miou"] < found["reference_miou"]
