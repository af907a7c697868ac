"""A LoRA adapter over its base is the merged model: peft's own merge, and the formula."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from edgeseg.demo.assets import find_demo_checkpoint
from edgeseg.errors import CheckpointError
from edgeseg.export.checkpoint import read_checkpoint

State = dict[str, torch.Tensor]

NEW = "base_model.model.segformer.stages.1.blocks.0.attention.q_proj"  # of transformers 5
OLD = "base_model.model.segformer.encoder.block.1.0.attention.self.query"
OURS = "stages.1.blocks.0.attention.q.weight"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return Path(shutil.copytree(find_demo_checkpoint(), tmp_path / "base"))


def write_adapter(folder: Path, state: State, **fields: Any) -> Path:
    folder.mkdir(exist_ok=True)
    save_file(state, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 16, "bias": "none"} | fields
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 0.1


def halves(module: str = NEW) -> State:
    return {f"{module}.lora_A.weight": draw(4, 64), f"{module}.lora_B.weight": draw(64, 4, seed=1)}


def refusal(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(str(folder))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("module", [NEW, OLD], ids=["transformers 5", "transformers 4"])
@pytest.mark.parametrize(
    ("fields", "scale"),
    [
        ({}, 4.0),
        ({"use_rslora": True}, 8.0),
        ({"alpha_pattern": {"q_proj": 2, "query": 2}}, 0.5),
        ({"alpha_pattern": {"1.blocks.0.attention.q_proj": 2, "1.0.attention.self.query": 2}}, 0.5),
        ({"alpha_pattern": {"v_proj": 2}}, 4.0),
    ],
    ids=["alpha / r", "alpha / sqrt(r)", "own alpha", "longer name", "another's alpha"],
)
def test_the_formula(
    module: str, fields: dict[str, Any], scale: float, base: Path, tmp_path: Path
) -> None:
    """W + scale * B A, and nothing else changes."""
    folder = write_adapter(
        tmp_path / "adapter", halves(module), base_model_name_or_path=str(base), **fields
    )
    told: list[str] = []
    found = read_checkpoint(str(folder), say=told.append)
    merged, plain = found.model.state_dict(), read_checkpoint(str(base)).model.state_dict()
    delta = scale * draw(64, 4, seed=1).double() @ draw(4, 64).double()
    assert torch.equal(merged.pop(OURS), (plain.pop(OURS).double() + delta).float())
    assert all(torch.equal(merged[name], plain[name]) for name in plain)
    assert any("adapter is merged into its base: 1 layer" in line for line in told)
    assert found.labels.classes == read_checkpoint(str(base)).labels.classes


@pytest.mark.parametrize("where", ["absolute", "relative", "working folder", "beside"])
def test_where_a_base_is_found(
    where: str, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"absolute": str(base), "relative": "../base", "working folder": "base", "beside": "x"}
    folder = tmp_path / "adapter"
    if where == "beside":
        shutil.copytree(base, folder)
    write_adapter(folder, halves(), base_model_name_or_path=names[where])
    if where == "working folder":
        monkeypatch.chdir(tmp_path)
    assert read_checkpoint(str(folder)).input.height == read_checkpoint(str(base)).input.height


def test_without_its_base_the_command_that_merges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    for name in ("x" * 300, "a\0b", "", 3):
        odd = write_adapter(tmp_path / "odd", halves(), base_model_name_or_path=name)
        assert "adapter (LoRA)" in refusal(odd)
    folder = write_adapter(tmp_path / "a", halves(), base_model_name_or_path="nobody/mit-b0")
    said = refusal(folder)
    assert "adapter (LoRA) of nobody/mit-b0" in said
    assert "merge_and_unload()" in said


def test_a_base_for_classification_gets_its_decoder_from_the_adapter(
    base: Path, tmp_path: Path
) -> None:
    """As peft leaves nvidia/mit-b0 with modules_to_save=["decode_head"]."""
    whole = load_file(base / "model.safetensors")
    encoder = {name: tensor for name, tensor in whole.items() if name.startswith("segformer.")}
    classifier = {"classifier.weight": draw(1000, 256), "classifier.bias": draw(1000)}
    save_file(encoder | classifier, base / "model.safetensors")
    config = json.loads((base / "config.json").read_text())
    names = {str(i): f"animal {i}" for i in range(1000)}
    (base / "config.json").write_text(json.dumps(config | {"id2label": names}))
    head = {
        f"base_model.model.{name}": tensor.clone()
        for name, tensor in whole.items()
        if name.startswith("decode_head.")
    }
    folder = write_adapter(
        tmp_path / "adapter",
        halves(OLD) | head,
        base_model_name_or_path="../base",
        modules_to_save=["decode_head"],
    )
    found = read_checkpoint(str(folder))
    plain = read_checkpoint("demo").model.state_dict()
    merged = found.model.state_dict()
    assert not torch.equal(merged.pop(OURS), plain.pop(OURS))
    assert all(torch.equal(merged[name], plain[name]) for name in plain)
    assert len(found.labels.classes) == 11


@pytest.mark.parametrize(
    ("state", "fields", "says"),
    [
        (halves(), {"peft_type": "LOHA"}, "peft_type LOHA"),
        (halves(), {"use_dora": True}, "use_dora True"),
        (halves(), {"init_lora_weights": "pissa"}, "init_lora_weights pissa"),
        (halves() | {f"{NEW}.lora_magnitude_vector": draw(64)}, {}, "another kind"),
        (halves() | {f"{NEW}.lora_A.weight": draw(4, 32)}, {}, "does not fit its base"),
        (halves() | {f"{NEW}.lora_B.weight": draw(64, 5)}, {}, "does not fit its base"),
        ({f"{NEW}.lora_A.weight": draw(4, 64)}, {}, "lacks one half"),
        (halves(NEW.replace("q_proj", "o_gate")), {}, "adapts layers that its base lacks"),
        (halves() | {"base_model.model.decode_head.classifier.bias": draw(11)}, {}, "no adapted"),
        (halves(), {"alpha_pattern": {"(a+)+": 2}}, "no plain name"),
        (halves(), {"lora_alpha": None}, "no number as lora_alpha"),
        (halves(), {"lora_alpha": 10**400}, "no number as lora_alpha"),
        (halves() | {f"{NEW}.lora_A.weight": draw(0, 64)}, {}, "does not fit its base"),
        (halves() | {f"{NEW}.lora_A.weight": torch.tensor(1.0)}, {}, "does not fit its base"),
    ],
)
def test_what_edgeseg_does_not_merge(
    state: State, fields: dict[str, Any], says: str, base: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "adapter"
    said = refusal(write_adapter(folder, state, base_model_name_or_path=str(base), **fields))
    assert says in said
    assert "merge_and_unload()" in said


def test_an_adapter_of_itself_is_refused(tmp_path: Path) -> None:
    folder = write_adapter(
        tmp_path / "a", halves(), base_model_name_or_path="adapter_model.safetensors"
    )
    assert "adapter (LoRA)" in refusal(folder)


@pytest.mark.parametrize(
    "options",
    [
        {"target_modules": ["q_proj", "v_proj"], "modules_to_save": ["decode_head"]},
        {"target_modules": r".*(fc1|reduction\.sequence_reduction|fuse)", "use_rslora": True},
        {"target_modules": ["q_proj", "proj"], "bias": "lora_only", "alpha_pattern": {"proj": 3}},
        {"target_modules": ["fc2"], "bias": "all", "rank_pattern": {"blocks.1.mlp.fc2": 2}},
        {"target_modules": ["o_proj"], "lora_bias": True},
    ],
    ids=["attention", "convolutions", "biases of layers", "all biases", "bias of B"],
)
@pytest.mark.filterwarnings("ignore")
def test_what_peft_merges(options: dict[str, Any], tmp_path: Path) -> None:
    peft = pytest.importorskip("peft", reason="needs peft, which is installed for this test only")
    from transformers import SegformerForSemanticSegmentation

    source = find_demo_checkpoint()
    model = SegformerForSemanticSegmentation.from_pretrained(source).float()
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=4, lora_alpha=8, **options))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:  # as training leaves them: B is 0 at the beginning
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.02)
    adapted.save_pretrained(tmp_path / "adapter")
    adapted.merge_and_unload().save_pretrained(tmp_path / "merged")
    ours = read_checkpoint(str(tmp_path / "adapter")).model.state_dict()
    theirs = read_checkpoint(str(tmp_path / "merged")).model.state_dict()
    changed = read_checkpoint("demo").model.state_dict()
    assert any(not torch.equal(theirs[name], changed[name]) for name in theirs)
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, rtol=1e-6, atol=1e-7)  # float32's rounding
