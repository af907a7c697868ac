"""Each field of config.json is honored or refused by name; transformers itself is the judge."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from oracle import FEW, change, deployed_mask, differing, small_demo, street, transformers_mask

from edgeseg.errors import CheckpointError
from edgeseg.export.checkpoint import read_checkpoint

if TYPE_CHECKING:
    from outcome import Outcome


@dataclass(frozen=True, kw_only=True)
class Field:
    name: str
    value: object


HONORED = [
    Field(name="num_attention_heads", value=[1, 2, 4, 8]),
    Field(name="num_attention_heads", value=[2, 4, 10, 4]),
    Field(name="strides", value=[4, 2, 2, 1]),
    Field(name="strides", value=[2, 2, 2, 2]),
    Field(name="hidden_act", value="gelu_python"),
    # transformers does not read it
    Field(name="layer_norm_eps", value=1e-3),
    # training only
    Field(name="hidden_dropout_prob", value=0.5),
    Field(name="attention_probs_dropout_prob", value=0.5),
    Field(name="classifier_dropout_prob", value=0.9),
    Field(name="drop_path_rate", value=0.9),
    Field(name="initializer_range", value=2.0),
    Field(name="semantic_loss_ignore_index", value=3),
    # SegformerConfig does not know them
    Field(name="qkv_bias", value=False),
    Field(name="downsampling_rates", value=[1, 4, 8, 16]),
    Field(name="image_size", value=224),
    Field(name="architectures", value=["MySegformer"]),
]

REFUSED = [
    Field(name="hidden_act", value="relu"),
    Field(name="hidden_act", value="gelu_new"),
    Field(name="hidden_act", value="quick_gelu"),
    Field(name="strides", value=[4, 2, 2]),
    Field(name="sr_ratios", value=[8, 4, 2, 2]),
    Field(name="patch_sizes", value=[7, 3, 3, 5]),
    Field(name="mlp_ratios", value=[4, 4, 4, 2]),
    Field(name="reshape_last_stage", value=False),
    Field(name="depths", value=[2, 2, 2, 1]),
    Field(name="hidden_sizes", value=[32, 64, 160, 512]),
    Field(name="decoder_hidden_size", value=768),
    Field(name="num_encoder_blocks", value=3),
    Field(name="num_channels", value=4),
    Field(name="num_attention_heads", value=[1, 2, 3, 8]),
    Field(name="num_attention_heads", value=8),
    Field(name="num_attention_heads", value=[1, 2, 5]),
    Field(name="num_labels", value=19),
    Field(name="model_type", value="upernet"),
    Field(name="auto_map", value={"AutoModel": "code.Mine"}),
    Field(name="quantization_config", value={"quant_method": "bitsandbytes"}),
    Field(name="pruned_heads", value={"0": [0]}),
    Field(name="id2label", value={"sky": "0", "road": "1"}),
    Field(name="id2label", value={str(index): f"c{index}" for index in range(1, 12)}),
]


def _id(field: Field) -> str:
    return f"{field.name}-{json.dumps(field.value)[:30]}"


@pytest.mark.parametrize("field", HONORED, ids=_id)
def test_the_mask_is_that_of_transformers(field: Field, tmp_path: Path) -> None:
    folder = small_demo(tmp_path / "demo")
    change(folder / "config.json", **{field.name: field.value})
    assert differing(deployed_mask(folder, street()), transformers_mask(folder, street())) < FEW


@pytest.mark.parametrize("field", REFUSED, ids=_id)
def test_what_edgeseg_does_not_compute_is_refused_by_name(field: Field, tmp_path: Path) -> None:
    folder = small_demo(tmp_path / "demo")
    change(folder / "config.json", **{field.name: field.value})
    with pytest.raises(CheckpointError, match=field.name) as caught:
        read_checkpoint(str(folder))
    assert "\n" not in str(caught.value)


def test_other_heads_would_show(tmp_path: Path) -> None:
    """The weights' shapes are the same, and the masks are not."""
    folder = small_demo(tmp_path / "demo")
    before = transformers_mask(folder, street())
    change(folder / "config.json", num_attention_heads=[2, 4, 10, 4])
    assert differing(before, transformers_mask(folder, street())) > 10 * FEW


def test_other_heads_are_said(edgeseg: Callable[..., Outcome], tmp_path: Path) -> None:
    folder = small_demo(tmp_path / "demo")
    assert "heads" not in edgeseg("inspect", folder).err
    change(folder / "config.json", num_attention_heads=[1, 1, 5, 8])
    lines = edgeseg("inspect", folder).err.splitlines()
    assert [line for line in lines if "heads" in line] == [
        "attention heads 1, 1, 5, 8, as its configuration says (usual: 1, 2, 5, 8)"
    ]


def test_a_config_without_a_field_means_transformers_default(tmp_path: Path) -> None:
    folder = small_demo(tmp_path / "demo")
    names = json.loads((folder / "config.json").read_text())
    kept = {key: names[key] for key in ("model_type", "id2label", "label2id")}
    (folder / "config.json").write_text(json.dumps(kept))
    assert differing(deployed_mask(folder, street()), transformers_mask(folder, street())) < FEW


def test_what_nothing_reads_is_said(tmp_path: Path) -> None:
    folder = small_demo(tmp_path / "demo")
    change(folder / "config.json", qkv_bias=False, architectures=["MySegformer"])
    told: list[str] = []
    read_checkpoint(str(folder), say=told.append)
    assert any("qkv_bias" in line and "does not read" in line for line in told)
    assert any("MySegformer" in line for line in told)


def test_a_b3_made_by_hand(tmp_path: Path) -> None:
    """B3's depths with B0's decoder, as a config written by hand has it."""
    from seeded import randomize
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    config = SegformerConfig(num_labels=3, depths=[3, 4, 18, 3], hidden_sizes=[64, 128, 320, 512])
    model = SegformerForSemanticSegmentation(config).eval()
    randomize(model, seed=3)
    folder = tmp_path / "b3"
    model.save_pretrained(folder)
    preprocessor = {"size": {"height": 64, "width": 64}}
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    frame = street(64, 64)
    assert differing(deployed_mask(folder, frame), transformers_mask(folder, frame)) < FEW
