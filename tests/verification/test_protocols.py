from __future__ import annotations

import sys
import tracemalloc
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from published_protocols import (
    CASES,
    RUN_HERE,
    SMALL,
    Case,
    Convolution,
    _assert_equal_but_for_ties,
    _literal,
    _photo,
)

from edgeseg.errors import BackendError, MissingPackageError, SpecError
from edgeseg.pixels import Bgr, Logits, to_mask
from edgeseg.spec import InputSpec, Upsampling
from edgeseg.verification.protocols import (
    Settings,
    rescale_size,
    segment_by,
)


@pytest.mark.parametrize("protocol", RUN_HERE)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_masks_equal_a_literal_run_of_the_protocol(case: Case, protocol: str) -> None:
    frame = _photo(*case.frame)
    mask = segment_by(protocol, Convolution(), frame, short_px=case.short_px, settings=SMALL)
    scores = _literal(protocol, Convolution(), frame, case.short_px, SMALL)
    assert mask.dtype == np.uint8
    _assert_equal_but_for_ties(mask, scores)


@pytest.mark.parametrize("protocol", RUN_HERE)
def test_a_network_that_aligns_corners_does_so_to_the_windows_size(protocol: str) -> None:
    spec = InputSpec(height=64, width=64, upsampling=Upsampling.ALIGN_CORNERS)
    frame = _photo(140, 83)
    mask = segment_by(protocol, Convolution(input=spec), frame, short_px=64, settings=SMALL)
    _assert_equal_but_for_ties(mask, _literal(protocol, Convolution(input=spec), frame, 64, SMALL))
    assert (mask != segment_by(protocol, Convolution(), frame, short_px=64, settings=SMALL)).any()


@examples(max_examples=60, deadline=None)
@given(
    protocol=st.sampled_from(RUN_HERE),
    frame=st.tuples(st.integers(20, 150), st.integers(20, 150)),
    short_px=st.integers(20, 100),
    stride_px=st.integers(20, 64),
    ratios=st.lists(st.sampled_from([0.5, 0.75, 0.9, 1.0, 1.3]), min_size=1, max_size=2),
)
def test_masks_equal_a_literal_run_with_any_numbers(
    protocol: str,
    frame: tuple[int, int],
    short_px: int,
    stride_px: int,
    ratios: list[float],
) -> None:
    settings = Settings(long_px=128, window_px=64, stride_px=stride_px, ratios=tuple(ratios))
    mask = segment_by(protocol, Convolution(), _photo(*frame), short_px=short_px, settings=settings)
    scores = _literal(protocol, Convolution(), _photo(*frame), short_px, settings)
    _assert_equal_but_for_ties(mask, scores)


def test_the_published_windows_and_ratios_are_used_unless_others_are_given() -> None:
    """At Cityscapes' own size, and mirrored at six sizes."""
    frame = _photo(1024, 2048)
    network = Convolution(classes=2)
    mask = segment_by("slide", network, frame, short_px=1024)
    assert network.inputs == [(1024, 1024)] * 3  # at 0, 768 and 1024
    _assert_equal_but_for_ties(mask, _literal("slide", Convolution(classes=2), frame, 1024))
    network = Convolution(classes=2)
    segment_by("ms-flip", network, _photo(60, 80), short_px=64)
    six = [(32, 43), (48, 64), (64, 85), (80, 107), (96, 128), (112, 149)]
    assert network.inputs == [size for size in six for _ in range(2)]


class Pair(Convolution):
    """One logit behind another that is 0, less what a threshold shifts it."""

    def __init__(self, threshold: float = 0.5) -> None:
        super().__init__(classes=1)
        self.classes = 2
        self.shift = np.float32(np.log(threshold / (1 - threshold)))

    def logits(self, image: Bgr, /) -> Logits:
        logit = super().logits(image)
        return np.concatenate([np.zeros_like(logit), logit - self.shift], axis=1)


