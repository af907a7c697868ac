"""Any Mix Transformer, not only B0 to B5: transformers is the oracle."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from search_limits import LENIENT
from seeded import normalized, random_image, randomize, scale_logits, twin_of
from small import write_street
from torch import nn

from edgeseg.bundle.store import Bundle
from edgeseg.datasets import open_dataset
from edgeseg.deploy.export import export_bundle
from edgeseg.deploy.request import ExportRequest
from edgeseg.errors import CheckpointError, SpecError
from edgeseg.export.architecture import read_unseen
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.export.segformer.to_onnx import to_onnx
from edgeseg.quantize.recipes import RECIPES
from edgeseg.quantize.targets import jetson
from edgeseg.quantize.targets.tensorrt.rules import find_violations
from edgeseg.segformer.macs import count_costs
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD

# Everything differs from B0 to B5, and from stage to stage.
TINY: dict[str, Any] = {
    "hidden_sizes": [16, 24, 40, 48],
    "depths": [1, 2, 1, 1],
    "num_attention_heads": [1, 3, 4, 6],
    "sr_ratios": [4, 4, 1, 1],
    "patch_sizes": [5, 3, 3, 3],
    "strides": [4, 2, 2, 1],
    "mlp_ratios": [2, 4, 3, 4],
    "decoder_hidden_size": 32,
}


def make_oracle(**fields: Any) -> nn.Module:
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    config = SegformerConfig(**({"num_labels": 11} | fields))
    model = SegformerForSemanticSegmentation(config).eval().requires_grad_(False)
    randomize(model, seed=0)
    probe = torch.randn(1, config.num_channels, 64, 64, generator=torch.Generator().manual_seed(0))
    scale_logits(model.decode_head.classifier, model(probe).logits)
    return model


def save(model: nn.Module, folder: Path, *, side: int = 96) -> Path:
    model.save_pretrained(folder)
    rules = {"image_processor_type": "SegformerImageProcessor", "size": side}
    (folder / "preprocessor_config.json").write_text(json.dumps(rules))
    return folder


def run_graph(folder: Path, image: torch.Tensor) -> torch.Tensor:
    model = read_checkpoint(str(folder)).model
    deployed = rewrite(model, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    graph = to_onnx(deployed, height=image.shape[1], width=image.shape[2])
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (logits,) = session.run(None, {"image": image.numpy()})
    return torch.from_numpy(logits)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(TINY, id="tiny"),
        pytest.param({"decoder_hidden_size": 64}, id="narrow decoder"),
        pytest.param({"hidden_sizes": [64, 128, 320, 512], "depths": [1, 1, 1, 1]}, id="short"),
        pytest.param({"strides": [2, 2, 2, 2]}, id="fine"),
        pytest.param({"patch_sizes": [4, 2, 2, 2]}, id="even kernels"),
        *(
            pytest.param(
                {
                    "hidden_sizes": [64, 128, 320, 512],
                    "depths": [3, 4, 6, 3],
                    "decoder_hidden_size": width,
                },
                id=f"B2, C = {width}",
                marks=() if width == 512 else (pytest.mark.long,),
            )
            for width in (256, 512, 1024, 2048)
        ),
    ],
)
@pytest.mark.parametrize("size", [(96, 96), (97, 131)], ids=str)
def test_the_graph_is_that_of_transformers(
    fields: dict[str, Any], size: tuple[int, int], tmp_path: Path
) -> None:
    oracle = make_oracle(**fields)
    image = random_image(*size)
    expected = oracle(normalized(image, torch.float32)).logits
    found = run_graph(save(oracle, tmp_path / "made"), image)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() / expected.std() < 1e-4


@settings(max_examples=15, deadline=None)
@given(
    heads=st.tuples(*(st.sampled_from([1, 2, 4]) for _ in range(4))),
    depths=st.tuples(*(st.integers(1, 2) for _ in range(4))),
    reductions=st.tuples(*(st.sampled_from([1, 2]) for _ in range(4))),
    ratios=st.tuples(*(st.integers(1, 3) for _ in range(4))),
    decoder=st.integers(3, 17),
    height=st.integers(64, 90),
)
def test_any_encoder_is_read_as_transformers_computes_it(
    heads: tuple[int, ...],
    depths: tuple[int, ...],
    reductions: tuple[int, ...],
    ratios: tuple[int, ...],
    decoder: int,
    height: int,
) -> None:
    fields = {
        "hidden_sizes": [4, 8, 8, 12],
        "num_attention_heads": list(heads),
        "depths": list(depths),
        "sr_ratios": list(reductions),
        "mlp_ratios": list(ratios),
        "decoder_hidden_size": decoder,
    }
    oracle = make_oracle(**fields)
    ours = twin_of(oracle, read_unseen(fields, origin="config.json"))
    image = random_image(height, 70)
    expected = oracle.double()(normalized(image)).logits
    found = rewrite(ours.double(), mean=IMAGENET_MEAN, std=IMAGENET_STD)(image)
    assert (found - expected).abs().max() / expected.std() < 1e-9
    counted = count_costs(ours.spec, height=height, width=70)
    assert counted.params == sum(p.numel() for p in oracle.parameters())


def test_its_name_and_costs_are_shown(edgeseg, tmp_path: Path) -> None:
    model = make_oracle(**TINY)
    folder = save(model, tmp_path / "made")
    outcome = edgeseg("inspect", folder)
    assert outcome.status == 0
    shown = edgeseg("inspect", folder, "--json").json
    assert (shown["variant"], shown["params"]) == (
        "custom",
        sum(map(torch.numel, model.parameters())),
    )
    assert "strides 4, 2, 2, 1, as its configuration says (usual: 4, 2, 2, 2)" in outcome.err
    outcome = edgeseg("export", "--weights", folder, "--precision", "fp32", "-o", "made/bundle")
    assert "custom SegFormer" in edgeseg("inspect", "made/bundle").err
    refused = edgeseg("export", "--weights", folder, "--model", "b0", "-o", "other")
    assert refused.status == 1
    assert "is a custom SegFormer" in refused.err


def test_without_a_configuration_its_heads_are_asked_for(tmp_path: Path) -> None:
    folder = save(make_oracle(**TINY), tmp_path / "made")
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match="do not show its attention heads; put a config.json"):
        read_checkpoint(str(folder))


def test_an_input_that_leaves_a_stage_nothing_is_refused(tmp_path: Path) -> None:
    folder = save(make_oracle(**(TINY | {"sr_ratios": [16, 4, 1, 1]})), tmp_path / "made")
    with pytest.raises(SpecError, match="32x32 .* is too small for this network"):
        read_checkpoint(str(folder), size=(32, 32))


@pytest.mark.parametrize(
    "target",
    ["onnxruntime", *(pytest.param(t, marks=pytest.mark.long) for t in ("openvino", "jetson"))],
)
def test_every_target_makes_int8_of_it(
    target: str, seeded_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = write_street(tmp_path / "street", seeded_bundle, train=4, test=4)
    recipes = jetson.RECIPES if target == "jetson" else RECIPES
    request = ExportRequest(
        weights=str(save(make_oracle(**TINY), tmp_path / "made")),
        target=target,
        folder=tmp_path / "bundle",
        dataset=open_dataset(data, split="test"),
        calibration=str(data),
        precision="int8",
        recipes=(recipes["int8-linear"],),
        limits=replace(LENIENT, max_drop=100),
    )
    bundle = export_bundle(request).bundle
    assert bundle.chosen.precision == "int8"
    assert bundle.manifest.model.depths == (1, 2, 1, 1)
    if target == "jetson":
        for variant in bundle.manifest.variants:
            assert find_violations(onnx.load(bundle.path(variant.file))) == {}
