from __future__ import annotations

import math
import sys
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg.corruptions import FAMILIES, SEVERITIES, corrupt, find_family, parse_corruptions
from edgeseg.corruptions.plasma import draw_plasma
from edgeseg.demo import draw_scene
from edgeseg.errors import MissingPackageError, SpecError
from edgeseg.pixels import Bgr

ALL = tuple(member for members in FAMILIES.values() for member in members)
SEEDED = (*FAMILIES["noise"], "frosted_glass_blur", "motion_blur", *FAMILIES["weather"])
SCENE = draw_scene(3, 40, height=180, width=240).image

each_corruption = pytest.mark.parametrize("corruption", ALL)
each_severity = pytest.mark.parametrize("severity", SEVERITIES)


def flat(value: int) -> Bgr:
    return np.full((96, 128, 3), value, np.uint8)


@st.composite
def images(draw: st.DrawFn) -> Bgr:
    height, width = draw(st.integers(64, 101)), draw(st.integers(64, 101))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    low = draw(st.integers(0, 255))
    return random.integers(low, draw(st.integers(low, 255)), (height, width, 3), np.uint8, True)


@given(
    images(),
    st.sampled_from(ALL),
    st.sampled_from(SEVERITIES),
    st.integers(0, 2**63),
)
def test_the_result_is_a_new_image_of_the_same_kind_and_the_same_again(
    image: Bgr, corruption: str, severity: int, seed: int
) -> None:
    before = image.copy()
    image.flags.writeable = False
    result = corrupt(image, corruption, severity, seed=seed)
    assert (result.shape, result.dtype) == (image.shape, np.uint8)
    assert not np.shares_memory(result, image)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(corrupt(image, corruption, severity, seed=seed), result)


@each_corruption
def test_an_image_may_be_a_view(corruption: str) -> None:
    view = SCENE[::-1, 5:-4:2]
    packed = corrupt(np.ascontiguousarray(view), corruption, 3, seed=0)
    np.testing.assert_array_equal(corrupt(view, corruption, 3, seed=0), packed)


@each_corruption
def test_another_seed_gives_another_image_where_chance_has_a_part(corruption: str) -> None:
    first, second = (corrupt(SCENE, corruption, 3, seed=seed) for seed in (0, 1))
    assert np.array_equal(first, second) == (corruption not in SEEDED)


@pytest.mark.parametrize("corruption", [*FAMILIES["blur"], "contrast"])
@pytest.mark.parametrize("value", [0, 77, 255])
def test_an_image_of_one_color_has_nothing_to_blur(corruption: str, value: int) -> None:
    # The published kernel of large disks adds 1.3 % of light.
    most = np.ceil(0.013 * value) if corruption == "defocus_blur" else 0
    for severity in SEVERITIES:
        blurred = corrupt(flat(value), corruption, severity, seed=0)
        np.testing.assert_allclose(blurred, flat(value), rtol=0, atol=most)


@pytest.mark.parametrize("corruption", ["shot_noise", "speckle_noise", "fog", "jpeg"])
def test_black_stays_black(corruption: str) -> None:
    np.testing.assert_array_equal(corrupt(flat(0), corruption, 5, seed=0), flat(0))


@pytest.mark.parametrize("corruption", ["snow", "brightness", "jpeg"])
def test_white_stays_white(corruption: str) -> None:
    np.testing.assert_array_equal(corrupt(flat(255), corruption, 5, seed=0), flat(255))


@each_corruption
def test_harm_grows_with_severity(corruption: str) -> None:
    harm = [
        float(np.abs(corrupt(SCENE, corruption, severity, seed=0) - SCENE.astype(float)).mean())
        for severity in SEVERITIES
    ]
    # Where a corruption changes its nature, only what is of one nature compares.
    water_or_faded = {"spatter": 3, "saturate": 2}.get(corruption, 5)
    for part in (harm[:water_or_faded], harm[water_or_faded:]):
        assert part == sorted(part)
    assert harm[0] > 0


