"""Which sizes of network a protocol can be run with."""

from __future__ import annotations

import numpy as np
import pytest
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

from edgeseg.errors import SpecError
from edgeseg.verification.protocols import (
    Settings,
    check_fits,
    list_input_sizes,
    segment_by,
)


@pytest.mark.parametrize(
    ("protocol", "size"),
    [("keep", (64, 88)), ("slide", (64, 64))],
)
def test_a_network_of_the_size_that_a_protocol_needs_gives_the_same_mask(
    protocol: str, size: tuple[int, int]
) -> None:
    frame = _photo(80, 110)
    fixed = segment_by(protocol, Convolution(size=size), frame, short_px=64, settings=SMALL)
    free = segment_by(protocol, Convolution(), frame, short_px=64, settings=SMALL)
    np.testing.assert_array_equal(fixed, free)


def test_windows_at_several_sizes_may_all_be_of_one() -> None:
    settings = Settings(long_px=256, window_px=64, stride_px=48, ratios=(1.0, 1.5))
    fixed = Convolution(size=(64, 64))
    mask = segment_by("slide-ms-flip", fixed, _photo(80, 110), short_px=64, settings=settings)
    scores = _literal("slide-ms-flip", Convolution(), _photo(80, 110), 64, settings)
    _assert_equal_but_for_ties(mask, scores)


REFUSALS = {
    "keep": (
        "bundle street takes 512x512 only, and for an image of 480x640 --protocol keep needs "
        "512x683; export that: edgeseg export --weights CHECKPOINT --size 512x683"
    ),
    "slide": (
        "bundle street takes 512x512 only, and for an image of 480x640 --protocol slide needs "
        "512x683; export that: edgeseg export --weights CHECKPOINT --size 512x683"
    ),
    "ms-flip": (
        "bundle street takes 512x512 only, and for an image of 480x640 --protocol ms-flip needs "
        "6 sizes, 256x341 to 896x1195, which no bundle takes; measure the checkpoint itself: "
        "edgeseg verify CHECKPOINT --protocol ms-flip"
    ),
    "slide-ms-flip": (
        "bundle street takes 512x512 only, and for an image of 480x640 --protocol slide-ms-flip "
        "needs 6 sizes, 256x341 to 896x1024, which no bundle takes; measure the checkpoint itself: "
        "edgeseg verify CHECKPOINT --protocol slide-ms-flip"
    ),
}


@pytest.mark.parametrize("protocol", RUN_HERE)
def test_a_network_of_another_size_is_refused_before_it_runs(protocol: str) -> None:
    network = Convolution(size=(512, 512))
    with pytest.raises(SpecError) as refusal:
        check_fits(protocol, network, height=480, width=640, short_px=512)
    assert str(refusal.value) == REFUSALS[protocol]
    with pytest.raises(SpecError) as refusal:
        segment_by(protocol, network, _photo(480, 640), short_px=512)
    assert str(refusal.value) == REFUSALS[protocol]
    assert not network.inputs


def test_no_size_is_proposed_that_cannot_be_exported() -> None:
    network = Convolution(size=(64, 64))
    with pytest.raises(SpecError, match=r"needs 24x32; measure the checkpoint itself"):
        check_fits("keep", network, height=24, width=32, short_px=24)


@pytest.mark.parametrize("protocol", RUN_HERE)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_sizes_that_are_told_are_those_that_a_network_gets(case: Case, protocol: str) -> None:
    network = Convolution()
    segment_by(protocol, network, _photo(*case.frame), short_px=case.short_px, settings=SMALL)
    height, width = case.frame
    told = list_input_sizes(
        protocol, height=height, width=width, short_px=case.short_px, settings=SMALL
    )
    assert told == tuple(sorted(set(network.inputs)))
