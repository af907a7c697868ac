from __future__ import annotations

import os
import pickle
import sys
import types
from collections import OrderedDict, deque
from pathlib import Path

import numpy as np
import pytest
import torch
from literal import mmseg_state

from edgeseg.errors import CheckpointError
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.export.unpickle import Inert, read_pickle


class Hostile:
    """Runs a command when it is unpickled by anything that trusts it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.path}",)


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


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
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

    content = read_pickle(path)
    assert isinstance(content["message_hub"]["log_scalars"]["train/loss"], Inert)
    for key, value in state.items():
        assert torch.equal(content["state_dict"][key], value)
    assert read_checkpoint(str(path)).layout == "mmsegmentation"


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("where", ["beside", "inside", "alone"])
def test_a_hostile_checkpoint_runs_nothing(tmp_path: Path, zipped: bool, where: str) -> None:
    path, mark = tmp_path / "w.pth", tmp_path / "it_ran"
    hostile = Hostile(mark)
    contents = {
        "beside": {"state_dict": mmseg_state(), "optimizer": hostile},
        "inside": {"state_dict": mmseg_state() | {"extra": hostile}},
        "alone": hostile,
    }
    torch.save(contents[where], path, _use_new_zipfile_serialization=zipped)
    if where == "alone":
        with pytest.raises(CheckpointError, match="not a dictionary of weights"):
            read_checkpoint(str(path))
    else:
        read_checkpoint(str(path))
    assert not mark.exists()
    torch.load(path, weights_only=False)  # the file is hostile indeed
    assert mark.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("posix", "system"),
        ("torch", "load"),
        ("torch.hub", "load"),
        ("subprocess", "Popen"),
        ("numpy", "load"),
        ("functools", "partial"),
    ],
)
def test_every_unknown_global_is_inert(module: str, name: str) -> None:
    import io

    from edgeseg.export.unpickle import _InertUnpickler

    assert _InertUnpickler(io.BytesIO()).find_class(module, name).__mro__[-2] is Inert


def test_a_torchscript_program_is_refused(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
        archive.writestr("w/constants.pkl", b"")
        archive.writestr("w/code/__torch__.py", b"")
    with pytest.raises(CheckpointError, match="TorchScript program"):
        read_pickle(tmp_path / "w.pt")