@each_severity
def test_gaussian_noise_has_the_published_deviation(severity: int) -> None:
    sigma = (0.08, 0.12, 0.18, 0.26, 0.38)[severity - 1]
    noise = corrupt(flat(127), "gaussian_noise", severity, seed=0).astype(float) - 127
    # A normal variable exceeds 100 levels at a known rate, whatever 0 and 255 cut off; the rate of
    # 36,864 values is within four of its own deviations.
    rate = np.mean(np.abs(noise) > 100.5)
    expected = 2 * (1 - _normal_cdf(100.5 / 255 / sigma))
    assert abs(rate - expected) <= 4 * np.sqrt(expected * (1 - expected) / noise.size)
    if sigma < 0.15:
        assert noise.std() == pytest.approx(255 * sigma, rel=0.02)


@each_severity
def test_impulse_noise_strikes_the_published_share_white_as_often_as_black(severity: int) -> None:
    share = (0.03, 0.06, 0.09, 0.17, 0.27)[severity - 1]
    noisy = corrupt(flat(100), "impulse_noise", severity, seed=0)
    assert set(np.unique(noisy)) == {0, 100, 255}
    # Within four deviations of a count of 36,864 values.
    for struck in (0, 255):
        error = 4 * np.sqrt(share / 2 / noisy.size)
        assert np.mean(noisy == struck) == pytest.approx(share / 2, abs=error)


@each_severity
def test_shot_noise_counts_photons(severity: int) -> None:
    photons = (60, 25, 12, 5, 3)[severity - 1]
    counts = corrupt(flat(50), "shot_noise", severity, seed=0) * (photons / 255)
    np.testing.assert_allclose(counts, np.rint(counts), atol=photons / 255)
    assert counts.mean() == pytest.approx(50 / 255 * photons, rel=0.02)


@each_severity
def test_speckle_noise_is_in_proportion_to_the_value(severity: int) -> None:
    sigma = (0.15, 0.2, 0.35, 0.45, 0.6)[severity - 1]
    below = corrupt(flat(60), "speckle_noise", severity, seed=0) < 60 * (1 - sigma)
    assert below.mean() == pytest.approx(_normal_cdf(-1), abs=0.03)  # values are whole numbers


@each_severity
def test_brightness_raises_the_largest_channel(severity: int) -> None:
    brighter = corrupt(SCENE, "brightness", severity, seed=0)
    expected = np.minimum(SCENE.max(axis=2) + 25.5 * severity, 255)
    np.testing.assert_allclose(brighter.max(axis=2), expected, atol=0.51)  # rounding


@each_severity
def test_contrast_is_what_is_left_around_the_mean(severity: int) -> None:
    left = (0.4, 0.3, 0.2, 0.1, 0.05)[severity - 1]
    mean = SCENE.mean(axis=(0, 1))
    expected = mean + left * (SCENE - mean)
    np.testing.assert_allclose(
        corrupt(SCENE, "contrast", severity, seed=0), expected, atol=0.51
    )  # rounding


def test_saturate_fades_and_glares() -> None:
    spreads = [
        float(np.ptp(corrupt(SCENE, "saturate", severity, seed=0).astype(int), axis=2).mean())
        for severity in (2, 1, 3, 4, 5)
    ]
    assert spreads == sorted(spreads)


