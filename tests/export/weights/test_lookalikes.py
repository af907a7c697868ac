"""Files that people hold by accident: each is called what it is, whatever its name says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from oracle import small_demo
from safetensors.torch import load_file, save_file

from edgeseg.errors import CheckpointError
from edgeseg.export.checkpoint import read_checkpoint

POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    b"size 14895616\n"
)
PAGE = b"\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body></body></html>\n"
GRAPH = helper.make_graph(
    [helper.make_node("Relu", ["x"], ["y"])],
    "g",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
)


def write_onnx(**fields: str) -> bytes:
    model: onnx.ModelProto = helper.make_model(GRAPH, **fields)
    return model.SerializeToString()


ACCIDENTS = {
    "pointer": (POINTER, "is a pointer of Git LFS .* has 14,895,616 bytes; run `git lfs pull`"),
    "page": (PAGE, "is a web page .*; read it in a browser, and download the file"),
    "server": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "is a web page"),
    "empty": (b"", "is an empty file; download or copy it again"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(600), "is an HDF5 file, .*Keras and TensorFlow"),
    "ONNX": (write_onnx(), "is an ONNX graph; edgeseg needs the weights"),
    "ONNX of PyTorch": (write_onnx(producer_name="pytorch"), "is an ONNX graph; edgeseg needs"),
    "gzip": (b"\x1f\x8b\x08" + bytes(60), "is a gzip archive; unpack it"),
}


@pytest.mark.parametrize("name", ["model.safetensors", "best.pth", "pytorch_model.bin"])
@pytest.mark.parametrize("kind", ACCIDENTS)
def test_it_is_called_what_it_is(kind: str, name: str, tmp_path: Path) -> None:
    content, says = ACCIDENTS[kind]
    folder = small_demo(tmp_path / "demo")
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(content)
    for source in (folder, folder / name):
        with pytest.raises(CheckpointError, match=says) as caught:
            read_checkpoint(str(source))
        assert str(caught.value).startswith(f"{folder / name} is a")


def test_a_wrong_ending_is_said(tmp_path: Path) -> None:
    folder = small_demo(tmp_path / "demo")
    state = load_file(folder / "model.safetensors")
    save_file(state, tmp_path / "w.pth")
    torch.save(state, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match=r"a safetensors file .* rename it to w\.safetensors"):
        read_checkpoint(str(tmp_path / "w.pth"))
    with pytest.raises(CheckpointError, match=r"a file of torch\.save .* rename it to w\.pth"):
        read_checkpoint(str(tmp_path / "w.safetensors"))


@pytest.mark.parametrize("wrap", ["", "optimizer"])
def test_an_optimizers_state_is_called_so(wrap: str, tmp_path: Path) -> None:
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    state = optimizer.state_dict()
    torch.save({wrap: state} if wrap else state, tmp_path / "optimizer.pt")
    with pytest.raises(CheckpointError, match=r"holds an optimizer's state and no weights; give"):
        read_checkpoint(str(tmp_path / "optimizer.pt"))


@pytest.mark.parametrize("wrap", ["", "state_dict"])
def test_arrays_of_numpy_are_called_so(wrap: str, tmp_path: Path) -> None:
    arrays = {"conv.weight": np.ones((2, 2), np.float32), "conv.bias": np.ones(2)}
    torch.save({wrap: arrays} if wrap else arrays, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"NumPy arrays and no tensors \(.*conv\.weight, "):
        read_checkpoint(str(tmp_path / "w.pth"))


def test_the_folders_of_a_trainer_are_named(tmp_path: Path) -> None:
    for step in (500, 1000):
        small_demo(tmp_path / "out" / f"checkpoint-{step}")
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(str(tmp_path / "out"))
    first, second = (tmp_path / "out" / f"checkpoint-{step}" for step in (1000, 500))
    assert str(caught.value).endswith(f"name one of its folders that do: {first}, {second}")


def test_the_only_file_of_a_folder_is_named(tmp_path: Path) -> None:
    folder = small_demo(tmp_path / "demo")
    torch.save(load_file(folder / "model.safetensors"), folder / "epoch=3.ckpt")
    (folder / "model.safetensors").unlink()
    told: list[str] = []
    read_checkpoint(str(folder), say=told.append)
    assert "weights taken from epoch=3.ckpt, the only such file in the folder" in told
