from __future__ import annotations

import json
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from literal import State, mmseg_logits, mmseg_state, nvlabs_logits, nvlabs_state
from safetensors.torch import save_file
from seeded import normalized, random_image, transformers_model

from edgeseg.errors import CheckpointError
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.labels import get_known_labels, read_labels
from edgeseg.overrides import NO_OVERRIDES
from edgeseg.segformer.arch import VARIANTS, HeadKind, ModelSpec
from edgeseg.spec import Aspect, InputSpec, Resize


@pytest.fixture(scope="module")
def oracle() -> torch.nn.Module:
    return transformers_model("b0")


def test_hugging_faces_folder(oracle: torch.nn.Module, tmp_path: Path) -> None:
    oracle.save_pretrained(tmp_path)  # writes the names of transformers 4
    checkpoint = read_checkpoint(str(tmp_path))
    assert checkpoint.layout == "huggingface"
    _assert_same_logits(checkpoint.model, oracle)


def test_hugging_faces_folder_with_a_pickle(oracle: torch.nn.Module, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    oracle.save_pretrained(tmp_path)
    torch.save(load_file(tmp_path / "model.safetensors"), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    _assert_same_logits(read_checkpoint(str(tmp_path)).model, oracle)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "w.bin"])
def test_transformers_5s_own_names(oracle: torch.nn.Module, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    state = oracle.state_dict()
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    checkpoint = read_checkpoint(str(path))
    assert checkpoint.layout == "huggingface-5"
    _assert_same_logits(checkpoint.model, oracle)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "meta": {"epoch": 3}, "optimizer": {"lr": 0.1}},
        lambda state: {"model": state},
        lambda state: {"state_dict": {f"module.{key}": value for key, value in state.items()}},
    ],
    ids=["flat", "state_dict", "model", "distributed"],
)
def test_nvlabs_against_a_literal_network(tmp_path: Path, wrap) -> None:
    state = nvlabs_state()
    torch.save(wrap(state), tmp_path / "segformer.b0.pth")
    checkpoint = read_checkpoint(str(tmp_path / "segformer.b0.pth"))
    assert (checkpoint.layout, checkpoint.spec.name) == ("nvlabs", "b0")
    assert checkpoint.input.aspect is Aspect.KEEP
    _assert_same_as_literal(checkpoint.model, nvlabs_logits, state)


def test_mmsegmentation_against_a_literal_network(tmp_path: Path) -> None:
    state = mmseg_state()
    torch.save({"meta": {}, "state_dict": state}, tmp_path / "segformer_mit-b0.pth")
    checkpoint = read_checkpoint(str(tmp_path / "segformer_mit-b0.pth"))
    assert checkpoint.layout == "mmsegmentation"
    assert checkpoint.spec.head is HeadKind.CONV
    assert checkpoint.input.resize is Resize.OPENCV_BILINEAR
    _assert_same_as_literal(checkpoint.model, mmseg_logits, state)


def test_the_literal_networks_would_notice_swapped_keys_and_values(tmp_path: Path) -> None:
    state = nvlabs_state()
    key = "backbone.block1.0.attn.kv.weight"
    swapped = {**state, key: torch.cat(state[key].chunk(2)[::-1])}
    torch.save(swapped, tmp_path / "w.pth")
    model = read_checkpoint(str(tmp_path / "w.pth")).model.double()
    image = normalized(random_image(64, 64))
    expected = nvlabs_logits({k: v.double() for k, v in state.items()}, image)
    assert (model(image) - expected).abs().max() / expected.std() > 1e-3


@dataclass(frozen=True, kw_only=True)
class Refused:
    name: str
    change: object
    says: str


