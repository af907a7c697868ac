"""What every backend does with a session that really fails, and what each command makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import fake_tensorrt
import numpy as np
import pytest
from failing import ALWAYS, BLACK, WAYS, failing_bundle, failing_model
from PIL import Image

from edgeseg.bundle.store import Bundle
from edgeseg.errors import BackendError
from edgeseg.runtime.backends.backend import open_artifact, open_backend
from edgeseg.runtime.backends.trt_library import RTX, TENSORRT

if TYPE_CHECKING:
    from outcome import Outcome

TARGETS = ("onnxruntime", "openvino", "jetson", "rtx")
NAMES = {
    "onnxruntime": "onnxruntime ",
    "openvino": "openvino ",
    "jetson": "tensorrt 10.3.0 ",
    "rtx": "tensorrt-rtx 1.7.1 ",
}
LIBRARIES = {"jetson": TENSORRT, "rtx": RTX}
Broken = Callable[..., Bundle]


@pytest.fixture(params=TARGETS)
def target(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[str]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if request.param in LIBRARIES:
        fake_tensorrt.install(monkeypatch, library=LIBRARIES[request.param])
    yield request.param
    assert fake_tensorrt.FakeCuda.held == 0


@pytest.fixture
def broken(target: str, seeded_bundle: Bundle, tmp_path: Path) -> Broken:
    """A bundle whose variants fail: a name, a way and a level for each."""

    def make(*variants: tuple[str, str, float]) -> Bundle:
        right = seeded_bundle.path("model.onnx")
        models = {
            name: failing_model(right, way, below=below) if way else right.read_bytes()
            for name, way, below in variants
        }
        return failing_bundle(seeded_bundle, tmp_path / "broken", models, target=target)

    return make


def image(value: int) -> np.ndarray:
    """Noise about a value; all black for 0."""
    noise = np.random.default_rng(value).integers(0, 40, (96, 128, 3))
    return (noise + value).astype(np.uint8) if value else np.zeros((96, 128, 3), np.uint8)


def folder(path: Path, values: list[int]) -> Path:
    path.mkdir(parents=True)
    for index, value in enumerate(values):
        Image.fromarray(image(value)).save(path / f"{index:02}.png")
    return path


@pytest.mark.parametrize("way", WAYS)
def test_a_failing_session_is_one_line_and_the_next_frame_is_served(
    broken: Broken, target: str, way: str
) -> None:
    bundle = broken(("fp32", way, BLACK))
    with closing(open_backend(bundle)) as backend:
        if way != "shape":
            assert np.isfinite(backend.infer(image(100)[None])).all()
        with pytest.raises(BackendError) as caught:
            backend.infer(image(0)[None])
        if way != "shape":
            assert np.isfinite(backend.infer(image(100)[None])).all()
    line = str(caught.value)
    assert WAYS[way] in line
    assert line.startswith(NAMES[target])
    assert line.isprintable()


def test_a_run_skips_and_counts_the_frames_that_fail(
    broken: Broken, edgeseg: Callable[..., Outcome], tmp_path: Path
) -> None:
    bundle = broken(("fp32", "raises", BLACK))
    frames = folder(tmp_path / "frames", [100, 0, 150, 0])
    outcome = edgeseg(
        *("run", bundle.folder, "--source", frames, "--masks", "masks", "--json"),
    )
    assert outcome.status == 0
    assert (outcome.json["frames"], outcome.json["failed"]) == (2, 2)
    assert "2 failed, the last: " in outcome.err
    assert sorted(path.name for path in (tmp_path / "masks").glob("*.png")) == ["00.png", "02.png"]


def test_a_run_in_which_every_frame_fails_is_a_failure(
    broken: Broken, edgeseg: Callable[..., Outcome], tmp_path: Path
) -> None:
    bundle = broken(("fp32", "nan", BLACK))
    frames = folder(tmp_path / "frames", [0, 0, 0])
    outcome = edgeseg("run", bundle.folder, "--source", frames, "--jsonl", "-")
    assert outcome.status == 1
    line = outcome.err.splitlines()[-1]
    assert line.startswith("edgeseg: no frame got a mask: 3 failed, the last with: ")
    assert WAYS["nan"] in line


@pytest.mark.parametrize("way", ["minus inf", "raises", "shape"])
def test_a_build_drops_what_fails_by_name_and_the_others_go_on(
    broken: Broken, edgeseg: Callable[..., Outcome], way: str
) -> None:
    bundle = broken(("first", way, ALWAYS), ("second", "", 0))
    outcome = edgeseg("build", bundle.folder, "--json")
    assert outcome.status == 0
    variants = {result["variant"]: result for result in outcome.json["variants"]}
    assert WAYS[way] in variants["first"]["fault"]
    assert variants["second"]["latency_ms"] > 0
    assert any(line.startswith("first is out: ") for line in outcome.err.splitlines())


def test_a_build_of_which_every_variant_fails_is_one_line(
    broken: Broken, edgeseg: Callable[..., Outcome]
) -> None:
    bundle = broken(("first", "nan", ALWAYS), ("second", "raises", ALWAYS))
    outcome = edgeseg("build", bundle.folder)
    assert outcome.status == 3
    last = outcome.err.splitlines()[-1]
    assert last.startswith("edgeseg: no variant of ")
    assert WAYS["nan"] in last
    assert WAYS["raises"] in last


@pytest.mark.parametrize("way", ["nan", "raises"])
def test_verify_of_what_fails_on_one_image_is_one_line(
    broken: Broken, target: str, edgeseg: Callable[..., Outcome], tmp_path: Path, way: str
) -> None:
    bundle = broken(("fp32", way, BLACK))
    folder(tmp_path / "data" / "images", [100, 0])
    masks = tmp_path / "data" / "masks"
    masks.mkdir()
    for name in ("00", "01"):
        Image.new("L", (128, 96), 3).save(masks / f"{name}.png")
    outcome = edgeseg("verify", bundle.folder, "--data", "data")
    assert outcome.status == 1
    last = outcome.err.splitlines()[-1]
    assert last.startswith(f"edgeseg: {NAMES[target]}")
    assert WAYS[way] in last
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("way", ["nan", "raises", "shape"])
def test_bench_of_what_fails_is_one_line(
    broken: Broken, target: str, edgeseg: Callable[..., Outcome], way: str
) -> None:
    bundle = broken(("fp32", way, ALWAYS))
    outcome = edgeseg("bench", bundle.folder, "--frames", 2)
    assert outcome.status == (3 if target in LIBRARIES else 1)  # a device proves it first
    last = outcome.err.splitlines()[-1]
    assert last.startswith("edgeseg: ")
    assert WAYS[way] in last
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("target", TARGETS[:2], indirect=True)
def test_a_model_with_two_outputs_is_refused(
    target: str, seeded_bundle: Bundle, tmp_path: Path
) -> None:
    import onnx

    model = onnx.load(seeded_bundle.path("model.onnx"))
    first = model.graph.node[0].output[0]
    kinds = {v.name: v for v in onnx.shape_inference.infer_shapes(model).graph.value_info}
    model.graph.output.append(kinds[first])
    onnx.save(model, tmp_path / "two.onnx")
    with pytest.raises(BackendError, match="has 1 inputs and 2 outputs"):
        open_artifact(target, tmp_path / "two.onnx")