@pytest.mark.parametrize("protocol", RUN_HERE)
def test_one_logits_mean_probability_is_compared_with_the_threshold(protocol: str) -> None:
    """mmsegmentation averages sigmoids over views; logits of windows of one view before that."""
    frame, settings = _photo(97, 131), replace(SMALL, ratios=(0.75, 1.25))
    mask = segment_by(protocol, Pair(0.3), frame, short_px=64, settings=settings, threshold=0.3)
    scores = _literal(protocol, Pair(), frame, 64, settings)
    foreground = scores[1] if protocol.endswith("ms-flip") else scores.softmax(dim=0)[1]
    _assert_equal_but_for_ties(mask, torch.stack([torch.full((97, 131), 0.3), foreground]))
    assert 0.02 < mask.mean() < 0.98
    unweighted = segment_by(protocol, Pair(0.3), frame, short_px=64, settings=settings)
    assert (unweighted != mask).any() == protocol.endswith("ms-flip")


@pytest.mark.parametrize("protocol", ["keep", "slide"])
def test_one_step_to_the_frames_size_is_another_mask(protocol: str) -> None:
    """The tests above would tell a shortcut from the published two steps."""
    frame = _photo(140, 83)
    mask = segment_by(protocol, Convolution(), frame, short_px=64, settings=SMALL)
    height, width = rescale_size(140, 83, short_px=64, long_px=128)
    logits = Convolution().logits(cv2.resize(frame, (width, height)))
    assert (to_mask(logits, height=140, width=83) != mask).mean() > 0.01


def test_protocols_differ_from_each_other() -> None:
    frame = _photo(200, 240)
    masks = [
        segment_by(protocol, Convolution(), frame, short_px=120, settings=SMALL)
        for protocol in RUN_HERE
    ]
    for index, mask in enumerate(masks):
        for other in masks[:index]:
            assert (mask != other).any()


def test_more_classes_than_a_byte_holds_have_wide_ids() -> None:
    frame = _photo(40, 50)
    for protocol in RUN_HERE:
        mask = segment_by(protocol, Convolution(classes=300), frame, short_px=32, settings=SMALL)
        assert mask.dtype == np.uint16


@pytest.mark.parametrize("protocol", RUN_HERE)
def test_the_frame_stays_as_it_was(protocol: str) -> None:
    frame = _photo(64, 128)
    frame.flags.writeable = False
    segment_by(protocol, Convolution(), frame, short_px=64, settings=SMALL)


@pytest.mark.parametrize("protocol", RUN_HERE)
def test_one_array_of_the_logits_size_is_held(protocol: str) -> None:
    """Softmax, flip and sum of whole arrays would take four."""
    network = Convolution(classes=150)
    settings = Settings(long_px=800, window_px=256, stride_px=192, ratios=(1.0, 1.5))
    size = 4 * 150 * 300 * 400
    segment_by(protocol, network, _photo(30, 40), short_px=30, settings=settings)  # warm
    tracemalloc.start()
    segment_by(protocol, network, _photo(300, 400), short_px=300, settings=settings)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Beside it: at a ratio of 1.5 the quarter-size logits of two views, 14 % each and a little more
    # where windows overlap, and blocks.
    assert peak < 1.9 * size


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("protocol", RUN_HERE)
def test_logits_that_are_not_finite_are_refused(protocol: str, value: float) -> None:
    network = Convolution()
    network.weight[2, 1, 3, 3] = value
    with pytest.raises(BackendError, match="bundle street gave logits that are not finite"):
        segment_by(protocol, network, _photo(64, 128), short_px=64, settings=SMALL)


@pytest.mark.parametrize("protocol", RUN_HERE)
def test_a_class_that_is_switched_off_wins_nowhere(protocol: str) -> None:
    class Switched(Convolution):
        def logits(self, image: Bgr, /) -> Logits:
            logits = super().logits(image)
            logits[:, 3] = -np.inf
            return logits

    frame = _photo(97, 131)
    masks = [
        segment_by(protocol, network, frame, short_px=64, settings=SMALL)
        for network in (Convolution(), Switched())
    ]
    assert (masks[0] == 3).any()
    assert not (masks[1] == 3).any()


@pytest.mark.parametrize("protocol", ["ss", "whole"])
def test_a_protocol_that_is_not_run_here_is_refused(protocol: str) -> None:
    with pytest.raises(SpecError, match=f"no protocol '{protocol}'.*keep, slide, ms-flip"):
        segment_by(protocol, Convolution(), _photo(64, 64), short_px=64)


def test_a_missing_opencv_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'edgeseg\[opencv\]'"):
        segment_by("keep", Convolution(), _photo(64, 64), short_px=64)