REFUSED = [
    Refused(
        name="missing keys",
        change=lambda s: {k: v for k, v in s.items() if "block2.0" not in k or "norm1.weight" in k},
        says="lacks 1[0-9] weights: backbone.block2.0.attn.kv.bias, .*, \\.\\.\\.",
    ),
    Refused(
        name="one missing key",
        change=lambda s: {k: v for k, v in s.items() if k != "backbone.norm3.bias"},
        says="lacks 1 weight: backbone.norm3.bias",
    ),
    Refused(
        name="unexpected keys",
        change=lambda s: s | {"neck.weight": torch.zeros(3)},
        says="has unexpected 1 weight: neck.weight",
    ),
    Refused(
        name="wrong shape",
        change=lambda s: s | {"backbone.norm1.bias": torch.zeros(31)},
        says="wrong shapes of 1 weight: backbone.norm1.bias",
    ),
    Refused(
        name="not a number",
        change=lambda s: s | {"backbone.norm1.bias": torch.full((32,), torch.nan)},
        says="NaN or infinity in 1 weight: backbone.norm1.bias",
    ),
    Refused(
        name="no published depth",
        change=lambda s: {k: v for k, v in s.items() if "block4.1" not in k},
        says="custom SegFormer .* do not show its attention heads; put a config.json",
    ),
    Refused(
        name="backbone without prefix",
        change=lambda s: (
            {k.removeprefix("backbone."): v for k, v in s.items() if k.startswith("backbone.")}
            | {"head.weight": torch.zeros(1000, 256)}
        ),
        says="classification backbone",
    ),
    Refused(
        name="backbone with prefix",
        change=lambda s: {k: v for k, v in s.items() if k.startswith("backbone.")},
        says="classification backbone",
    ),
    Refused(
        name="detection",
        change=lambda s: {
            "backbone.conv1.weight": torch.zeros(3),
            "bbox_head.fc.weight": torch.zeros(3),
        },
        says="detection model",
    ),
    Refused(
        name="unknown",
        change=lambda s: {"encoder.conv.weight": torch.zeros(3)},
        says="unknown layout .*encoder.conv.weight",
    ),
    Refused(name="no weights", change=lambda s: {"epoch": 3}, says="holds no weights"),
    Refused(name="a list", change=lambda s: [1, 2], says="holds list, not a dictionary"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_refused_with_one_clear_line(case: Refused, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save(case.change(nvlabs_state()), path)
    with pytest.raises(CheckpointError, match=case.says) as caught:
        read_checkpoint(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    state = nvlabs_state()
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    says = "is cut off: .* bytes are here" if share else "is an empty file"
    with pytest.raises(CheckpointError, match=f"{says}; download or copy it again"):
        read_checkpoint(str(path))


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        read_checkpoint(str(tmp_path / "missing.pth"))
    with pytest.raises(CheckpointError, match="should hold model.safetensors"):
        read_checkpoint(str(tmp_path))


def test_a_hub_id_without_a_connection(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise OSError("no network")

    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(
        CheckpointError, match="could not be fetched from the Hugging Face hub"
    ) as e:
        read_checkpoint("nobody/nothing-b0")
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("listed", "layout"),
    [("hf4", "huggingface"), ("nvlabs", "nvlabs"), ("mmseg", "mmsegmentation")],
)
def test_the_published_key_lists_are_read(
    shared: Path, tmp_path: Path, listed: str, layout: str
) -> None:
    """Names and shapes of real files, taken down from them."""
    lines = (shared / "reference" / "checkpoint_keys" / f"{listed}_b0_150.txt").read_text()
    state = {}
    for key, shape in (line.split() for line in lines.splitlines()):
        sides = () if shape == "scalar" else tuple(int(side) for side in shape.split("x"))
        state[key] = torch.ones(sides, dtype=torch.float16)  # halves are widened
    torch.save(state, tmp_path / "w.pth")
    checkpoint = read_checkpoint(str(tmp_path / "w.pth"))
    assert (checkpoint.layout, checkpoint.spec.classes) == (layout, 150)
    assert checkpoint.labels == get_known_labels("ade20k")
    assert checkpoint.model.head.fuse.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("name", "side", "classes"),
    [
        ("ade_b0", 512, 150),
        ("ade_b5", 640, 150),
        ("cityscapes_b5", 1024, 19),
        ("rugd_b0", None, None),
        ("rellis3d_b0", None, None),
    ],
)
def test_published_configurations_are_read(
    shared: Path, name: str, side: int | None, classes: int | None
) -> None:
    from edgeseg.export.metadata import read_metadata
    from edgeseg.export.segformer.layouts import HUGGING_FACE

    folder = shared / "reference" / "hf_configs" / name
    config = json.loads((folder / "config.json").read_text())
    variant = VARIANTS["b5" if sum(config["depths"]) > 8 else "b0"]
    spec = ModelSpec(
        encoder=variant.encoder,
        classes=len(config["id2label"]),
        decoder_width=variant.decoder_width,
        head=HeadKind.LINEAR,
        eps=HUGGING_FACE.eps,
    )
    beside = read_metadata(folder, HUGGING_FACE, {}, origin=name)
    assert beside.apply_config(spec) == spec
    assert beside.notes() == ()
    (facts,) = beside.facts(3, NO_OVERRIDES)
    labels, source = beside.labels(spec)
    assert source == "the checkpoint"
    if side is not None:
        assert (facts.size, spec.classes) == ((side, side), classes)
        known = get_known_labels("ade20k" if classes == 150 else "cityscapes")
        assert labels.palette == known.palette


def test_preprocessing_and_labels_are_inferred(oracle: torch.nn.Module, tmp_path: Path) -> None:
    names = list(get_known_labels("cityscapes").classes)
    oracle.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    # Sorted as strings, with a trailing blank: both occur in published files.
    config["id2label"] = dict(sorted((str(i), f"{name} ") for i, name in enumerate(names)))
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"size": {"height": 256, "width": 512}, "image_mean": [0.1, 0.2, 0.3]})
    )
    checkpoint = read_checkpoint(str(tmp_path))
    assert checkpoint.labels == get_known_labels("cityscapes")
    assert checkpoint.input == InputSpec(height=256, width=512, mean=(0.1, 0.2, 0.3))
    assert checkpoint.license == "unknown"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"size": 640}, InputSpec(height=640, width=640)),
        ({}, InputSpec(height=1024, width=1024)),
        ({"do_normalize": False}, InputSpec(height=512, width=512, mean=(0, 0, 0), std=(1, 1, 1))),
        (
            {"do_rescale": False, "image_mean": [127.5] * 3, "image_std": [51.0] * 3},
            InputSpec(height=512, width=512, mean=(0.5,) * 3, std=(0.2,) * 3),
        ),
    ],
    ids=["old plain size", "none", "not normalized", "in 0..255"],
)
def test_old_and_unusual_preprocessing(
    oracle: torch.nn.Module, tmp_path: Path, config: dict[str, object], expected: InputSpec
) -> None:
    oracle.save_pretrained(tmp_path)
    if config:
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    found = read_checkpoint(str(tmp_path)).input
    assert (found.height, found.width) == (expected.height, expected.width)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-12)
    np.testing.assert_allclose(found.std, expected.std, rtol=1e-12)


