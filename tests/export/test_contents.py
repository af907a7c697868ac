"""What is no checkpoint of edgeseg's is called what it is, with the way out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from literal import nvlabs_state
from oracle import small_demo
from safetensors.torch import load_file, save_file

from edgeseg.errors import CheckpointError, SpecError
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.overrides import Overrides


def _refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(str(path))
    assert "\n" not in str(caught.value)
    assert "holds no weights" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def demo() -> torch.nn.Module:
    from transformers import SegformerForSemanticSegmentation

    from edgeseg.demo.assets import find_demo_checkpoint

    return SegformerForSemanticSegmentation.from_pretrained(find_demo_checkpoint()).float().eval()


@pytest.mark.filterwarnings("ignore:torch.ao.quantization is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
def test_a_model_that_pytorch_quantized(demo: torch.nn.Module, tmp_path: Path) -> None:
    quantized = torch.ao.quantization.quantize_dynamic(demo, {torch.nn.Linear}, torch.qint8)
    torch.save(quantized.state_dict(), tmp_path / "w.pth")
    assert "quantized already" in _refused(tmp_path / "w.pth")


def test_a_file_of_whole_numbers_is_quantized(tmp_path: Path) -> None:
    state = nvlabs_state()
    name = "backbone.block1.0.attn.q.weight"
    state[name] = (state[name] * 100).to(torch.int8)
    save_file(state, tmp_path / "w.safetensors")
    said = _refused(tmp_path / "w.safetensors")
    assert "quantized already" in said
    assert name in said


@pytest.mark.filterwarnings("ignore:torch.ao.quantization is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
@pytest.mark.parametrize("key", [None, "model"])
def test_a_whole_model_that_pytorch_quantized(
    demo: torch.nn.Module, key: str | None, tmp_path: Path
) -> None:
    quantized = torch.ao.quantization.quantize_dynamic(demo, {torch.nn.Linear}, torch.qint8)
    torch.save(quantized if key is None else {key: quantized}, tmp_path / "w.pth")
    assert "quantized already" in _refused(tmp_path / "w.pth")


@pytest.mark.parametrize(
    "added",
    [
        {"{}.weight._data": torch.ones(2, dtype=torch.int8), "{}.weight._scale": torch.ones(2)},
        {"{}.weight_qdata": torch.ones(2, dtype=torch.int8)},
        {"{}.weight": torch.ones(2, 1, dtype=torch.uint8), "{}.weight.absmax": torch.ones(2)},
        {"{}.qweight": torch.ones(2, dtype=torch.int32), "{}.qzeros": torch.ones(2)},
        {"{}.weight": torch.ones(2, 2).to(torch.float8_e4m3fn)},
    ],
    ids=["quanto", "torchao", "bitsandbytes", "GPTQ", "float8"],
)
@pytest.mark.parametrize("prefix", ["", "model."])
@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_what_other_libraries_quantized(
    added: dict[str, torch.Tensor], prefix: str, name: str, tmp_path: Path
) -> None:
    layer = "backbone.block1.0.attn.q"
    state = nvlabs_state(classes=2)
    state.pop(f"{layer}.weight")
    state |= {key.format(layer): tensor for key, tensor in added.items()}
    wrapped = {f"{prefix}{key}": tensor for key, tensor in state.items()}
    if name.endswith(".pth"):
        torch.save({"state_dict": wrapped}, tmp_path / name)
    else:
        save_file(wrapped, tmp_path / name)
    assert "quantized already" in _refused(tmp_path / name)


@pytest.mark.parametrize("wrap", ["", "model.", "net.module."])
def test_a_wrapped_backbone_is_called_so(wrap: str, tmp_path: Path) -> None:
    state = {key: t for key, t in nvlabs_state().items() if key.startswith("backbone.")}
    wrapped = {f"{wrap}{key}": tensor for key, tensor in state.items()}
    torch.save({"state_dict": wrapped, "optimizer": {"state": {}}}, tmp_path / "last.ckpt")
    assert "classification backbone" in _refused(tmp_path / "last.ckpt")


def test_another_network_with_a_segformers_config(tmp_path: Path) -> None:
    """As weights of BiRefNet whose config.json names SegFormer's class: the keys decide."""
    folder = small_demo(tmp_path / "demo")
    state = {f"bb.layers.{i}.weight": torch.ones(2) for i in range(30)}
    save_file(state, folder / "model.safetensors")
    said = _refused(folder)
    assert "unknown layout (30 weights: bb.layers.0.weight" in said
    assert "bb.layers.9.weight); config.json beside it says segformer, but is of other" in said


