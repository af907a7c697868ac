"""Whatever is wrapped around weights, the inner ones are read, or a refusal says why not."""

from __future__ import annotations

from collections import OrderedDict
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from literal import mmseg_state, nvlabs_state
from oracle import small_demo
from safetensors.torch import save_file

from edgeseg.demo.assets import find_demo_checkpoint
from edgeseg.errors import CheckpointError
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.export.contents import Contents, read_contents
from edgeseg.overrides import Overrides

State = dict[str, torch.Tensor]

PREFIXES = ("model", "net", "module", "_orig_mod", "segformer_model", "segformer", "student", "a.b")
CONTAINERS = ("state_dict", "model_state_dict", "model", "net", "weights", "params", "checkpoint")
EXTRAS = (
    "criterion.weight",
    "val_iou.confmat",
    "loss_fn.pos_weight",
    "auxiliary_head.conv.weight",
    "train_metrics.MulticlassJaccardIndex.confmat",
    "teacher.conv1.weight",
    "dice_loss.ignore",
)
UNKNOWN = ("neck.weight", "refine.conv.bias")


def load(source: Path) -> torch.nn.Module:
    from transformers import SegformerForSemanticSegmentation

    return SegformerForSemanticSegmentation.from_pretrained(source).float().eval()


@pytest.fixture  # of its own: after a forward pass transformers leaves hooks that cannot be pickled
def demo() -> torch.nn.Module:
    return load(find_demo_checkpoint())


def small(state: State) -> State:
    """The same names, with one number each: what is chosen is judged by names and numbers."""
    return {name: torch.full((1,), float(i)) for i, name in enumerate(state)}


@cache
def make_inners() -> list[State]:
    """Networks of three layouts; no fixture, for hypothesis writes out what it is given."""
    theirs = load(find_demo_checkpoint()).state_dict()
    return [small(state) for state in (theirs, nvlabs_state(), mmseg_state())]


@pytest.fixture
def inners() -> list[State]:
    return make_inners()


def wrap(state: dict[str, Any], containers: list[str], prefixes: list[str]) -> dict[str, Any]:
    content = {".".join([*prefixes, name]): value for name, value in state.items()}
    for key in containers:
        content = {
            "epoch": 3,
            key: content,
            "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}},
        }
    return content


def save_as(content: object, folder: Path) -> Path:
    torch.save(content, folder / "w.ckpt")
    return folder / "w.ckpt"


def assert_is(found: Contents, state: State) -> None:
    assert found.state.keys() == state.keys()
    assert all(torch.equal(found.state[name], tensor) for name, tensor in state.items())


@settings(max_examples=60, deadline=None)
@given(
    which=st.integers(0, 2),
    prefixes=st.lists(st.sampled_from(PREFIXES), max_size=3),
    containers=st.lists(st.sampled_from(CONTAINERS), max_size=3),
    extras=st.lists(st.sampled_from(EXTRAS), max_size=3, unique=True),
)
def test_any_stack_of_wrappers_is_the_inner_weights(
    tmp_path_factory: pytest.TempPathFactory,
    which: int,
    prefixes: list[str],
    containers: list[str],
    extras: list[str],
) -> None:
    inner = make_inners()[which]
    content = {".".join([*prefixes, name]): value for name, value in inner.items()}
    path = save_as(
        wrap(content | dict.fromkeys(extras, torch.ones(2)), containers, []),
        tmp_path_factory.mktemp("wrapped"),
    )
    found = read_contents(path)
    assert_is(found, inner)
    for name in extras:
        assert any("passed over" in note and name in note for note in found.notes)
    if prefixes:
        assert any(".".join(prefixes) in note for note in found.notes)


NAMED = st.lists(st.sampled_from((*PREFIXES[:5], "teacher", "ema", "model_ema")), max_size=2)


@settings(max_examples=60, deadline=None)
@given(which=st.integers(0, 2), one=NAMED, two=NAMED)
def test_two_networks_are_never_mixed(
    tmp_path_factory: pytest.TempPathFactory,
    which: int,
    one: list[str],
    two: list[str],
) -> None:
    assume(one != two)
    inner = make_inners()[which]
    other = {name: tensor + 1000 for name, tensor in inner.items()}
    content = wrap(inner, [], one) | wrap(other, [], two)
    path = save_as({"state_dict": content}, tmp_path_factory.mktemp("two"))
    averaged = {"ema", "model_ema"}
    if bool(averaged & {*one}) == bool(averaged & {*two}):
        with pytest.raises(CheckpointError, match="--weights-key"):
            read_contents(path)
    else:
        found = read_contents(path)
        assert_is(found, inner if averaged & {*one} else other)
        assert any("averaged one" in note for note in found.notes)
    for state, prefix in ((inner, one), (other, two)):
        label = ".".join(["state_dict", *prefix])
        assert_is(read_contents(path, key=label), state)


