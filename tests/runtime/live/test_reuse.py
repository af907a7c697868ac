"""Masks of earlier frames: when a frame has one, and that it is right."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeseg.bundle.store import Bundle
from edgeseg.demo import draw_scene
from edgeseg.errors import BackendError, SpecError
from edgeseg.pixels import Bgr, Frame, Output
from edgeseg.runtime.backends.backend import Backend
from edgeseg.runtime.live.pipeline import stream
from edgeseg.runtime.live.reuse import EXACT, KEEP_S, Reuse, Reuser, parse_reuse
from edgeseg.runtime.live.run import run
from edgeseg.runtime.result import Result
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.runtime.sources import Captured, Source

FPS = 10
GATED = Reuse(factor=1.0)


class Counting:
    """A real engine that counts its calls, and fails on those that `failing` names."""

    name = "counting"

    def __init__(self, inner: Backend, failing: Sequence[int] = ()) -> None:
        self.inner = inner
        self.reuses_output = inner.reuses_output
        self.failing = failing
        self.calls = 0

    def infer(self, frame: Frame, /) -> Output:
        self.calls += 1
        if self.calls - 1 in self.failing:
            raise BackendError("no kernel today")
        return self.inner.infer(frame)

    def close(self) -> None:
        self.inner.close()


def capture(images: Iterable[Bgr]) -> Iterator[Captured]:
    for index, image in enumerate(images):
        yield Captured(index=index, name=str(index), time_s=index / FPS, at=0.0, image=image)


def watch(network: Segmenter, images: Sequence[Bgr], how: Reuse = EXACT) -> list[Result]:
    source = Source(name="file", frames=capture(images), fps=FPS, length=len(images))
    with stream(network, source, reuse=how) as results:
        return list(results)


# Two scenes of one size, one of another, and two flat frames that only the network cannot tell.
PICTURES = (
    *(draw_scene(seed, 0, height=48, width=64).image for seed in (0, 1)),
    draw_scene(0, 0, height=60, width=80).image,
    *(np.full(shape, 90, np.uint8) for shape in ((48, 64, 3), (60, 80, 3))),
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shown=st.lists(st.sampled_from(range(len(PICTURES))), min_size=1, max_size=8),
    how=st.sampled_from([EXACT, GATED]),
)
def test_an_identical_frame_has_the_mask_that_it_would_get(
    segmenter: Segmenter, shown: list[int], how: Reuse
) -> None:
    expected = [segmenter.segment(picture).mask for picture in PICTURES]
    inner = segmenter.backend
    segmenter.backend = counting = Counting(inner)
    results = watch(segmenter, [PICTURES[one] for one in shown], how)
    segmenter.backend = inner
    for one, result in zip(shown, results, strict=True):
        np.testing.assert_array_equal(result.mask, expected[one])
    again = [now == before for before, now in itertools.pairwise(shown)]
    assert [result.reused for result in results] == [False, *again]
    assert counting.calls == len(shown) - sum(again)


def test_whoever_draws_into_a_mask_spoils_no_other(segmenter: Segmenter) -> None:
    expected = segmenter.segment(PICTURES[0]).mask
    source = Source(name="file", frames=capture([PICTURES[0]] * 3), fps=FPS, length=3)
    with stream(segmenter, source) as results:
        for result in results:
            np.testing.assert_array_equal(result.mask, expected)
            result.mask[:] = 0


def test_a_frame_that_failed_is_not_reused(segmenter: Segmenter) -> None:
    expected = [segmenter.segment(picture).mask for picture in PICTURES[:2]]
    segmenter.backend = Counting(segmenter.backend, failing=[1, 2])
    shown = (0, 1, 1, 1, 1)
    results = watch(segmenter, [PICTURES[one] for one in shown])
    assert [result.captured.index for result in results] == [0, 3, 4]
    assert [result.reused for result in results] == [False, False, True]
    for result in results:
        np.testing.assert_array_equal(result.mask, expected[shown[result.captured.index]])


def test_a_run_counts_what_it_reuses(segmenter: Segmenter) -> None:
    images = [PICTURES[0]] * 4 + [PICTURES[1]] * 2
    source = Source(name="file", frames=capture(images), fps=FPS, length=6)
    summary = run(segmenter, source, [])
    assert (summary.frames, summary.reused) == (6, 4)


STREET = draw_scene(3, 0, height=96, width=128).image


def film(
    seconds: float, *, sigma: float, change: Callable[[int, Bgr], None] = lambda _i, _image: None
) -> list[Bgr]:
    """A fixed camera: one picture, what `change` draws into each frame, and the sensor's noise."""
    noise = np.random.default_rng(5)
    frames = []
    for index in range(round(seconds * FPS)):
        image = STREET.copy()
        change(index, image)
        noisy = image + noise.normal(0, sigma, image.shape)
        frames.append(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
    return frames


def find_computed(images: Sequence[Bgr], factor: float = 1.0) -> list[int]:
    """The frames that the network sees, whose input is here the frame itself."""
    reuser = Reuser(Reuse(factor=factor), lambda network_input: network_input)
    found = ((c.index, reuser.find_output(c.image[None], c)[1]) for c in capture(images))
    return [index for index, reused in found if not reused]


@given(sigma=st.floats(1.0, 6.0), row=st.integers(0, 80), column=st.integers(0, 100))
@settings(max_examples=8)
def test_somebody_far_away_is_seen_at_once(sigma: float, row: int, column: int) -> None:
    """5x12 pixels of the network's input, that come after eight seconds and leave after ten."""

    def walk(index: int, image: Bgr) -> None:
        if 80 <= index < 100:
            left = column + index - 80
            part = image[row : row + 12, left : left + 5]
            part[:] = np.where(part < 128, part + 90, part - 90)

    computed = find_computed(film(14, sigma=sigma, change=walk))
    assert 80 in computed
    assert 100 in computed  # the place that is empty again
    at_rest = [index for index in computed if 50 <= index < 80]
    assert len(at_rest) <= 3  # one in two seconds, and one for the largest noise of thousands
    assert max(np.diff(computed)) <= KEEP_S * FPS


def test_light_that_fades_slowly_adds_up() -> None:
    """Ten gray levels in two seconds; from frame to frame it is less than the noise."""

    def fade(index: int, image: Bgr) -> None:
        image -= np.minimum(image, np.uint8(np.clip((index - 100) / 2, 0, 10)))

    computed = find_computed(film(14, sigma=2.0, change=fade))
    during = [index for index in computed if 100 <= index < 120]
    assert len(during) >= 3
    assert max(np.diff([100, *during, 120])) < 10


def test_nothing_is_reused_where_everything_moves() -> None:
    def pan(index: int, image: Bgr) -> None:
        image[:] = np.roll(STREET, 3 * index, axis=1)

    assert len(find_computed(film(8, sigma=2.0, change=pan))) == 80


def test_a_larger_factor_reuses_more() -> None:
    images = film(10, sigma=4.0)
    few, usual, many = (len(find_computed(images, factor)) for factor in (0.3, 1.0, 3.0))
    assert many <= usual < few


def test_a_clock_that_jumps_back_computes_anew() -> None:
    reuser = Reuser(Reuse(factor=1.0), lambda network_input: network_input)
    frames = [*capture(film(8, sigma=2.0))]
    assert sum(reuser.find_output(c.image[None], c)[1] for c in frames) > 30
    earlier = replace(frames[60], time_s=0.5)
    assert not reuser.find_output(earlier.image[None], earlier)[1]


def test_a_gated_run_gives_the_key_frames_masks(seeded_bundle: Bundle) -> None:
    images = film(6, sigma=2.0)
    with Segmenter(seeded_bundle) as network:
        expected = [network.segment(image).mask for image in images]
        results = watch(network, images, GATED)
    assert sum(result.reused for result in results) > 10
    key = -1
    for index, result in enumerate(results):
        key = key if result.reused else index
        np.testing.assert_array_equal(result.mask, expected[key])


@pytest.mark.parametrize("size", [(33, 47), (32, 64), (101, 40)])
def test_the_last_row_and_column_are_looked_at(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(100, 104, (*size, 3), dtype=np.uint8) for _ in range(60)]
    images[50] = images[50].copy()
    images[50][-6:, -6:] = 255
    assert 50 in find_computed(images)


@pytest.mark.parametrize(
    ("text", "factor"), [("exact", None), ("gated", 1.0), ("gated=1.5", 1.5), ("gated=.25", 0.25)]
)
def test_ways_to_reuse(text: str, factor: float | None) -> None:
    assert parse_reuse(text).factor == factor


@pytest.mark.parametrize(
    "text", ["", "off", "Exact", "exact=1", "gated=", "gated=x", "gated=0", "gated=-1", "gated=nan"]
)
def test_no_ways_to_reuse(text: str) -> None:
    with pytest.raises(SpecError, match=r"gated=FACTOR|above 0"):
        parse_reuse(text)


def test_tiles_have_no_gate(segmenter: Segmenter) -> None:
    with pytest.raises(SpecError, match="leave out --reuse gated or --tile"):
        next(segmenter.stream("demo", tile=True, reuse="gated"))


def test_a_stream_of_a_segmenter_reuses(segmenter: Segmenter, tmp_path: Path) -> None:
    for index, picture in enumerate((0, 0, 1)):
        cv2.imwrite(str(tmp_path / f"{index}.png"), PICTURES[picture])
    results = list(segmenter.stream(str(tmp_path), reuse="gated=2"))
    assert [result.reused for result in results] == [False, True, False]
