from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from torch.nn import functional

from edgeseg.errors import BackendError, MissingPackageError, SpecError
from edgeseg.pixels import Bgr, Logits, to_mask
from edgeseg.verification.protocols import (
    PROTOCOLS,
    PUBLISHED,
    Settings,
    check_fits,
    input_sizes,
    rescaled_size,
    segment_by,
)
from edgeseg.verification.windows import look, windows

# The published numbers, divided by 16: images of some tens of pixels are cut and rescaled as
# Cityscapes' are.
SMALL = Settings(long_px=128, window_px=64, stride_px=48)
RUN_HERE = PROTOCOLS[1:]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Images are tiny: on a busy machine several threads wait for each other ten times as long."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@dataclass(kw_only=True)
class Convolution:
    """A seeded network that gives logits at a quarter of any size, as SegFormer does."""

    classes: int = 6
    size: tuple[int, int] | None = None
    name: str = "bundle street"
    inputs: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(4)
        self.weight = torch.randn(self.classes, 3, 7, 7, generator=generator)
        self.result: Logits | None = None

    def logits(self, image: Bgr, /) -> Logits:
        assert image.dtype == np.uint8
        assert image.flags.c_contiguous
        assert self.size in (None, image.shape[:2])
        self.inputs.append(image.shape[:2])
        pixels = torch.from_numpy(image.astype(np.float32) / 255 - 0.5).permute(2, 0, 1)[None]
        logits = functional.conv2d(pixels, self.weight, stride=4, padding=3).numpy()
        if self.result is not None:
            self.result.fill(1e9)  # the promise: only the latest result is whole
        self.result = logits
        return logits


@dataclass(frozen=True, kw_only=True)
class Case:
    name: str
    frame: tuple[int, int]  # height, width
    short_px: int


CASES = [
    Case(name="Cityscapes' shape", frame=(64, 128), short_px=64),
    Case(name="landscape, rescaled down", frame=(97, 131), short_px=64),
    Case(name="portrait, rescaled down", frame=(140, 83), short_px=64),
    Case(name="rescaled up", frame=(41, 50), short_px=64),
    Case(name="the long side limits", frame=(50, 301), short_px=64),
    Case(name="the long side limits a portrait", frame=(301, 50), short_px=64),
    Case(name="smaller than the window", frame=(31, 45), short_px=32),
    Case(name="square", frame=(90, 90), short_px=77),
    Case(name="larger than four windows", frame=(200, 240), short_px=120),
    Case(name="a side that is rounded half up", frame=(64, 99), short_px=32),  # 49.5
]


@pytest.mark.parametrize("protocol", RUN_HERE)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_masks_equal_a_literal_run_of_the_protocol(case: Case, protocol: str) -> None:
    frame = _photo(*case.frame)
    mask = segment_by(protocol, Convolution(), frame, short_px=case.short_px, settings=SMALL)
    scores = _literal(protocol, Convolution(), frame, case.short_px, SMALL)
    assert mask.dtype == np.uint8
    _assert_equal_but_for_ties(mask, scores)


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


@pytest.mark.parametrize("protocol", ["keep", "slide"])
def test_one_step_to_the_frames_size_is_another_mask(protocol: str) -> None:
    """The tests above would tell a shortcut from the published two steps."""
    frame = _photo(140, 83)
    mask = segment_by(protocol, Convolution(), frame, short_px=64, settings=SMALL)
    height, width = rescaled_size(140, 83, short_px=64, long_px=128)
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
    with pytest.raises(SpecError, match=r"needs 48x64; measure the checkpoint itself"):
        check_fits("keep", network, height=48, width=64, short_px=48)


@pytest.mark.parametrize("protocol", RUN_HERE)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_sizes_that_are_told_are_those_that_a_network_gets(case: Case, protocol: str) -> None:
    network = Convolution()
    segment_by(protocol, network, _photo(*case.frame), short_px=case.short_px, settings=SMALL)
    height, width = case.frame
    told = input_sizes(protocol, height=height, width=width, short_px=case.short_px, settings=SMALL)
    assert told == tuple(sorted(set(network.inputs)))


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
    assert rescaled_size(*frame, short_px=short_px) == rescaled


def test_the_limits_are_rounded_down_after_the_ratio() -> None:
    """Of 101 pixels, 75 % are 75."""
    assert rescaled_size(200, 200, short_px=101, ratio=0.75) == (75, 75)


