"""The sizes that images are rescaled to, and the windows over them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from published_protocols import Convolution, _photo

from edgeseg.errors import SpecError
from edgeseg.pixels import Bgr, Logits
from edgeseg.pixels.windows import list_windows
from edgeseg.verification.protocols import (
    PUBLISHED,
    Settings,
    rescale_size,
)
from edgeseg.verification.windows import look_through


@pytest.mark.parametrize(
    ("frame", "short_px", "rescaled"),
    [
        ((1024, 2048), 1024, (1024, 2048)),
        ((512, 683), 512, (512, 683)),
        ((480, 640), 512, (512, 683)),
        ((640, 480), 512, (683, 512)),
        ((300, 3000), 512, (205, 2048)),  # 204.8
        ((64, 99), 32, (32, 50)),  # 49.5
        ((2048, 2048), 4096, (2048, 2048)),  # imrescale takes the larger limit for the long side
        ((1, 9000), 512, (1, 2048)),  # 0.2
    ],
    ids=str,
)
def test_images_are_rescaled_within_two_limits(
    frame: tuple[int, int], short_px: int, rescaled: tuple[int, int]
) -> None:
    assert rescale_size(*frame, short_px=short_px) == rescaled


def test_the_limits_are_rounded_down_after_the_ratio() -> None:
    """Of 101 pixels, 75 % are 75."""
    assert rescale_size(200, 200, short_px=101, ratio=0.75) == (75, 75)


@examples(max_examples=200)
@given(length=st.integers(1, 5000), window_px=st.integers(1, 1500), stride=st.integers(1, 1500))
def test_windows_cover_each_side_and_lie_inside(length: int, window_px: int, stride: int) -> None:
    stride_px = min(stride, window_px)
    found = list_windows(length, window_px=window_px, stride_px=stride_px)
    assert {len(window) for window in found} == {min(window_px, length)}
    assert found[0].start == 0
    assert found[-1].stop == length
    for before, after in pairwise(found):
        assert before.start < after.start <= before.stop
        assert after.start - before.start <= stride_px
    # As many as mmsegmentation's formula has.
    assert len(found) == max(length - window_px + stride_px - 1, 0) // stride_px + 1


def test_windows_of_the_published_size_on_cityscapes() -> None:
    published = {"window_px": PUBLISHED.window_px, "stride_px": PUBLISHED.stride_px}
    assert list_windows(1024, **published) == [range(1024)]
    assert list_windows(2048, **published) == [range(1024), range(768, 1792), range(1024, 2048)]


def test_a_pixel_is_the_mean_of_the_windows_that_see_it() -> None:
    """A network that answers with its turn: 1, 2, 3 and so on."""

    class Turn(Convolution):
        def logits(self, image: Bgr, /) -> Logits:
            self.inputs.append(image.shape[:2])
            return np.full((1, 1, 2, 2), len(self.inputs), np.float32)

    view = look_through(Turn(), _photo(4, 10), window_px=4, stride_px=3)
    row = [1, 1, 1, 1.5, 2, 2, 2.5, 3, 3, 3]
    np.testing.assert_allclose(view.all_rows()[0], [row] * 4)
    view = look_through(Turn(), _photo(6, 4), window_px=4, stride_px=3)
    column = [1, 1, 1.5, 1.5, 2, 2]
    np.testing.assert_allclose(view.all_rows()[0], np.transpose([column] * 4))
    np.testing.assert_allclose(view.rows(range(2, 4)), view.all_rows()[:, 2:4])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"stride_px": 1025}, "at strides of 1 to 1024, got 1025"),
        ({"stride_px": 0}, "at strides of 1 to 1024, got 0"),
        ({"ratios": ()}, "ratios above 0"),
        ({"ratios": (1.0, 0.0)}, "ratios above 0"),
    ],
)
def test_numbers_that_cannot_be_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Settings(**wrong)