def resnet_state() -> dict[str, torch.Tensor]:
    """Names and order of a ResNet of torchvision; safetensors puts the counters first."""
    state = {"bn1.num_batches_tracked": torch.tensor(1)}
    state |= {f"layer{i}.0.bn1.num_batches_tracked": torch.tensor(1) for i in range(1, 5)}
    state |= {"conv1.weight": torch.ones(64, 3, 7, 7)}
    state |= {f"layer{i}.0.conv1.weight": torch.ones(2, 2, 3, 3) for i in range(1, 5)}
    return state | {"fc.weight": torch.ones(1000, 512), "fc.bias": torch.ones(1000)}


def test_another_architecture_is_called_what_its_configuration_says(tmp_path: Path) -> None:
    save_file(resnet_state(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "resnet"}))
    assert "config.json beside it says model_type 'resnet'" in _refused(tmp_path)


def test_a_classification_network_is_called_so(tmp_path: Path) -> None:
    torch.save(resnet_state(), tmp_path / "w.pth")
    assert "fc.weight gives an image one of 1000 classes" in _refused(tmp_path / "w.pth")


def test_a_segmentation_head_alone_is_no_package(tmp_path: Path) -> None:
    """transformers' MobileNetV2 has one, as segmentation_models_pytorch has."""
    names = ("mobilenet_v2.conv_stem.weight", "segmentation_head.classifier.convolution.weight")
    torch.save(dict.fromkeys(names, torch.ones(2, 2, 1, 1)), tmp_path / "w.pth")
    assert "unknown layout (2 weights: mobilenet_v2" in _refused(tmp_path / "w.pth")


def test_the_names_that_are_shown_tell_something(tmp_path: Path) -> None:
    state = {name: one for name, one in resnet_state().items() if not name.startswith("fc")}
    save_file(state, tmp_path / "w.safetensors")
    said = _refused(tmp_path / "w.safetensors")
    assert "unknown layout (10 weights: conv1.weight, layer1.0.conv1.weight, " in said
    assert "num_batches_tracked" not in said


def test_the_same_network_without_its_classifier_is_asked_about(tmp_path: Path) -> None:
    whole = nvlabs_state()
    headless = {name: 2 * one for name, one in whole.items() if "linear_pred" not in name}
    torch.save({"state_dict": headless, "init_model": whole}, tmp_path / "w.pth")
    said = _refused(tmp_path / "w.pth")
    assert "again under `state_dict`, where it lacks decode_head.linear_pred.weight, " in said
    assert said.endswith("say --weights-key 'init_model'")
    told: list[str] = []
    wanted = Overrides(weights_key="init_model")
    read_checkpoint(str(tmp_path / "w.pth"), overrides=wanted, say=told.append)
    assert any("has the network again under `state_dict`, without decode_head" in x for x in told)
    assert not any("another network" in line for line in told)


def test_a_whole_model_with_its_adapter_unmerged(tmp_path: Path) -> None:
    layer = "model.base_model.model.segformer.encoder.block.0.0.attention.self.query"
    names = (f"{layer}.base_layer.weight", f"{layer}.lora_A.default.weight")
    torch.save({"state_dict": dict.fromkeys(names, torch.ones(2, 2))}, tmp_path / "last.ckpt")
    said = _refused(tmp_path / "last.ckpt")
    assert "merge_and_unload().state_dict()" in said


def test_a_larger_network_that_is_not_read_is_named(tmp_path: Path) -> None:
    other = {f"layers.{i}.weight": torch.ones(2) for i in range(400)}
    torch.save({"net": nvlabs_state(), "generator": other}, tmp_path / "w.pth")
    told: list[str] = []
    read_checkpoint(str(tmp_path / "w.pth"), say=told.append)
    (line,) = [line for line in told if "another network" in line]
    assert "`generator`" in line


def test_the_ending_of_pytorchs_examples(tmp_path: Path) -> None:
    (tmp_path / "images.tar").write_bytes(b"no weights")
    torch.save({"state_dict": nvlabs_state()}, tmp_path / "checkpoint.pth.tar")
    assert read_checkpoint(str(tmp_path)).layout == "nvlabs"


class Packed(torch.Tensor):
    """A tensor of a class of its own, as torchao and quanto save weights."""