@pytest.mark.parametrize("name", UNKNOWN)
def test_weights_that_may_be_of_the_network_are_not_passed_over(
    inners: list[State], name: str, tmp_path: Path
) -> None:
    content = wrap(inners[0], [], ["model"]) | {name: torch.ones(2)}
    path = save_as({"state_dict": content}, tmp_path)
    with pytest.raises(CheckpointError, match=f"{name}; if the network does without") as caught:
        read_contents(path)
    assert "--weights-key 'state_dict.model'" in str(caught.value)
    found = read_contents(path, key="model")
    assert_is(found, inners[0])
    assert any("passed over" in note and name in note for note in found.notes)


def test_a_lightning_checkpoint(demo: torch.nn.Module, tmp_path: Path) -> None:
    """As Lightning writes it around trained weights, with the buffers of losses and metrics."""
    state = {f"model.{name}": tensor for name, tensor in demo.state_dict().items()}
    content = {
        "epoch": 3,
        "global_step": 100,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": OrderedDict(state | {"criterion.weight": torch.ones(11)}),
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {"ModelCheckpoint{'monitor': 'val_iou'}": {"best_k_models": {}}},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": []}],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": {"lr": 1e-4},
    }
    torch.save(content, tmp_path / "last.ckpt")
    told: list[str] = []
    found = read_checkpoint(str(tmp_path / "last.ckpt"), say=told.append)
    plain = read_checkpoint("demo").model.state_dict()
    assert all(torch.equal(found.model.state_dict()[name], plain[name]) for name in plain)
    assert any("weights read from `state_dict.model`" in line for line in told)
    assert any("passed over" in line and "criterion.weight" in line for line in told)


def test_statistics_of_the_images_are_shown(inners: list[State], tmp_path: Path) -> None:
    content = wrap(inners[0], [], ["model"]) | {
        "mean": torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1),
        "std": torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1),
    }
    found = read_contents(save_as({"state_dict": content}, tmp_path))
    (note,) = [note for note in found.notes if "--mean" in note]
    assert "mean 0.1,0.2,0.3 and std 0.4,0.5,0.6" in note
    assert_is(found, inners[0])


