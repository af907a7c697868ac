from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from literal import mmseg_logits, mmseg_state, nvlabs_logits, nvlabs_state
from seeded import normalized
from torch.nn import functional

from edgeseg.accuracy.metrics import pixel_agreement
from edgeseg.bundle.store import Bundle, open_bundle
from edgeseg.datasets import open_dataset
from edgeseg.demo import draw_scene
from edgeseg.deploy.export import export_bundle
from edgeseg.deploy.graph import read_examples
from edgeseg.deploy.request import ExportRequest
from edgeseg.errors import BundleError, CheckpointError, ExportError, SpecError
from edgeseg.export import reference
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.export.reference import compute_reference_mask
from edgeseg.export.segformer import to_onnx as to_onnx_module
from edgeseg.images import read_image, read_mask, write_image, write_mask
from edgeseg.pixels import to_input, to_mask
from edgeseg.runtime.segmenter import Segmenter


def request(weights: Path, folder: Path, **options: object) -> ExportRequest:
    return ExportRequest(weights=str(weights), target="onnxruntime", folder=folder, **options)


def test_the_manifest_tells_what_was_exported(seeded_bundle: Bundle) -> None:
    manifest = seeded_bundle.manifest
    assert manifest.model.variant == "custom"
    assert manifest.labels.classes[8] == "Car"
    assert (manifest.input.height, manifest.input.width) == (96, 128)
    assert manifest.input_tensor.shape == (1, 96, 128, 3)
    assert manifest.output_tensor.shape == (1, 11, 24, 32)
    assert manifest.checkpoint.license == "unknown"
    assert 0 < manifest.parity.max_abs_diff < 1e-3
    assert manifest.parity.images == 4
    assert manifest.checkpoint.source == "seeded/model.safetensors"
    assert manifest.tools["torch"] == torch.__version__
    graph = onnx.load(seeded_bundle.path(seeded_bundle.chosen.file))
    assert graph.graph.input[0].name == manifest.input_tensor.name
    assert graph.graph.output[0].name == manifest.output_tensor.name


def test_golden_masks_are_the_frameworks_own(
    seeded_bundle: Bundle, checkpoint_folder: Path
) -> None:
    """transformers, its image processor and its post-processing give the same masks."""
    from transformers import SegformerForSemanticSegmentation, SegformerImageProcessorPil

    oracle = SegformerForSemanticSegmentation.from_pretrained(checkpoint_folder).eval()
    processor = SegformerImageProcessorPil.from_pretrained(checkpoint_folder)
    for golden in seeded_bundle.manifest.golden:
        frame = read_image(seeded_bundle.path(golden.frame))
        assert min(frame.shape[:2]) >= 480  # a camera's size
        inputs = processor(frame[:, :, ::-1].copy(), return_tensors="pt")
        with torch.no_grad():
            outputs = oracle(**inputs)
        (expected,) = processor.post_process_semantic_segmentation(
            outputs, target_sizes=[frame.shape[:2]]
        )
        mask = read_mask(seeded_bundle.path(golden.mask))
        assert pixel_agreement(expected.numpy(), mask) > 99.99
        assert golden.agreement["fp32"] > 99.9


@pytest.mark.parametrize(
    ("state", "literal"), [(nvlabs_state, nvlabs_logits), (mmseg_state, mmseg_logits)]
)
def test_other_layouts_are_exported_with_their_own_resizing(tmp_path: Path, state, literal) -> None:
    """NVlabs and mmsegmentation: OpenCV's bilinear, aspect kept."""
    import cv2

    weights = state()
    torch.save(weights, tmp_path / "w.pth")
    bundle = export_bundle(request(tmp_path / "w.pth", tmp_path / "b", size=(128, 192))).bundle
    frame = draw_scene(3, 0, height=256, width=384).image  # the same aspect: nothing is padded
    resized = cv2.resize(frame, (192, 128), interpolation=cv2.INTER_LINEAR)
    logits = literal(
        {key: value.double() for key, value in weights.items()},
        normalized(torch.from_numpy(resized)[None]),
    )
    expected = functional.interpolate(logits, (256, 384), mode="bilinear").argmax(1)[0].numpy()
    with Segmenter(bundle) as segmenter:
        assert pixel_agreement(expected, segmenter.segment(frame).mask) > 99.9


@pytest.mark.parametrize(
    ("state", "literal"), [(nvlabs_state, nvlabs_logits), (mmseg_state, mmseg_logits)]
)
def test_the_reference_keeps_the_aspect_without_padding(tmp_path: Path, state, literal) -> None:
    import cv2

    weights = state()
    torch.save(weights, tmp_path / "w.pth")
    checkpoint = read_checkpoint(str(tmp_path / "w.pth"), size=(128, 192))
    frame = draw_scene(3, 0, height=300, width=384).image
    resized = cv2.resize(frame, (164, 128), interpolation=cv2.INTER_LINEAR)  # 163.84 across
    logits = literal(
        {key: value.double() for key, value in weights.items()},
        normalized(torch.from_numpy(resized)[None]),
    )
    expected = functional.interpolate(logits, (300, 384), mode="bilinear").argmax(1)[0].numpy()
    found = compute_reference_mask(checkpoint.model, checkpoint.input, frame)
    assert pixel_agreement(expected, found) > 99.9