def test_weights_that_are_objects_are_called_so(tmp_path: Path) -> None:
    state = nvlabs_state()
    name = "backbone.block1.0.attn.q.weight"
    packed = state[name].as_subclass(Packed)
    packed.scale = 2.0
    torch.save(state | {name: packed}, tmp_path / "w.pth")
    said = _refused(tmp_path / "w.pth")
    assert name in said
    assert "float checkpoint" in said


@pytest.mark.parametrize("how", ["folder", "file"])
def test_an_adapter_names_its_base(how: str, tmp_path: Path) -> None:
    name = "base_model.model.segformer.encoder.block.0.0.attention.self.query.lora_A.weight"
    save_file({name: torch.zeros(8, 32)}, tmp_path / "adapter_model.safetensors")
    config = {"base_model_name_or_path": "nvidia/mit-b0", "peft_type": "LORA"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    said = _refused(tmp_path if how == "folder" else tmp_path / "adapter_model.safetensors")
    assert "adapter" in said
    assert "nvidia/mit-b0" in said
    assert "merge_and_unload()" in said


@pytest.mark.parametrize(
    ("name", "called", "remedy"),
    [
        ("tf_model.h5", "TensorFlow", "from_tf=True"),
        ("model.keras", "TensorFlow", "PyTorch"),
        ("flax_model.msgpack", "Flax", "PyTorch"),
        ("model.onnx", "ONNX graph", "weights that it was made from"),
        ("model.engine", "TensorRT engine", "weights that it was made from"),
        ("model.pdparams", "PaddlePaddle", "PyTorch"),
        ("model.ckpt-1000.index", "TensorFlow", "PyTorch"),
    ],
)
@pytest.mark.parametrize("how", ["folder", "file"])
def test_files_of_other_frameworks(
    name: str, called: str, remedy: str, how: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(b"something")
    (tmp_path / "config.json").write_text("{}")
    said = _refused(tmp_path if how == "folder" else tmp_path / name)
    assert called in said
    assert remedy in said
    assert name in said


def test_other_channels_are_counted(tmp_path: Path) -> None:
    state = nvlabs_state()
    state["backbone.patch_embed1.proj.weight"] = torch.zeros(32, 4, 7, 7)
    torch.save(state, tmp_path / "w.pth")
    assert "takes images of 4 channels" in _refused(tmp_path / "w.pth")


@pytest.mark.parametrize(
    "key",
    ["backbone.patch_embed1.proj.weight", "backbone.block1.0.attn.kv.weight"],
)
def test_a_scalar_in_place_of_a_weight_is_refused(key: str, tmp_path: Path) -> None:
    state = nvlabs_state()
    assert key in state
    state[key] = torch.tensor(1.0)
    torch.save(state, tmp_path / "w.pth")
    assert "w.pth is " in _refused(tmp_path / "w.pth")


def test_a_name_that_is_too_long_is_an_error_of_the_checkpoint() -> None:
    with pytest.raises(CheckpointError, match="File name too long"):
        read_checkpoint("a" * 300)


def test_bare_weights_of_hugging_face_say_what_is_assumed(tmp_path: Path) -> None:
    folder = small_demo(tmp_path / "demo")
    save_file(load_file(folder / "model.safetensors"), tmp_path / "w.safetensors")
    told: list[str] = []
    read_checkpoint(str(tmp_path / "w.safetensors"), say=told.append)
    assert any("no config.json" in line and "heads (1, 2, 5, 8)" in line for line in told)
    assert any("assumed" in line and "512x512" in line for line in told)


def test_nvlabs_names_say_what_is_assumed(tmp_path: Path) -> None:
    torch.save(nvlabs_state(), tmp_path / "w.pth")
    told: list[str] = []
    read_checkpoint(str(tmp_path / "w.pth"), say=told.append)
    (line,) = [line for line in told if "read as the layout of NVlabs" in line]
    assert "1e-06" in line
    assert "BatchNorm eps 1e-05" in line
    assert "align_corners false" in line
    (line,) = [line for line in told if "assumed" in line and "size" in line]
    for word in ("1024x1024", "opencv-bilinear", "keep", "0.485", "0.229", "rgb", "--mean"):
        assert word in line


def test_an_input_below_32_says_why_and_what_to_do(tmp_path: Path) -> None:
    torch.save(nvlabs_state(), tmp_path / "w.pth")
    with pytest.raises(SpecError, match="the least that leaves .* a position.*frames are enlarged"):
        read_checkpoint(str(tmp_path / "w.pth"), size=(31, 56))
