"""What the commands say and do where a device makes whole frames."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import av
import fake_kernels
import numpy as np
import pytest
from fake_cuda import Device  # noqa: TC002  # as pytest reads it
from PIL import Image

from edgeseg.bundle.store import Bundle
from edgeseg.demo import draw_scene
from edgeseg.runtime.gpu.slots import Slot
from edgeseg.runtime.legend import Legend
from edgeseg.runtime.overlay import Overlay
from edgeseg.runtime.proving.build import build
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.verification import footprint

if TYPE_CHECKING:
    from outcome import Outcome

Run = Callable[..., "Outcome"]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(12):
        image = draw_scene(seed, 0, height=90, width=160).image
        Image.fromarray(image[:, :, ::-1]).save(folder / f"{seed:02}.png")
    return folder


def test_a_run_writes_what_it_writes_on_a_host(
    jetson: Bundle, device: Device, pictures: Path, edgeseg: Run, tmp_path: Path
) -> None:
    done = edgeseg(
        "run", jetson.folder, "--source", pictures, "--save", "over/", "--masks", "masks/",
        "--jsonl", "lines.jsonl",
    )  # fmt: skip
    assert done.status == 0, done.err
    assert device.launched_graphs > 10
    legend = Legend.of(jetson.manifest.labels)
    lines = [json.loads(line) for line in (tmp_path / "lines.jsonl").read_text().splitlines()]
    with Segmenter(jetson) as segmenter:
        for index, line in enumerate(lines):
            image = np.array(Image.open(pictures / f"{index:02}.png"))[:, :, ::-1]
            mask = segmenter.segment(image).mask
            (saved,) = (tmp_path / "masks").glob(f"*{index:02}*.png")
            np.testing.assert_array_equal(np.array(Image.open(saved)), mask)
            (drawn,) = (tmp_path / "over").glob(f"*{index:02}*")
            shown = np.array(Image.open(drawn))[:, :, ::-1]
            if drawn.suffix == ".png":
                np.testing.assert_array_equal(shown, Overlay(legend).draw(image, mask))
            else:  # as JPEG keeps it
                assert np.abs(shown.astype(int) - Overlay(legend).draw(image, mask)).mean() < 6
            shares = {name: (mask == id_).mean() for id_, name, _ in legend.entries}
            assert line["shares"] == {n: round(s, 6) for n, s in shares.items() if s}
    assert len(lines) == 12


@pytest.fixture
def brought(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bool, bool]]:
    """Of each frame, whether its overlay came back as BGR, and as NV12."""
    found: list[tuple[bool, bool]] = []
    copy = Slot.copy_results

    def note(self):
        landed = copy(self)
        found.append((landed.overlay is not None, landed.nv12 is not None))
        return landed

    monkeypatch.setattr(Slot, "copy_results", note)
    return found


@pytest.mark.parametrize("width", [160, 159])
def test_a_video_is_encoded_from_nv12(
    jetson: Bundle, device: Device, pictures: Path, edgeseg: Run, tmp_path: Path, width: int,
    brought: list[tuple[bool, bool]], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """It is as near to the overlays as where the host draws, and FFmpeg converts the colors."""
    for path in pictures.iterdir():
        Image.open(path).crop((0, 0, width, 89)).save(path)
    done = edgeseg("run", jetson.folder, "--source", pictures, "--save", "device.mp4")
    assert done.status == 0, done.err
    assert brought[-12:] == [(False, True)] * 12
    fake_kernels.install(monkeypatch, None)
    done = edgeseg("run", jetson.folder, "--source", pictures, "--save", "host.mp4")
    assert done.status == 0, done.err
    overlay = Overlay(Legend.of(jetson.manifest.labels))
    with Segmenter(jetson) as segmenter:
        images = [np.array(Image.open(path))[:, :, ::-1] for path in sorted(pictures.iterdir())]
        drawn = [overlay.draw(image, segmenter.segment(image).mask) for image in images]
    away = {}
    for name in ("device", "host"):
        with av.open(str(tmp_path / f"{name}.mp4")) as video:
            shown = [frame.to_ndarray(format="bgr24") for frame in video.decode(video=0)]
        assert {image.shape for image in shown} == {(90, 160, 3)}
        differences = np.stack(shown).astype(int)[:, :89, :width] - np.stack(drawn)
        away[name] = np.abs(differences).mean()
    assert away["device"] < away["host"] + 0.1


def test_pictures_beside_a_video_come_as_they_are(
    jetson: Bundle, device: Device, pictures: Path, edgeseg: Run, brought: list[tuple[bool, bool]]
) -> None:
    outputs = ("--save", "over/", "--restream", "udp://127.0.0.1:9")
    done = edgeseg("run", jetson.folder, "--source", pictures, *outputs)
    assert done.status == 0, done.err
    assert brought[-12:] == [(True, False)] * 12
    brought.clear()
    assert edgeseg("run", jetson.folder, "--source", pictures, "--masks", "masks/").status == 0
    assert set(brought) == {(False, False)}


def test_a_lost_device_is_one_line(
    jetson: Bundle, device: Device, pictures: Path, edgeseg: Run, tmp_path: Path
) -> None:
    assert edgeseg("build", jetson.folder).status == 0
    device.calls_left = 150
    done = edgeseg("run", jetson.folder, "--source", pictures, "--masks", "masks/")
    assert done.status == 1
    assert "Traceback" not in done.err
    (line,) = [line for line in done.err.splitlines() if line.startswith("edgeseg: ")]
    assert "the GPU is lost to this process" in line
    assert "719" in line


def test_a_run_says_why_the_cpu_makes_masks(
    jetson: Bundle, device: Device, pictures: Path, edgeseg: Run
) -> None:
    done = edgeseg("run", jetson.folder, "--source", pictures, "--frames", 2, "--min-score", 0.4)
    assert done.status == 0
    assert "the CPU prepares frames and makes masks, and the GPU runs the network" in done.err
    plain = edgeseg("run", jetson.folder, "--source", pictures, "--frames", 2)
    assert "the CPU prepares" not in plain.err


def test_build_times_the_way_that_runs(jetson: Bundle, device: Device) -> None:
    (built,) = build(jetson)
    assert built.fault is None
    assert device.launched_graphs > 3  # those of the timed rounds


def test_bench_shows_both_clocks(
    jetson: Bundle, device: Device, edgeseg: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another process has no fake.
    monkeypatch.setattr(footprint, "measure_peak_mb", lambda *_args, **_kwargs: 1.0)
    done = edgeseg("bench", jetson.folder, "--frames", 3, "--json")
    assert done.status == 0, done.err
    (result,) = done.json["results"]
    steps = ["upload_ms", "prepare_ms", "engine_ms", "mask_ms", "download_ms"]
    assert list(result["device"]) == steps
    assert all(result["device"][step] > 0 for step in steps)
    assert result["infer_ms"] == result["device"]["engine_ms"]
    (line,) = [line for line in done.err.splitlines() if "on the GPU" in line]
    assert "upload 0.50, prepare 0.75, engine 0.50, mask" in line