def test_mmengines_labels(tmp_path: Path) -> None:
    meta = {"dataset_meta": {"classes": tuple(get_known_labels("cityscapes").classes)}}
    torch.save({"meta": meta, "state_dict": mmseg_state()}, tmp_path / "w.pth")
    assert read_checkpoint(str(tmp_path / "w.pth")).labels == get_known_labels("cityscapes")


def test_labels_can_be_given(tmp_path: Path) -> None:
    torch.save(nvlabs_state(classes=3), tmp_path / "w.pth")
    (tmp_path / "names.txt").write_text("floor\nwall\nrobot\n")
    labels = read_labels(str(tmp_path / "names.txt"))
    assert read_checkpoint(str(tmp_path / "w.pth"), labels=labels).labels.classes[2] == "robot"
    with pytest.raises(CheckpointError, match="3 classes, but --labels names 19"):
        read_checkpoint(str(tmp_path / "w.pth"), labels=get_known_labels("cityscapes"))


def test_the_license_is_read_from_the_model_card(checkpoint_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(checkpoint_folder, folder)
    (folder / "README.md").write_text("---\ntags: [x]\nlicense: apache-2.0\n---\n# Model\n")
    assert read_checkpoint(str(folder)).license == "apache-2.0"


def test_what_we_write_transformers_loads(checkpoint_folder: Path) -> None:
    from transformers import SegformerForSemanticSegmentation

    ours = read_checkpoint(str(checkpoint_folder)).model
    theirs = SegformerForSemanticSegmentation.from_pretrained(checkpoint_folder).eval()
    _assert_same_logits(ours, theirs.requires_grad_(False))


def _assert_same_logits(ours: torch.nn.Module, theirs: torch.nn.Module) -> None:
    image = normalized(random_image(64, 96), torch.float32)
    expected = theirs(image).logits
    assert (ours(image) - expected).abs().max() / expected.std() < 1e-4


def _assert_same_as_literal(ours: torch.nn.Module, literal, state: State) -> None:
    """In float64, so that a wrong LayerNorm eps cannot hide."""
    image = normalized(random_image(97, 131))
    expected = literal({key: value.double() for key, value in state.items()}, image)
    assert expected.std() >= 0.5
    assert (ours.double()(image) - expected).abs().max() / expected.std() < 1e-9
