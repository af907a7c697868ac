"""A hostile file runs nothing, whatever it is wrapped in: each would write a file."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import pickle
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from literal import mmseg_state

from edgeseg.errors import CheckpointError
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.export.contents import read_contents
from edgeseg.export.weights.names import gather_names
from edgeseg.export.weights.unpickle import Inert, InertUnpickler, Storage, Stored


class Hostile:
    """Calls a function when anything that trusts it unpickles it."""

    def __init__(self, function: Callable[..., object], *args: object) -> None:
        self.call = function, args

    def __reduce__(self) -> tuple[object, ...]:
        return self.call


def write_mark(path: Path) -> None:
    path.write_text("it ran")


# Ways to run code, by other parts of Python and torch. A method is pickled as a call of getattr.
WAYS: dict[str, Callable[[Path], Hostile]] = {
    "os.system": lambda mark: Hostile(os.system, f"touch {mark}"),
    "eval": lambda mark: Hostile(eval, f"open({str(mark)!r}, 'w').close()"),
    "exec": lambda mark: Hostile(exec, f"open({str(mark)!r}, 'w').close()"),
    "own function": lambda mark: Hostile(write_mark, mark),
    "getattr": lambda mark: Hostile(Path.write_text, mark, "it ran"),
    "getattr of an object": lambda mark: Hostile(mark.write_text, "it ran"),
    "functools.reduce": lambda mark: Hostile(functools.reduce, write_mark_of, [str(mark)], ""),
    "torch.save": lambda mark: Hostile(torch.save, {}, str(mark)),
}


def write_mark_of(_start: str, path: str) -> None:
    write_mark(Path(path))


class Module(torch.nn.Module):
    """A model that brings a hostile attribute and a hostile child."""

    def __init__(self, hostile: object) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)
        self.hook = hostile


def contents(hostile: object) -> dict[str, Any]:
    state = mmseg_state()
    return {
        "beside": {"state_dict": state, "optimizer": hostile},
        "inside": {"state_dict": state | {"criterion.weight": hostile}},
        "nested": {"model": {"net": state, "extra": {"deep": hostile}}},
        "average": {"state_dict": state, "ema": hostile},
        "alone": hostile,
        "whole model": {"state_dict": state, "model": Module(hostile)},
        "keys": {"state_dict": state, ("a", "tuple"): hostile},
    }


@pytest.mark.parametrize("zipped", [True, False], ids=["archive", "before 1.6"])
@pytest.mark.parametrize("where", list(contents(None)))
def test_a_hostile_checkpoint_runs_nothing(tmp_path: Path, zipped: bool, where: str) -> None:
    path, mark = tmp_path / "w.pth", tmp_path / "it_ran"
    hostile = [make(mark) for make in WAYS.values()]
    torch.save(contents(hostile)[where], path, _use_new_zipfile_serialization=zipped)
    if where == "alone":
        with pytest.raises(CheckpointError, match="not a dictionary of weights"):
            read_checkpoint(str(path))
    else:
        assert read_checkpoint(str(path)).layout == "mmsegmentation"
    assert not mark.exists()


@pytest.mark.parametrize("way", list(WAYS))
def test_the_payloads_are_hostile_indeed(tmp_path: Path, way: str) -> None:
    mark = tmp_path / "it_ran"
    torch.save(WAYS[way](mark), tmp_path / "w.pth")
    torch.load(tmp_path / "w.pth", weights_only=False)
    assert mark.exists()


def test_a_hostile_program_is_not_run(tmp_path: Path) -> None:
    """A TorchScript archive, whose code torch.jit.load would compile and whose pickle it reads."""
    path, mark = tmp_path / "w.pt", tmp_path / "it_ran"
    hostile = [make(mark) for make in WAYS.values()]
    torch.save({"state_dict": mmseg_state(), "optimizer": hostile}, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("w/constants.pkl", pickle.dumps(WAYS["os.system"](mark)))
        archive.writestr("w/code/__torch__.py", f"open({str(mark)!r}, 'w')")
    told: list[str] = []
    assert read_checkpoint(str(path), say=told.append).layout == "mmsegmentation"
    assert any("TorchScript program" in line for line in told)
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["part", "adapter", "base of an adapter"])
def test_files_that_bring_other_files_run_nothing(kind: str, tmp_path: Path) -> None:
    mark = tmp_path / "it_ran"
    hostile = [make(mark) for make in WAYS.values()]
    lora = {"base_model.model.x.lora_A.weight": torch.ones(1, 1), "hostile": hostile}
    contents: dict[str, tuple[str, object]] = {
        "part": ("pytorch_model-00001-of-00001.bin", mmseg_state() | {"criterion.x": hostile}),
        "adapter": ("adapter_model.bin", lora),
        "base of an adapter": ("pytorch_model.bin", mmseg_state() | {"criterion.x": hostile}),
    }
    name, content = contents[kind]
    torch.save(content, tmp_path / name)
    if kind == "part":
        index = {"weight_map": dict.fromkeys(mmseg_state(), name)}
        (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(index))
        assert read_checkpoint(str(tmp_path)).layout == "mmsegmentation"
    else:
        torch.save(lora, tmp_path / "adapter_model.bin")
        (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
        with pytest.raises(CheckpointError, match="adapter"):
            read_checkpoint(str(tmp_path))
    assert not mark.exists()


def test_an_archive_that_two_parsers_read_in_two_ways(tmp_path: Path) -> None:
    """Python takes the name from a field that torch does not know; torch would see a program."""
    torch.save({"state_dict": mmseg_state()}, tmp_path / "plain.pth")
    path = tmp_path / "w.pth"
    with zipfile.ZipFile(tmp_path / "plain.pth") as plain, zipfile.ZipFile(path, "w") as archive:
        for info in plain.infolist():
            archive.writestr(info.filename, plain.read(info))
        hidden = zipfile.ZipInfo("plain/constants.pkl")
        name = b"plain/harmless"
        checksum = zlib.crc32(b"plain/constants.pkl").to_bytes(4, "little")
        field = b"\x01" + checksum + name
        hidden.extra = b"\x75\x70" + len(field).to_bytes(2, "little") + field
        archive.writestr(hidden, b"")
    assert read_checkpoint(str(path)).layout == "mmsegmentation"


def _text(value: str) -> bytes:
    data = value.encode()
    return b"X" + len(data).to_bytes(4, "little") + data


_TENSORS = b"ctorch._utils\n_rebuild_tensor_v2\n"
# Programs for the unpickler, byte by byte: what no object makes when it is pickled.
PROGRAMS = {
    "an old instance": b"(" + _text("touch MARK") + b"ios\nsystem\n.",
    "an object": b"(cos\nsystem\n" + _text("touch MARK") + b"o.",
    "a class made new": b"cos\nsystem\n(" + _text("touch MARK") + b"t\x81.",
    "a call of what a call gave": (
        b"cbuiltins\ngetattr\n(cos\nsystem\n"
        + _text("__call__")
        + b"tR("
        + _text("touch MARK")
        + b"tR."
    ),
    "a state for a function of torch": (
        _TENSORS + b"(N}" + _text("__defaults__") + b"(K\x01K\x02tstb."
    ),
    "a state for a class": b"ccollections\nOrderedDict\n}" + _text("items") + b"K\x01sb.",
    "a state for a dictionary": (
        b"ccollections\nOrderedDict\n)R}" + _text("items") + b"cos\nsystem\nsb."
    ),
    "a state for an inert object": (
        b"cos\nsystem\n)R(}"
        + _text("__class__")
        + b"cos\nsystem\ns}"
        + _text("origin")
        + b"K\x01stb."
    ),
    "items for a class": b"cos\nsystem\n" + _text("a") + b"K\x01s.",
    "a builder without a storage": _TENSORS + b"(cos\nsystem\nK\x00)))K\x00tR.",
    "a builder of another": (
        b"ctorch._tensor\n_rebuild_from_type_v2\n(cos\nsystem\nctorch\nTensor\n("
        + _text("touch MARK")
        + b"tNtR."
    ),
    "a storage of a storage": (
        b"((" + _text("storage") + b"cos\nsystem\n" + _text("0") + _text("cpu") + b"K\x01tQt."
    ),
}


@pytest.mark.parametrize("program", list(PROGRAMS))
def test_no_program_for_the_unpickler_runs(program: str, tmp_path: Path) -> None:
    mark = tmp_path / "it_ran"
    text = PROGRAMS[program].replace(_text("touch MARK"), _text(f"touch {mark}"))
    defaults = torch._utils._rebuild_tensor_v2.__defaults__
    with contextlib.suppress(TypeError, AttributeError, pickle.UnpicklingError):
        found = InertUnpickler(io.BytesIO(text), no_storage).load()
        names = gather_names(found, origin="w.pth")  # the walk calls nothing of theirs
        assert not names.tensors
    assert not mark.exists()
    assert torch._utils._rebuild_tensor_v2.__defaults__ == defaults
    assert Inert.origin == ""
    assert OrderedDict(a=1).items()


def no_storage(_key: str, _name: str, _count: int) -> Storage:
    raise pickle.UnpicklingError("there is none")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("posix", "system"),
        ("torch", "load"),
        ("torch", "frombuffer"),
        ("torch.hub", "load"),
        ("torch.storage", "_load_from_bytes"),
        ("torch.jit", "load"),
        ("torch._utils", "_rebuild_wrapper_subclass"),
        ("subprocess", "Popen"),
        ("numpy", "load"),
        ("functools", "partial"),
        ("collections", "OrderedDict.fromkeys"),
    ],
)
def test_every_unknown_global_is_inert(module: str, name: str) -> None:
    found = InertUnpickler(io.BytesIO(), no_storage).find_class(module, name)
    assert found.__mro__[-2] is Inert


def test_numbers_outside_of_their_storage_are_refused(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "w.pth", "float32", 4, 0)
    for offset, shape, stride in [
        (4, (1,), (1,)),
        (0, (5,), (1,)),
        (0, (2, 3), (0, 0)),
        (-1, (1,), (1,)),
        (0, (-1,), (1,)),
        (0, (2,), (4,)),
        (0, (2**62,), (0,)),
        (0, (1,), (1, 1)),
    ]:
        with pytest.raises(ValueError, match="tensor"):
            Stored(storage, "float32", offset, shape, stride)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file in the old form; made once, for its length depends on addresses."""
    path = tmp_path_factory.mktemp("sound") / "w.pth"
    state = {"decode_head.linear_pred.weight": torch.ones(2), "n.running_mean": torch.ones(3)}
    content = {"state_dict": state, "ema": OrderedDict(state), "meta": {"epoch": 1}}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    return path.read_bytes()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(
    sound: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Any byte of the pickle may be another: no error but one of the checkpoint's."""
    folder = tmp_path_factory.mktemp("damaged")
    whole = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    (folder / "w.pth").write_bytes(whole)
    with contextlib.suppress(CheckpointError):
        read_contents(folder / "w.pth")
