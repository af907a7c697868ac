from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from torch_masks import assert_equals_torch, random_logits

from edgeseg.datasets import open_dataset
from edgeseg.errors import BackendError, MissingPackageError
from edgeseg.pixels import (
    Planes,
    fit_size,
    measure_coverage,
    resize_by_opencv,
    resize_logits,
    resize_rows,
    to_input,
    to_mask,
)
from edgeseg.spec import Aspect, InputSpec, Resize


@dataclass(frozen=True, kw_only=True)
class Case:
    name: str
    classes: int
    logits: tuple[int, int]
    output: tuple[int, int]


CASES = [
    Case(name="square, 4x", classes=19, logits=(32, 32), output=(128, 128)),
    Case(name="150 classes, 4x", classes=150, logits=(64, 64), output=(256, 256)),
    Case(name="camera, not a multiple", classes=11, logits=(90, 120), output=(720, 1280)),
    Case(name="odd", classes=21, logits=(25, 33), output=(97, 131)),
    Case(name="down", classes=7, logits=(90, 120), output=(37, 50)),
    Case(name="up and down", classes=7, logits=(40, 20), output=(17, 211)),
    Case(name="same size", classes=5, logits=(33, 21), output=(33, 21)),
    Case(name="same height", classes=5, logits=(33, 21), output=(33, 84)),
    Case(name="two classes", classes=2, logits=(16, 16), output=(67, 45)),
    Case(name="more than a byte holds", classes=300, logits=(16, 16), output=(64, 64)),
    Case(name="as many as a byte holds", classes=256, logits=(8, 8), output=(32, 32)),
    Case(name="one more than a byte holds", classes=257, logits=(8, 8), output=(32, 32)),
    Case(name="far from the origin", classes=3, logits=(300, 301), output=(1001, 1003)),
    Case(name="one row", classes=3, logits=(1, 8), output=(5, 31)),
    Case(name="far up", classes=4, logits=(2, 2), output=(301, 200)),
]