@pytest.mark.parametrize("zipped", [True, False], ids=["archive", "before 1.6"])
@pytest.mark.parametrize("around", ["alone", "model", "ema", "parallel"])
@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
def test_a_whole_pickled_model(
    demo: torch.nn.Module, around: str, zipped: bool, tmp_path: Path
) -> None:
    contents = {
        "alone": demo,
        "model": {"model": demo, "epoch": 1},
        "ema": {"model": None, "ema": demo, "optimizer": None},
        "parallel": {"net": torch.nn.DataParallel(demo)},
    }
    torch.save(contents[around], tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    found = read_contents(tmp_path / "w.pt")
    assert_is(found, demo.state_dict())
    (note,) = [note for note in found.notes if "whole pickled object" in note]
    assert "nothing in it runs" in note


class Logits(torch.nn.Module):
    """Only tensors can leave a TorchScript program."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.model(image).logits


@pytest.mark.filterwarnings("ignore")
def test_a_torchscript_program(demo: torch.nn.Module, tmp_path: Path) -> None:
    program = torch.jit.trace(Logits(demo), torch.zeros(1, 3, 64, 64))
    program.save(tmp_path / "w.pt")
    found = read_contents(tmp_path / "w.pt")
    assert_is(found, demo.state_dict())
    assert any("TorchScript" in note and "nothing in it runs" in note for note in found.notes)


@pytest.mark.filterwarnings("ignore")
def test_a_frozen_program_has_no_names(tmp_path: Path) -> None:
    program = torch.jit.freeze(torch.jit.script(torch.nn.Sequential(torch.nn.Linear(2, 2))).eval())
    torch.jit.save(program, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match="have no names, as torch.jit.freeze leaves it; give"):
        read_contents(tmp_path / "w.pt")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_other_widths_of_numbers(
    demo: torch.nn.Module, dtype: torch.dtype, name: str, tmp_path: Path
) -> None:
    narrow = {
        key: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for key, tensor in demo.state_dict().items()
    }
    save_file(narrow, tmp_path / name) if name.endswith("s") else torch.save(
        narrow, tmp_path / name
    )
    told: list[str] = []
    model = read_checkpoint(str(tmp_path / name), say=told.append).model
    theirs = narrow["decode_head.classifier.weight"]
    assert torch.equal(model.head.classifier.weight, theirs.float())
    assert not any("rounded" in line for line in told)  # every number fits float32
    name = {torch.float16: "FP16", torch.bfloat16: "BF16"}.get(dtype, "none")
    widened = any(f"weights are {name}, and are widened to float32" in line for line in told)
    assert widened is (dtype != torch.float64)


def test_digits_beyond_float32_are_rounded_and_said(tmp_path: Path) -> None:
    state = {name: tensor.double() for name, tensor in nvlabs_state().items() if tensor.ndim}
    state["decode_head.linear_pred.bias"] = state["decode_head.linear_pred.bias"] / 3
    torch.save(state, tmp_path / "w.pth")
    told: list[str] = []
    model = read_checkpoint(str(tmp_path / "w.pth"), say=told.append).model
    (line,) = [line for line in told if "rounded" in line]
    assert "1 of the" in line
    assert "decode_head.linear_pred.bias" in line
    assert torch.equal(model.head.classifier.bias, state["decode_head.linear_pred.bias"].float())


def test_parts_in_dictionaries_of_their_own(inners: list[State], tmp_path: Path) -> None:
    parts: dict[str, Any] = {"backbone": {}, "decode_head": {}, "optimizer": {"lr": 0.1}}
    for name, tensor in inners[1].items():
        root, _, rest = name.partition(".")
        parts[root][rest] = tensor
    assert_is(read_contents(save_as(parts, tmp_path)), inners[1])


def test_the_only_network_is_not_a_teacher(inners: list[State], tmp_path: Path) -> None:
    content = {"student": {"conv.weight": torch.ones(3)}, "teacher": inners[0]}
    path = save_as(content, tmp_path)
    with pytest.raises(CheckpointError, match="--weights-key 'teacher'"):
        read_contents(path)
    assert_is(read_contents(path, key="teacher"), inners[0])


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ("teacher", r"`student` and `teacher`, .* name it: --weights-key 'teacher'"),
        ("copy", r"`student` and `copy`, .* name it: --weights-key KEY"),
        ("", r"`student` and `\.` \(the top of the file\), .* --weights-key KEY"),
    ],
)
def test_only_a_likely_network_is_proposed(
    inners: list[State], other: str, says: str, tmp_path: Path
) -> None:
    two = {name: tensor + 1000 for name, tensor in inners[0].items()}
    content = {"student": inners[0]} | ({other: two} if other else two)
    with pytest.raises(CheckpointError, match=says):
        read_contents(save_as(content, tmp_path))


def test_a_key_that_leads_nowhere_lists_what_there_is(inners: list[State], tmp_path: Path) -> None:
    path = save_as({"a": inners[0], "b": small(nvlabs_state())}, tmp_path)
    with pytest.raises(CheckpointError, match="no network under --weights-key c; .*`a` or `b`"):
        read_contents(path, key="c")


def test_one_network_under_two_names_is_one(inners: list[State], tmp_path: Path) -> None:
    content = wrap(inners[0], [], ["model"]) | wrap(inners[0], [], ["ema_of", "net"])
    assert_is(read_contents(save_as(content, tmp_path)), inners[0])


def test_the_key_is_an_override(tmp_path: Path) -> None:
    folder = small_demo(tmp_path / "demo")
    with pytest.raises(CheckpointError, match="no network under --weights-key ema"):
        read_checkpoint(str(folder), overrides=Overrides(weights_key="ema"))


def test_a_file_that_repeats_itself_without_end_is_refused(tmp_path: Path) -> None:
    node: dict[str, Any] = {"w": torch.ones(1)}
    for _ in range(30):
        node = {"a": node, "b": node}
    with pytest.raises(CheckpointError, match="nests or repeats more"):
        read_contents(save_as(node, tmp_path))
    node["self"] = node
