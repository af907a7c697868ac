"""What torch.save writes is read as torch.load reads it, and nothing in it runs."""

from __future__ import annotations

import pickle
import sys
import types
import zipfile
from collections import OrderedDict, deque
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from literal import mmseg_state

from edgeseg.errors import CheckpointError
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.export.weights.names import gather_names, read_leaf
from edgeseg.export.weights.torch_file import read_torch_file
from edgeseg.export.weights.unpickle import Inert

FORMS = pytest.mark.parametrize("zipped", [True, False], ids=["archive", "before 1.6"])
TYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int8", "uint8", "bool")


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    names = gather_names(read_torch_file(path).content, origin="w.pth")
    return {name: read_leaf(leaf) for name, leaf in names.tensors.items()}


@st.composite
def tensors(draw: st.DrawFn) -> torch.Tensor:
    """A tensor of any type, of which a view may be saved: turned, cut, every other row."""
    shape = draw(st.lists(st.integers(0, 5), min_size=0, max_size=3))
    dtype = getattr(torch, draw(st.sampled_from(TYPES)))
    whole = (torch.arange(int(np.prod(shape, dtype=int))) % 100).reshape(shape).to(dtype)
    view = draw(st.sampled_from(["whole", "turned", "cut", "stepped"]))
    if view == "turned" and whole.ndim > 1:
        return whole.transpose(0, 1)
    if view == "cut" and whole.ndim:
        return whole[1:]
    return whole[::2] if view == "stepped" and whole.ndim else whole


@FORMS
@settings(max_examples=60, deadline=None)
@given(saved=st.dictionaries(st.sampled_from("abcdef"), tensors(), min_size=1))
def test_every_tensor_is_what_torch_load_gives(
    tmp_path_factory: pytest.TempPathFactory, zipped: bool, saved: dict[str, torch.Tensor]
) -> None:
    path = tmp_path_factory.mktemp("saved") / "w.pth"
    saved["parameter"] = torch.nn.Parameter(torch.ones(2, 3))
    saved["shared"] = saved["parameter"].detach()[1]
    torch.save(saved, path, _use_new_zipfile_serialization=zipped)
    expected = torch.load(path, weights_only=True)
    found = read_tensors(path)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor.detach())


def test_a_tensor_with_attributes_is_its_numbers(tmp_path: Path) -> None:
    tensor = torch.arange(4.0)
    tensor.no_weight_decay = True
    torch.save({"w": tensor}, tmp_path / "w.pth")
    assert torch.equal(read_tensors(tmp_path / "w.pth")["w"], tensor)


@pytest.fixture
def history_buffer(monkeypatch: pytest.MonkeyPatch) -> type:
    """A class at mmengine's address, with mmengine's attributes; gone again when it is read."""

    class HistoryBuffer:
        def __init__(self) -> None:
            self._max_length = 1_000_000
            self._log_history = np.array([0.7, 0.5, 0.3])
            self._count_history = np.array([1, 1, 1])
            self._statistics_methods: dict[str, object] = {}
            self.recent = deque([1.0, 2.0], maxlen=8)

    HistoryBuffer.__module__ = "mmengine.logging.history_buffer"
    HistoryBuffer.__qualname__ = "HistoryBuffer"
    for name in ("mmengine", "mmengine.logging", "mmengine.logging.history_buffer"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["mmengine.logging.history_buffer"].HistoryBuffer = HistoryBuffer
    return HistoryBuffer


@FORMS
def test_a_training_checkpoint_with_loggers_is_read(
    history_buffer: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool
) -> None:
    path = tmp_path / "iter_160000.pth"
    state = mmseg_state()
    content = {
        "meta": {"epoch": 1, "seed": 5},
        "state_dict": OrderedDict(state),
        "message_hub": {"log_scalars": OrderedDict({"train/loss": history_buffer()})},
        "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 6e-5}]},
    }
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    for name in ("mmengine", "mmengine.logging", "mmengine.logging.history_buffer"):
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)  # the reason for our own unpickler

    read = read_torch_file(path).content
    assert isinstance(read["message_hub"]["log_scalars"]["train/loss"], Inert)
    found = read_tensors(path)
    for key, value in state.items():
        assert torch.equal(found[f"state_dict.{key}"], value)
    assert read_checkpoint(str(path)).layout == "mmsegmentation"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda name, data: (name, data[:-4]) if "/data/" in name else (name, data), "too short"),
        (lambda name, data: (name, b"big") if "byteorder" in name else (name, data), "big-endian"),
        (lambda name, data: (name.replace("data.pkl", "other"), data), "not torch's"),
    ],
    ids=["short record", "big-endian", "no pickle"],
)
def test_a_wrong_archive_is_refused(change, says: str, tmp_path: Path) -> None:
    torch.save({"w": torch.ones(8)}, tmp_path / "w.pth")
    with (
        zipfile.ZipFile(tmp_path / "w.pth") as source,
        zipfile.ZipFile(tmp_path / "x.pth", "w") as target,
    ):
        for info in source.infolist():
            target.writestr(*change(info.filename, source.read(info)))
    with pytest.raises(CheckpointError, match=f"is it whole.*{says}"):
        read_torch_file(tmp_path / "x.pth")


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    """torch compresses nothing; a small file must not become a large one."""
    with zipfile.ZipFile(tmp_path / "w.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w/data.pkl", pickle.dumps({}))
    with pytest.raises(CheckpointError, match="compressed"):
        read_torch_file(tmp_path / "w.pth")