@each_severity
def test_jpeg_is_opencv_s_at_the_published_quality(severity: int) -> None:
    quality = (25, 18, 15, 10, 7)[severity - 1]
    _, stream = cv2.imencode(".jpg", SCENE, (cv2.IMWRITE_JPEG_QUALITY, quality))
    expected = cv2.imdecode(stream, cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(corrupt(SCENE, "jpeg", severity, seed=0), expected)


@pytest.mark.parametrize(("severity", "radius"), [(1, 3), (2, 4), (3, 6), (4, 8), (5, 10)])
def test_defocus_spreads_a_point_over_a_disk(severity: int, radius: int) -> None:
    disk = corrupt(_edge(), "defocus_blur", severity, seed=0)[48, :, 0]
    # The soft edge adds up to two pixels.
    assert np.flatnonzero(disk < 255)[0] == pytest.approx(64 - radius, abs=2)
    assert disk[64 + radius + 3] == 0


def test_motion_moves_along_one_line_only() -> None:
    stripes = np.zeros((96, 128, 3), np.uint8)
    stripes[48:] = 255
    blurred = corrupt(stripes, "motion_blur", 5, seed=0)
    assert (blurred == blurred[:, :1]).all()  # nothing varies where nothing varied


@pytest.mark.parametrize("severity", [1, 2, 3])
def test_drops_of_water_only_add_light(severity: int) -> None:
    assert (corrupt(SCENE, "spatter", severity, seed=0) >= SCENE).all()


@pytest.mark.parametrize("severity", [4, 5])
def test_mud_is_brown_and_leaves_the_rest_as_it_is(severity: int) -> None:
    white = flat(255)
    dirty = corrupt(white, "spatter", severity, seed=0)
    covered = (dirty != white).any(axis=2)
    assert 0.02 < covered.mean() < 0.5
    blue, green, red = dirty[covered].mean(axis=0)
    assert blue < green < red


def test_snow_falls_in_streaks_that_are_longer_than_wide() -> None:
    snowy = corrupt(flat(60), "snow", 3, seed=0).astype(float)
    down, across = (np.abs(np.diff(snowy, axis=axis)).mean() for axis in (0, 1))
    assert down < across / 2


def test_fog_is_smooth() -> None:
    gray = flat(128)
    foggy = corrupt(gray, "fog", 1, seed=0).astype(float)
    assert np.ptp(foggy) > 30
    assert np.abs(np.diff(foggy, axis=1)).max() < 10


@pytest.mark.parametrize("side", [2, 64, 128])
def test_clouds_fill_their_range_and_meet_at_the_edges(side: int) -> None:
    cloud = draw_plasma(side, decay=2.0, random=np.random.default_rng(0))
    assert (cloud.shape, cloud.dtype) == ((side, side), np.float32)
    assert (cloud.min(), cloud.max()) == (0, 1)
    steps = np.abs(np.diff(cloud, axis=0)).max()
    assert np.abs(cloud[0] - cloud[-1]).max() <= 1.5 * steps


def test_every_corruption_has_one_family() -> None:
    assert len(ALL) == len(set(ALL)) == 15
    assert [find_family(member) for member in FAMILIES["weather"]] == ["weather"] * 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all", ALL),
        ("fog", ("fog",)),
        ("weather", ("snow", "spatter", "fog")),
        ("fog, noise,snow", (*FAMILIES["noise"], "snow", "fog")),
        ("jpeg,digital,jpeg", FAMILIES["digital"]),
        ("fog,all", ALL),
    ],
)
def test_chosen_names_become_corruptions_in_one_order(text: str, expected: tuple[str, ...]) -> None:
    assert parse_corruptions(text) == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: parse_corruptions("noise,frost"),
            "no corruption 'frost'; take all, a family (noise, blur, ",
        ),
        (lambda: parse_corruptions(""), "no corruption ''; take all"),
        (lambda: find_family("noise"), "no corruption 'noise'; take noise: gaussian_noise, "),
        (lambda: corrupt(SCENE, "frost", 1, seed=0), "no corruption 'frost'"),
        (lambda: corrupt(SCENE, "fog", 0, seed=0), "severity 0 does not exist; take 1 to 5"),
        (lambda: corrupt(SCENE, "fog", 6, seed=0), "severity 6 does not exist; take 1 to 5"),
    ],
    ids=["frost", "nothing", "a family", "corrupt", "severity 0", "severity 6"],
)
def test_what_there_is_not_is_told_with_what_there_is(
    call: Callable[[], object], message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        call()
    assert message in str(caught.value)


def test_without_opencv_the_error_tells_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingPackageError, match="corrupting images needs OpenCV"):
        corrupt(SCENE, "gaussian_blur", 1, seed=0)
    corrupt(SCENE, "gaussian_noise", 1, seed=0)


def _edge() -> Bgr:
    image = np.zeros((96, 128, 3), np.uint8)
    image[:, :64] = 255
    return image


def _normal_cdf(value: float) -> float:
    return (1 + math.erf(value / 2**0.5)) / 2