@pytest.mark.parametrize("smooth", [True, False], ids=["smooth", "noise"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_masks_equal_torchs_interpolate_and_argmax(case: Case, smooth: bool) -> None:
    logits = random_logits(case.classes, case.logits, seed=3, smooth=smooth)
    assert_equals_torch(logits, *case.output)


@settings(max_examples=60, deadline=None)
@given(
    classes=st.integers(2, 40),
    logits=st.tuples(st.integers(1, 24), st.integers(1, 24)),
    output=st.tuples(st.integers(1, 120), st.integers(1, 120)),
    scale=st.floats(0.01, 100),
    seed=st.integers(0, 1000),
)
def test_masks_equal_torchs_at_any_size(
    classes: int, logits: tuple[int, int], output: tuple[int, int], scale: float, seed: int
) -> None:
    drawn = scale * random_logits(classes, logits, seed=seed, smooth=bool(seed % 2))
    assert_equals_torch(drawn, *output)


@settings(max_examples=40, deadline=None)
@given(
    copies=st.integers(2, 12),
    lowered=st.floats(0, 3),
    noise=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
def test_classes_that_follow_each_other_equal_torchs(
    copies: int, lowered: float, noise: float, seed: int
) -> None:
    """Most are below another class at each corner of a cell, some at all corners but one."""
    own = random_logits(4, (12, 15), seed=seed, smooth=True)
    apart = noise * random_logits(4 * copies, (12, 15), seed=seed + 1, smooth=bool(seed % 2))
    followers = own.repeat(1, copies, 1, 1) + apart - lowered
    order = torch.randperm(4 * (copies + 1), generator=torch.Generator().manual_seed(seed))
    assert_equals_torch(torch.cat([own, followers], dim=1)[:, order].contiguous(), 61, 83)


def test_ties_go_to_the_lower_id() -> None:
    logits = np.zeros((1, 4, 3, 3), np.float32)
    logits[0, 1:3] = 5
    np.testing.assert_array_equal(to_mask(logits, height=9, width=7), 1)
    np.testing.assert_array_equal(to_mask(logits, height=3, width=3), 1)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("size", [(12, 12), (3, 3)], ids=str)
def test_logits_that_are_not_finite_are_refused(value: float, size: tuple[int, int]) -> None:
    logits = np.zeros((1, 4, 3, 3), np.float32)
    logits[0, 2, 1, 1] = value
    with pytest.raises(BackendError, match="not finite"):
        to_mask(logits, height=size[0], width=size[1])


def test_a_class_that_is_switched_off_wins_nowhere() -> None:
    """Minus infinity, alone or for all classes of a place: an id all the same, never rubbish."""
    logits = np.random.default_rng(0).normal(size=(1, 5, 8, 8)).astype(np.float32)
    logits[0, 3] = -np.inf
    assert not (to_mask(logits, height=37, width=41) == 3).any()
    logits[0, :, 2:4, 2:4] = -np.inf
    logits[0, 1, 2:4, 2] = logits[0, 2, 2:4, 3] = 0.5  # one on the left, one on the right
    assert set(np.unique(to_mask(logits, height=37, width=41))) <= {0, 1, 2, 4}


def test_a_class_that_wins_at_no_logit_wins_between_them() -> None:
    """Pruning by the winners at the corners would miss it."""
    logits = np.array([[[[10, 0]], [[0, 10]], [[7, 7]]]], np.float32)  # (1, 3, 1, 2)
    assert 2 in to_mask(logits, height=1, width=8)
    assert_equals_torch(torch.from_numpy(logits), 1, 8)


@pytest.mark.parametrize("output", [(360, 480), (720, 960), (1080, 1920), (181, 333)], ids=str)
def test_masks_of_the_camvid_model_equal_torchs(
    camvid_weights: Path, camvid: Path, output: tuple[int, int]
) -> None:
    from edgeseg.export.checkpoint import read_checkpoint
    from edgeseg.export.reference import normalize

    checkpoint = read_checkpoint(str(camvid_weights))
    for item in open_dataset(camvid, split="test").items[::50]:
        frame = to_input(item.image(), checkpoint.input)
        logits = checkpoint.model(normalize(frame, checkpoint.input))
        assert_equals_torch(logits, *output)


def test_a_share_of_the_logits_is_that_part_alone() -> None:
    """With half the area covered, the mask is that of the upper left quarter, but at its border."""
    logits = random_logits(6, (16, 24), seed=1, smooth=True)
    quarter = logits[:, :, :8, :12].contiguous()
    whole = to_mask(logits.numpy(), height=64, width=96, share=(0.5, 0.5))
    alone = to_mask(quarter.numpy(), height=64, width=96)
    # The last half cell looks beyond the quarter.
    np.testing.assert_array_equal(whole[:60, :92], alone[:60, :92])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_resized_logits_equal_torchs(case: Case) -> None:
    logits = random_logits(case.classes, case.logits, seed=3, smooth=False)
    _assert_resized_as_torch(logits, *case.output)


@settings(max_examples=60, deadline=None)
@given(
    classes=st.integers(1, 12),
    logits=st.tuples(st.integers(1, 24), st.integers(1, 24)),
    output=st.tuples(st.integers(1, 120), st.integers(1, 120)),
    scale=st.floats(0.01, 100),
    seed=st.integers(0, 1000),
)
def test_resized_logits_equal_torchs_at_any_size(
    classes: int, logits: tuple[int, int], output: tuple[int, int], scale: float, seed: int
) -> None:
    drawn = scale * random_logits(classes, logits, seed=seed, smooth=bool(seed % 2))
    _assert_resized_as_torch(drawn, *output)


@settings(max_examples=40, deadline=None)
@given(
    logits=st.integers(1, 30),
    height=st.integers(1, 90),
    cut=st.tuples(st.integers(0, 90), st.integers(0, 90)),
)
def test_some_rows_of_resized_logits_are_those_of_all(
    logits: int, height: int, cut: tuple[int, int]
) -> None:
    """To the bit: blocks of rows leave no seams."""
    planes = random_logits(3, (logits, 7), seed=1, smooth=False)[0].numpy()
    rows = range(min(*cut, height), min(max(cut), height))
    some = resize_logits(planes, height=height, width=20, rows=rows)
    every = resize_logits(planes, height=height, width=20)
    np.testing.assert_array_equal(some, every[:, rows.start : rows.stop])


def test_resized_logits_share_no_memory_with_the_networks() -> None:
    planes = np.zeros((2, 3, 4), np.float32)
    assert not np.shares_memory(resize_logits(planes, height=3, width=4), planes)


@pytest.mark.parametrize(
    ("middle", "output"),
    [((40, 60), (31, 47)), ((40, 60), (90, 131)), ((40, 60), (40, 60)), ((40, 60), (40, 99))],
    ids=str,
)
def test_two_resizings_need_not_meet_as_a_whole(
    middle: tuple[int, int], output: tuple[int, int]
) -> None:
    planes = random_logits(3, (11, 13), seed=1, smooth=False)[0].numpy()
    whole = resize_logits(planes, height=middle[0], width=middle[1])
    expected = resize_logits(whole, height=output[0], width=output[1])
    asked = []

    def read(rows: range) -> Planes:
        asked.append(rows)
        return resize_logits(planes, height=middle[0], width=middle[1], rows=rows)

    blocks = [range(start, min(start + 8, output[0])) for start in range(0, output[0], 8)]
    found = [
        resize_rows(read, of=middle[0], height=output[0], width=output[1], rows=rows)
        for rows in blocks
    ]
    np.testing.assert_array_equal(np.concatenate(found, axis=1), expected)
    assert len(asked) == len(blocks)
    # Eight rows of the output, at this scale, and one on each side.
    assert max(len(rows) for rows in asked) <= 8 * max(1, middle[0] / output[0]) + 2


@pytest.mark.parametrize("size", [(512, 512), (96, 128), (600, 700)], ids=str)
@pytest.mark.parametrize("frame_size", [(480, 640), (97, 131), (512, 512)], ids=str)
def test_resizing_equals_pillows(size: tuple[int, int], frame_size: tuple[int, int]) -> None:
    from PIL import Image

    frame = _random_frame(*frame_size)
    spec = InputSpec(height=size[0], width=size[1])
    rgb = Image.fromarray(frame[:, :, ::-1].copy())
    expected = np.asarray(rgb.resize((size[1], size[0]), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(to_input(frame, spec)[0], expected[:, :, ::-1])


@pytest.mark.parametrize("frame_size", [(480, 640), (720, 1280), (97, 131)], ids=str)
def test_preprocessing_equals_hugging_faces_image_processor(frame_size: tuple[int, int]) -> None:
    """To within one step of uint8, before normalization."""
    from transformers import SegformerImageProcessorPil

    frame = _random_frame(*frame_size)
    spec = InputSpec(height=256, width=320)
    processor = SegformerImageProcessorPil(size={"height": 256, "width": 320})
    theirs = processor(frame[:, :, ::-1].copy(), return_tensors="np")["pixel_values"][0]
    bytes_rgb = 255 * (theirs.transpose(1, 2, 0) * np.array(spec.std) + np.array(spec.mean))
    ours = to_input(frame, spec)[0, :, :, ::-1].astype(np.float64)
    assert np.abs(ours - bytes_rgb).max() <= 1


def test_opencvs_rule_equals_opencv() -> None:
    import cv2

    spec = InputSpec(height=96, width=128, resize=Resize.OPENCV_BILINEAR)
    frame = _random_frame(480, 640)
    expected = cv2.resize(frame, (128, 96), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(to_input(frame, spec)[0], expected)


def test_a_missing_opencv_is_told_with_the_command_that_brings_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingPackageError, match=r"needs OpenCV.*pip install 'edgeseg\[opencv\]'"):
        resize_by_opencv(_random_frame(8, 8), height=4, width=4)


@pytest.mark.parametrize(
    ("frame_size", "fitted"),
    [
        ((480, 640), (96, 128)),
        ((100, 400), (32, 128)),
        ((400, 100), (96, 24)),
        ((100, 401), (32, 128)),  # 31.9
        ((401, 100), (96, 24)),  # 23.9
        ((1, 999), (1, 128)),
    ],
)
def test_a_kept_aspect_is_padded_with_the_mean(
    frame_size: tuple[int, int], fitted: tuple[int, int]
) -> None:
    spec = InputSpec(height=96, width=128, aspect=Aspect.KEEP, mean=(0.2, 0.4, 0.6))
    assert fit_size(*frame_size, spec) == fitted
    assert measure_coverage(*frame_size, spec) == (fitted[0] / 96, fitted[1] / 128)
    prepared = to_input(_random_frame(*frame_size), spec)
    assert prepared.shape == (1, 96, 128, 3)
    assert prepared.dtype == np.uint8
    mean_bgr = [153, 102, 51]
    np.testing.assert_array_equal(
        prepared[0, fitted[0] :], np.full((96 - fitted[0], 128, 3), mean_bgr)
    )
    np.testing.assert_array_equal(
        prepared[0, :, fitted[1] :], np.full((96, 128 - fitted[1], 3), mean_bgr)
    )


def test_a_mean_that_no_pixel_can_have_pads_with_the_nearest_that_can() -> None:
    spec = InputSpec(height=96, width=128, aspect=Aspect.KEEP, mean=(-0.1, 0.4, 1.2))
    padded = to_input(np.zeros((96, 64, 3), np.uint8), spec)
    assert padded[0, 0, 127].tolist() == [255, 102, 0]  # blue first


def test_preparing_leaves_the_frame_as_it_was() -> None:
    frame = _random_frame(50, 70)
    before = frame.copy()
    to_input(frame, InputSpec(height=64, width=64))
    np.testing.assert_array_equal(frame, before)


def _random_frame(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _assert_resized_as_torch(logits: torch.Tensor, height: int, width: int) -> None:
    """To within float32's rounding of four products, and of positions that grow with the size."""
    resized = functional.interpolate(logits, (height, width), mode="bilinear", align_corners=False)
    found = resize_logits(logits[0].numpy(), height=height, width=width)
    assert found.dtype == np.float32
    allowed = (4e-7 + 2.4e-7 * max(logits.shape[2:])) * float(logits.abs().max())
    np.testing.assert_allclose(found, resized[0].numpy(), rtol=0, atol=allowed)