def test_a_kept_aspect_cuts_the_mask_out_of_the_padded_logits(tmp_path: Path) -> None:
    torch.save(nvlabs_state(), tmp_path / "w.pth")
    bundle = export_bundle(request(tmp_path / "w.pth", tmp_path / "b", size=(128, 192))).bundle
    frame = draw_scene(3, 0, height=256, width=256).image  # two thirds of the width
    with Segmenter(bundle) as segmenter:
        logits = segmenter.backend.infer(to_input(frame, bundle.manifest.input))
        expected = to_mask(logits, height=256, width=256, share=(1.0, 2 / 3))
        np.testing.assert_array_equal(segmenter.segment(frame).mask, expected)
        assert (to_mask(logits, height=256, width=256) != expected).any()


def test_the_parity_limit_is_the_promised_one() -> None:
    assert reference.MAX_ABS_DIFF == 1e-3


def test_size_and_labels_can_be_given(checkpoint_folder: Path, tmp_path: Path) -> None:
    from edgeseg.labels import Labels

    labels = Labels(classes=tuple("abcdefghijk"), palette=((1, 2, 3),) * 11)
    bundle = export_bundle(
        request(checkpoint_folder, tmp_path / "b", size=(64, 160), labels=labels)
    ).bundle
    assert bundle.manifest.input_tensor.shape == (1, 64, 160, 3)
    assert bundle.manifest.labels == labels


def test_frames_of_a_data_set_become_golden(checkpoint_folder: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (tmp_path / "data" / kind).mkdir(parents=True)
    for name in "abcdefgh":
        image = rng.integers(0, 256, (64, 48, 3), dtype=np.uint8)
        write_image(image, tmp_path / "data" / "images" / f"{name}.png")
        write_mask(image[:, :, 0] % 11, tmp_path / "data" / "masks" / f"{name}.png")
    dataset = open_dataset(tmp_path / "data")
    bundle = export_bundle(request(checkpoint_folder, tmp_path / "b", dataset=dataset)).bundle
    assert bundle.manifest.parity.image_source == "data"
    frame = read_image(bundle.path(bundle.manifest.golden[1].frame))
    np.testing.assert_array_equal(frame, read_image(tmp_path / "data" / "images" / "c.png"))


def test_a_graph_that_differs_is_not_exported(
    checkpoint_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A layer norm that is off by a thousandth, as a wrong rewrite would be."""
    original = to_onnx_module.layer_norm

    def wrong(graph, norm, x, *, name):
        if name != "stage4.norm":
            return original(graph, norm, x, name=name)
        from copy import deepcopy

        shifted = deepcopy(norm)
        shifted.bias.data += 1e-2
        return original(graph, shifted, x, name=name)

    monkeypatch.setattr(to_onnx_module, "layer_norm", wrong)
    with pytest.raises(ExportError, match="logits differ from the checkpoint's by"):
        export_bundle(request(checkpoint_folder, tmp_path / "b"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bias", [float("nan"), float("inf")])
def test_a_graph_without_numbers_is_not_exported(
    checkpoint_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bias: float
) -> None:
    original = to_onnx_module.conv

    def broken(graph, module, x, *, name):
        if name != "head.classifier":
            return original(graph, module, x, name=name)
        from copy import deepcopy

        changed = deepcopy(module)
        changed.bias.data[3] = bias
        return original(graph, changed, x, name=name)

    monkeypatch.setattr(to_onnx_module, "conv", broken)
    with pytest.raises(ExportError, match="logits differ"):
        export_bundle(request(checkpoint_folder, tmp_path / "b"))
    assert list(tmp_path.iterdir()) == []


def test_a_failed_export_leaves_the_older_bundle(checkpoint_folder: Path, tmp_path: Path) -> None:
    export_bundle(request(checkpoint_folder, tmp_path / "b"))
    before = open_bundle(tmp_path / "b").manifest
    with pytest.raises(SpecError, match="at least 32x32"):
        export_bundle(request(checkpoint_folder, tmp_path / "b", size=(31, 32)))
    assert open_bundle(tmp_path / "b").manifest == before


def test_another_variant_than_asked_for_is_refused(b0_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is a SegFormer-B0, not b3"):
        export_bundle(request(b0_checkpoint, tmp_path / "b", variant="b3"))


def test_a_file_in_the_way_is_refused(checkpoint_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "b").write_text("mine")
    with pytest.raises(BundleError, match="exists and is not a bundle"):
        export_bundle(request(checkpoint_folder, tmp_path / "b"))
    assert (tmp_path / "b").read_text() == "mine"


def test_scenes_are_drawn_once() -> None:
    """Parity, golden frames and the next export of this process share them."""
    drawn = list(read_examples(None, 4))
    assert all(one is other for one, other in zip(read_examples(None, 2), drawn, strict=False))