@examples(max_examples=200)
@given(length=st.integers(1, 5000), window_px=st.integers(1, 1500), stride=st.integers(1, 1500))
def test_windows_cover_each_side_and_lie_inside(length: int, window_px: int, stride: int) -> None:
    stride_px = min(stride, window_px)
    found = windows(length, window_px=window_px, stride_px=stride_px)
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
    assert windows(1024, **published) == [range(1024)]
    assert windows(2048, **published) == [range(1024), range(768, 1792), range(1024, 2048)]


def test_a_pixel_is_the_mean_of_the_windows_that_see_it() -> None:
    """A network that answers with its turn: 1, 2, 3 and so on."""

    class Turn(Convolution):
        def logits(self, image: Bgr, /) -> Logits:
            self.inputs.append(image.shape[:2])
            return np.full((1, 1, 2, 2), len(self.inputs), np.float32)

    view = look(Turn(), _photo(4, 10), window_px=4, stride_px=3)
    row = [1, 1, 1, 1.5, 2, 2, 2.5, 3, 3, 3]
    np.testing.assert_allclose(view.all_rows()[0], [row] * 4)
    view = look(Turn(), _photo(6, 4), window_px=4, stride_px=3)
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


def _literal(
    protocol: str,
    network: Convolution,
    frame: Bgr,
    short_px: int,
    settings: Settings = PUBLISHED,
) -> torch.Tensor:
    """What mmsegmentation compares at each pixel, (classes, H, W), the straightforward way.

    Logits for one view, else probabilities: their argmax is the mask.
    """
    slides = protocol.startswith("slide")
    if not protocol.endswith("ms-flip"):
        return _infer(network, frame, (settings.long_px, short_px), slides, settings)
    total = torch.zeros(())
    for ratio in settings.ratios:
        scale = (int(settings.long_px * ratio), int(short_px * ratio))
        plain = _infer(network, frame, scale, slides, settings)
        total = total + plain.softmax(dim=0)
        mirrored = _infer(network, frame, scale, slides, settings, flip=True)
        total = total + mirrored.softmax(dim=0).flip(dims=(2,))
    return total / (2 * len(settings.ratios))


def _infer(
    network: Convolution,
    frame: Bgr,
    scale: tuple[int, int],
    slides: bool,
    settings: Settings,
    *,
    flip: bool = False,
) -> torch.Tensor:
    height, width = frame.shape[:2]
    factor = min(max(scale) / max(height, width), min(scale) / min(height, width))
    size = (int(width * factor + 0.5), int(height * factor + 0.5))
    image = cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR)
    if flip:
        image = np.flip(image, axis=1)
    logits = _slide(network, image, settings) if slides else _encode_decode(network, image)
    return functional.interpolate(logits, (height, width), mode="bilinear", align_corners=False)[0]


def _encode_decode(network: Convolution, image: Bgr) -> torch.Tensor:
    logits = torch.from_numpy(network.logits(np.ascontiguousarray(image)).copy())
    return functional.interpolate(logits, image.shape[:2], mode="bilinear", align_corners=False)


def _slide(network: Convolution, image: Bgr, settings: Settings) -> torch.Tensor:
    height, width = image.shape[:2]
    total = torch.zeros(1, network.classes, height, width)
    count = torch.zeros(height, width)
    for top in _starts(height, settings):
        for left in _starts(width, settings):
            down = slice(top, top + settings.window_px)
            across = slice(left, left + settings.window_px)
            total[:, :, down, across] += _encode_decode(network, image[down, across])
            count[down, across] += 1
    return total / count


def _starts(length: int, settings: Settings) -> Iterator[int]:
    """A window is moved on until one reaches the end."""
    start = 0
    while start + settings.window_px < length:
        yield start
        start += settings.stride_px
    yield max(length - settings.window_px, 0)


def _photo(height: int, width: int) -> Bgr:
    """Blobs of all sizes, as the classes of a real image have."""
    generator = np.random.default_rng(height * 1000 + width)
    image = np.zeros((height, width, 3), np.float32)
    for cells in (2, 5, 12, 30):
        noise = generator.normal(size=(cells, cells, 3)).astype(np.float32)
        image += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(127 + 50 * image, 0, 255).astype(np.uint8)


def _assert_equal_but_for_ties(mask: np.ndarray, scores: torch.Tensor) -> None:
    """Pixels may differ only where rounding decides: the two best scores are 1e-5 apart at most.

    Logits here reach 13, through two steps of float32.
    """
    assert mask.shape == tuple(scores.shape[1:])
    differs = mask != scores.argmax(dim=0).numpy()
    best, second = scores.topk(2, dim=0).values.numpy()
    assert (best - second)[differs].max(initial=0) <= 1e-5
