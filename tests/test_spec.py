from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg.errors import SpecError
from edgeseg.segformer.arch import VARIANTS
from edgeseg.spec import InputSpec, check_number, check_size


@given(height=st.integers(64, 5000), width=st.integers(64, 5000))
def test_feature_sizes_are_what_the_convolutions_make(height: int, width: int) -> None:
    """Convolution arithmetic: floor((n + 2 * padding - kernel) / stride) + 1."""
    expected = []
    h, w = height, width
    for kernel, stride in ((7, 4), (3, 2), (3, 2), (3, 2)):
        h, w = ((n + 2 * (kernel // 2) - kernel) // stride + 1 for n in (h, w))
        expected.append((h, w))
    assert VARIANTS["b0"].encoder.compute_sizes(height, width) == tuple(expected)


@pytest.mark.parametrize("size", [(31, 32), (32, 31), (0, 512), (-1, 64)])
def test_a_size_below_32_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(SpecError, match="at least 32x32"):
        InputSpec(height=size[0], width=size[1])


def test_a_std_of_zero_is_refused() -> None:
    with pytest.raises(SpecError, match="std must be above 0"):
        InputSpec(height=64, width=64, std=(1, 0, 1))


@pytest.mark.parametrize("size", ["64x96", 64, (64,), (64, "96"), [64, 96]])
def test_a_size_that_is_none_is_refused(size: object) -> None:
    with pytest.raises(SpecError, match=r"size is \(height, width\) in pixels"):
        check_size(size)


def test_numbers_of_a_caller_are_checked() -> None:
    check_number("frames", None, least=1, whole=True)
    check_number("frames", 1, least=1, whole=True)
    check_number("frames", np.int64(3), least=1, whole=True)
    check_number("seconds", np.float32(0.5), least=0)
    for value in (0, 1.5, True, "3", float("nan")):
        with pytest.raises(SpecError, match="frames is a whole number of 1 or more"):
            check_number("frames", value, least=1, whole=True)
    with pytest.raises(SpecError, match="seconds is a number of 0 or more; got nan"):
        check_number("seconds", float("nan"), least=0)
