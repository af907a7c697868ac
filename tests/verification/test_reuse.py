"""`edgeseg verify --video`, which measures what `run --reuse gated` saves and costs."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import write_clip

import edgeseg as package
from edgeseg.bundle.store import Bundle
from edgeseg.demo import draw_scene
from edgeseg.verification.reuse import TARGET


def write_film(path: Path, shift: Callable[[int], int], *, count: int = 60) -> Path:
    """A street at ten frames a second, moved by `shift` pixels, with the noise of a sensor."""
    noise = np.random.default_rng(0)
    street = draw_scene(3, 0, height=96, width=128).image
    images = [np.roll(street, shift(index), axis=1) for index in range(count)]
    noisy = [np.clip(image + noise.normal(0, 2, image.shape), 0, 255) for image in images]
    times = [index / 10 for index in range(count)]
    return write_clip(path, times, images=[np.rint(image).astype(np.uint8) for image in noisy])


def test_the_table_is_what_runs_give(edgeseg, seeded_bundle: Bundle) -> None:
    """Against a stream of frames that are all computed, and one for each of three factors."""
    # Somebody moves the camera after four seconds.
    clip = write_film(Path("fixed.mp4"), lambda index: 40 * (index >= 40))
    outcome = edgeseg("verify", seeded_bundle.folder, "--video", clip, "--json")
    assert outcome.status == 0
    found = outcome.json
    assert found["frames"] == 60
    rows = {row.pop("factor"): row for row in found["factors"]}
    with package.open(seeded_bundle.folder) as segmenter:
        exact = list(segmenter.stream(str(clip)))
        assert found["identical"] == pytest.approx(100 * np.mean([r.reused for r in exact]))
        computed = [segmenter.segment(result.captured.image).mask for result in exact]
        for factor in (0.5, 1, 3):
            results = list(segmenter.stream(str(clip), reuse=f"gated={factor}"))
            agree = [
                100 * (result.mask == mask).mean()
                for result, mask in zip(results, computed, strict=True)
            ]
            assert rows[factor] == pytest.approx(
                {
                    "reused": 100 * np.mean([result.reused for result in results]),
                    "agreement": np.mean(agree),
                    "agreement_p1": np.percentile(agree, 1),
                    "agreement_lowest": min(agree),
                }
            )
    assert rows[3]["reused"] > rows[0.5]["reused"]
    assert 0 < rows[3]["agreement_lowest"] < 100
    steady = [(now == before).mean() for before, now in itertools.pairwise(computed)]
    assert found["steadiness"] == pytest.approx(100 * np.mean(steady))
    assert outcome.err.count("gated=") >= len(rows)


def test_frames_that_repeat_need_no_gate(edgeseg, seeded_bundle: Bundle) -> None:
    for index in range(4):
        cv2.imwrite(f"{index}.png", draw_scene(index // 2, 0, height=96, width=128).image)
    outcome = edgeseg("verify", seeded_bundle.folder, "--video", ".", "--json")
    assert outcome.json["identical"] == 50
    assert {row["reused"] for row in outcome.json["factors"]} == {50}
    assert {row["agreement"] for row in outcome.json["factors"]} == {100}
    assert outcome.json["fits"] is None
    assert "run without a gate" in outcome.err
    assert "--reuse exact" in outcome.err.splitlines()[-1]


def test_a_camera_that_moves_needs_none(edgeseg, seeded_bundle: Bundle) -> None:
    clip = write_film(Path("moving.mp4"), lambda index: 37 * index, count=50)
    outcome = edgeseg("verify", seeded_bundle.folder, "--video", clip, "--json")
    assert outcome.json["factors"][3]["factor"] == 1
    assert outcome.json["factors"][3]["reused"] == 0


def test_a_fixed_camera_gets_the_factor_that_fits(edgeseg, seeded_bundle: Bundle) -> None:
    clip = write_film(Path("fixed.mp4"), lambda _index: 0, count=80)
    outcome = edgeseg("verify", seeded_bundle.folder, "--video", clip, "--json")
    rows = outcome.json["factors"]
    passing = [row for row in rows if row["agreement"] >= TARGET]
    assert passing == rows[: len(passing)]
    assert outcome.json["fits"] == passing[-1]["factor"]
    assert passing[-1]["reused"] > 10
    assert outcome.err.splitlines()[-1].endswith(f"--reuse gated={passing[-1]['factor']:g}")


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["--data", "demo"], "--data"),
        (["--max-size-mb", "5"], "--max-size-mb"),
        (["--report", "r"], "--report"),
        (["--config", "limits.toml"], "--config"),
    ],
)
def test_a_video_is_measured_alone(
    edgeseg, seeded_bundle: Bundle, args: list[str], named: str
) -> None:
    outcome = edgeseg("verify", seeded_bundle.folder, "--video", "x.mp4", *args)
    assert outcome.status == 2
    assert f"--video is measured alone; leave {named} out" in outcome.err


@pytest.mark.parametrize(
    ("source", "reason"),
    [("demo", "demo does not end"), ("one", "no two frames"), ("gone.mp4", "gone.mp4")],
)
def test_a_video_that_cannot_serve(
    edgeseg, seeded_bundle: Bundle, source: str, reason: str
) -> None:
    Path("one").mkdir()
    cv2.imwrite("one/0.png", draw_scene(0, 0, height=96, width=128).image)
    outcome = edgeseg("verify", seeded_bundle.folder, "--video", source)
    assert outcome.status == 1
    assert reason in outcome.err


def test_a_checkpoint_has_no_run_to_measure(edgeseg, checkpoint_folder: Path) -> None:
    outcome = edgeseg("verify", checkpoint_folder, "--video", "x.mp4")
    assert outcome.status in {1, 2}
    assert "bundle" in outcome.err
