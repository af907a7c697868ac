from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg.data_rules import ValueRange, parse_range
from edgeseg.errors import SpecError
from edgeseg.images.scaling import scale_values


def test_the_ends_are_black_and_white_and_halves_go_up() -> None:
    values = np.array([0, 99, 100, 101, 102, 103, 609, 610, 65535])
    for dtype in (np.uint16, np.int32, np.float32):
        found = scale_values(values.astype(dtype), ValueRange(100, 610))
        np.testing.assert_array_equal(
            found, np.array([0, 0, 0, 1, 1, 2, 255, 255, 255], np.uint8), strict=True
        )


@given(st.integers(0, 65534), st.integers(1, 65535))
def test_8_bits_written_in_a_range_come_back(low: int, span: int) -> None:
    high = min(65535, low + max(span, 255))
    if high - low < 255:
        low = high - 255
    levels = np.arange(256)
    written = np.rint(low + levels * (high - low) / 255).astype(np.uint16)
    np.testing.assert_array_equal(scale_values(written, ValueRange(low, high)), levels)


def test_rows_and_bands_keep_their_places() -> None:
    values = np.arange(600 * 7 * 2, dtype=np.int64).reshape(600, 7, 2)
    found = scale_values(values, ValueRange(0, values.max()))
    expected = np.floor(values / values.max() * 255 + 0.5)
    np.testing.assert_array_equal(found, expected.astype(np.uint8), strict=True)


@pytest.mark.parametrize("text", ["0,4095", " 0 , 4095 ", "0.0,4.095e3"])
def test_a_range_is_read_and_written(text: str) -> None:
    found = parse_range(text)
    assert (found, str(found)) == (ValueRange(0, 4095), "0,4095")
    assert pickle.loads(pickle.dumps(found)) == found


def test_a_range_is_written_so_that_no_other_is() -> None:
    """The hash of a data set holds it."""
    assert str(ValueRange(0, 1234567.5)) != str(ValueRange(0, 1234568.5))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("4095", "'4095' is no range LOW,HIGH of values, such as 0,4095"),
        ("0,1,2", "is no range"),
        ("a,b", "is no range"),
        ("", "is no range"),
        ("9,9", "the range 9,9 must rise from LOW to HIGH"),
        ("9,1", "must rise"),
        ("0,inf", "must rise"),
        ("nan,1", "must rise"),
    ],
)
def test_what_is_no_range(text: str, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        parse_range(text)
