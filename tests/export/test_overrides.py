"""What the user says goes before what files say, which goes before what is assumed; and is said."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from literal import mmseg_state, nvlabs_state
from oracle import FEW, change, deployed_mask, differing, small_demo, street, transformers_mask
from safetensors.torch import load_file

from edgeseg.errors import CheckpointError, SpecError
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.overrides import NO_OVERRIDES, Overrides, parse_overrides
from edgeseg.spec import IMAGENET_MEAN, Aspect, ChannelOrder, Resize

if TYPE_CHECKING:
    from outcome import Outcome

META = {"cfg": "data_preprocessor = dict(mean=[1, 2, 3], std=[4, 5, 6], bgr_to_rgb=True)"}


def _parse(**given: object) -> Overrides:
    options = {"mean": None, "std": None, "channel_order": None, "resize": None}
    return parse_overrides(**(options | given))


def test_values_in_0_to_1_and_in_0_to_255() -> None:
    plain = _parse(mean="0.485,0.456,0.406", std="0.229,0.224,0.225")
    bytes_ = _parse(mean="123.675,116.28,103.53/255", std="58.395,57.12,57.375/255")
    np.testing.assert_allclose(plain.mean, bytes_.mean, rtol=1e-6)
    np.testing.assert_allclose(plain.std, bytes_.std, rtol=1e-6)
    assert _parse(mean="0,0,0", std="1,1,1/255").std == (1 / 255,) * 3


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"mean": "123.675,116.28,103.53"}, "write --mean 123.675,116.28,103.53/255"),
        ({"std": "58.395,57.12,57.375"}, "/255"),
        ({"mean": "a,b,c"}, "one number for each channel"),
        ({"mean": "0.5,"}, "one number for each channel"),
        ({"mean": "nan,0,0"}, "finite"),
        ({"std": "0.2,0,0.2"}, "above 0"),
        ({"resize": "bilinear"}, "pillow-bilinear"),
        ({"resize": "pillow-bilinear,letterbox"}, "squash or ,keep"),
    ],
)
def test_what_is_not_in_its_form_is_refused(given: dict[str, str], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        _parse(**given)


def test_the_command_line_makes_the_mask_of_other_preprocessing(tmp_path: Path) -> None:
    """Overriding is the same as if the file had said it, which transformers shows."""
    folder, told_so = small_demo(tmp_path / "demo"), small_demo(tmp_path / "other")
    change(
        told_so / "preprocessor_config.json",
        image_mean=[0.1, 0.2, 0.3],
        image_std=[0.5, 0.6, 0.7],
        resample=0,
    )
    overrides = _parse(mean="0.1,0.2,0.3", std="0.5,0.6,0.7", resize="pillow-nearest")
    ours = deployed_mask(folder, street(), overrides=overrides)
    assert differing(ours, transformers_mask(told_so, street())) < FEW


def test_one_value_is_for_every_channel(tmp_path: Path) -> None:
    folder, spelled = small_demo(tmp_path / "demo"), small_demo(tmp_path / "spelled")
    change(folder / "preprocessor_config.json", image_mean=[0.4])
    change(spelled / "preprocessor_config.json", image_mean=[0.4] * 3, image_std=[0.3] * 3)
    ours = deployed_mask(folder, street(), overrides=_parse(std="0.3"))
    assert differing(ours, transformers_mask(spelled, street())) < FEW


def test_other_numbers_of_values_are_refused(tmp_path: Path) -> None:
    folder = small_demo(tmp_path / "demo")
    refusal = r"the command line gives 4 values of mean, and the weights take 3 channels; give one"
    with pytest.raises(CheckpointError, match=refusal):
        read_checkpoint(str(folder), overrides=_parse(mean="0.1,0.2,0.3,0.4"))


def test_what_a_file_says_wrongly_is_excused_by_an_option(tmp_path: Path) -> None:
    folder = small_demo(tmp_path / "demo")
    change(folder / "preprocessor_config.json", resample=4)
    with pytest.raises(CheckpointError, match="--resize overrides it"):
        read_checkpoint(str(folder))
    found = read_checkpoint(str(folder), overrides=_parse(resize="pillow-bicubic"))
    assert found.input.resize is Resize.PILLOW_BICUBIC
    meta = {"cfg": META["cfg"].replace("[1, 2, 3]", "[1] * 3")}
    torch.save({"meta": meta, "state_dict": mmseg_state()}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="give the right ones with --mean"):
        read_checkpoint(str(tmp_path / "w.pth"))
    found = read_checkpoint(str(tmp_path / "w.pth"), overrides=_parse(mean="0.1,0.2,0.3"))
    assert found.input.mean == (0.1, 0.2, 0.3)
    assert found.input_sources["mean"] == "the command line"


def test_a_network_that_takes_bgr(tmp_path: Path) -> None:
    """Its mean stands in its own order; transformers is given the image turned round."""
    folder, bgr = small_demo(tmp_path / "demo"), small_demo(tmp_path / "bgr")
    change(bgr / "preprocessor_config.json", image_mean=[0.1, 0.2, 0.3])
    overrides = _parse(mean="0.1,0.2,0.3", channel_order=ChannelOrder.BGR)
    ours = deployed_mask(folder, street(), overrides=overrides)
    turned = np.ascontiguousarray(street()[:, :, ::-1])
    assert differing(ours, transformers_mask(bgr, turned)) < FEW


@pytest.mark.parametrize("make", [nvlabs_state, mmseg_state])
def test_a_preprocessing_file_beside_a_pickle(make: Callable[[], object], tmp_path: Path) -> None:
    torch.save({"meta": META, "state_dict": make()}, tmp_path / "w.pth")
    said = {"image_mean": [0.3] * 3, "image_std": [0.4] * 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    told: list[str] = []
    found = read_checkpoint(str(tmp_path / "w.pth"), say=told.append)
    assert (found.input.mean, found.input.std) == ((0.3,) * 3, (0.4,) * 3)
    assert found.input.aspect is Aspect.KEEP  # of which it says nothing
    assert found.input_sources["mean"] == "preprocessor_config.json"
    assert found.input_sources["resize"] == "assumed"
    assert any(
        "gives other values of mean, std; preprocessor_config.json overrides them" in line
        for line in told
    )


def test_a_whole_processor_beside_a_pickle_is_hugging_faces(tmp_path: Path) -> None:
    torch.save(nvlabs_state(), tmp_path / "w.pth")
    said = {"image_processor_type": "SegformerImageProcessor", "size": 96}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    found = read_checkpoint(str(tmp_path / "w.pth")).input
    assert (found.resize, found.aspect) == (Resize.PILLOW_BILINEAR, Aspect.SQUASH)
    assert (found.height, found.width, found.mean) == (96, 96, IMAGENET_MEAN)


def test_the_command_line_goes_before_both(tmp_path: Path) -> None:
    torch.save({"meta": META, "state_dict": nvlabs_state()}, tmp_path / "w.pth")
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.3] * 3}))
    told: list[str] = []
    overrides = _parse(mean="0.7,0.7,0.7", resize="pillow-bilinear,squash")
    found = read_checkpoint(
        str(tmp_path / "w.pth"), size=(96, 128), overrides=overrides, say=told.append
    )
    assert found.input.mean == (0.7,) * 3
    assert found.input.std != (0.7,) * 3
    assert found.input_sources["mean"] == found.input_sources["size"] == "the command line"
    assert any("gives other values of mean" in line and "command line" in line for line in told)
    assert found.input.aspect is Aspect.SQUASH


def test_nothing_is_assumed_of_a_whole_folder_of_hugging_face(tmp_path: Path) -> None:
    told: list[str] = []
    found = read_checkpoint(str(small_demo(tmp_path / "demo")), say=told.append)
    assert told == ["207 of the 208 weights are FP16, and are widened to float32"]
    assert set(found.input_sources.values()) == {"preprocessor_config.json"}
    assert NO_OVERRIDES.options == ()


def test_the_manifest_records_what_decided(edgeseg: Callable[..., Outcome], tmp_path: Path) -> None:
    """From the command line to the bundle, and to `verify` against the same checkpoint."""
    folder = small_demo(tmp_path / "demo")
    shutil.copy(folder / "model.safetensors", tmp_path / "w.safetensors")
    given = ("--mean", "0.4,0.5,0.6", "--channel-order", "bgr", "--resize", "pillow-bicubic")
    done = edgeseg(
        *("export", "--weights", "w.safetensors", "--size", "96x128", "--precision", "fp32"),
        *("-o", "street", *given),
    )
    assert done.status == 0, done.err
    assert "channel order bgr" in done.err
    assert "input, assumed" in done.err
    assert "guessed from their number: are these its classes?" in done.err
    manifest = json.loads((tmp_path / "street" / "manifest.json").read_text())
    assert manifest["checkpoint"]["channel_order"] == "bgr"
    assert manifest["checkpoint"]["input_sources"] == {
        "size": "the command line",
        "resize": "the command line",
        "aspect": "assumed",
        "mean": "the command line",
        "std": "assumed",
        "channel_order": "the command line",
    }
    assert manifest["input"]["resize"] == "pillow-bicubic"
    assert manifest["input"]["mean"] == [0.6, 0.5, 0.4]  # red, green, blue
    assert manifest["model"]["heads"] == [1, 2, 5, 8]
    inspected = edgeseg("inspect", "w.safetensors", *given, "--json")
    assert inspected.status == 0, inspected.err
    assert json.loads(inspected.out)["input"]["mean"] == [0.6, 0.5, 0.4]


def test_the_network_of_a_file_that_has_two(
    edgeseg: Callable[..., Outcome], street: Path, tmp_path: Path
) -> None:
    """Each command that reads a checkpoint takes the same key, and verify for its reference."""
    state = load_file(small_demo(tmp_path / "demo") / "model.safetensors")
    state = {name: tensor.float() for name, tensor in state.items()}
    other = {name: tensor * 1.5 for name, tensor in state.items()}
    torch.save({"student": state, "teacher": other}, tmp_path / "w.pth")
    for name in ("config.json", "preprocessor_config.json"):
        shutil.copy(tmp_path / "demo" / name, tmp_path / name)
    refused = edgeseg("inspect", "w.pth")
    assert refused.status == 1
    assert "`student` and `teacher`" in refused.err
    assert "--weights-key 'teacher'" in refused.err
    key = ("--weights-key", "student")
    done = edgeseg("export", "--weights", "w.pth", "--precision", "fp32", "-o", "street", *key)
    assert done.status == 0, done.err
    assert "weights read from `student`, as --weights-key says, not `teacher`" in done.err
    assert "100.000 % of the pixels as in transformers" in done.err
    data = ("--data", street, "--split", "test")
    verified = edgeseg("verify", "street", "--reference", "w.pth", *data, *key, "--json")
    assert verified.status == 0, verified.err
    assert json.loads(verified.out)["pixel_agreement"] > 99.9
    wrong = edgeseg("inspect", "w.pth", "--weights-key", "nobody")
    assert wrong.status == 1
    assert "no network under --weights-key nobody" in wrong.err


@pytest.mark.parametrize("command", ["verify", "inspect"])
def test_options_for_a_checkpoint_need_one(
    edgeseg: Callable[..., Outcome], seeded_bundle, command: str
) -> None:
    done = edgeseg(command, seeded_bundle.folder, "--mean", "0.5,0.5,0.5")
    assert done.status != 0
    assert "--mean is for a checkpoint" in done.err


def test_inspect_shows_what_the_file_says_of_mean_and_std(
    edgeseg: Callable[..., Outcome], tmp_path: Path
) -> None:
    """As red, green, blue, in whatever order the network takes them."""
    state, told = mmseg_state(), "mean=[25.5, 51, 127.5], std=[51, 102, 76.5]"
    for name, turned in (("rgb", True), ("bgr", False)):
        config = f"data_preprocessor = dict({told}, bgr_to_rgb={turned}, size=(96, 128))"
        torch.save({"meta": {"cfg": config}, "state_dict": state}, tmp_path / f"{name}.pth")
    lines = edgeseg("inspect", "rgb.pth").err.splitlines()
    assert "normalized   mean 0.1,0.2,0.5, std 0.2,0.4,0.3 (of 0..1; red, green, blue)" in lines
    lines = edgeseg("inspect", "bgr.pth").err.splitlines()
    assert "normalized   mean 0.5,0.2,0.1, std 0.3,0.4,0.2 (of 0..1; red, green, blue)" in lines


@pytest.mark.parametrize(
    ("config", "field", "option"),
    [
        ("data_preprocessor = dict(mean=[1, 2, 3], std=[52, 51, 0])", "std 0.2039,0.2,0", "--std"),
        ("data_preprocessor = dict(mean=[1, 2, 3], std=[-1, 5, 6])", "std -0.003922,", "--std"),
        ("crop_size = (8, 16)", "size 8x16 (height x width)", "--size"),
    ],
)
def test_what_cannot_be_names_the_file_and_the_field(
    config: str, field: str, option: str, tmp_path: Path
) -> None:
    path = tmp_path / "w.pth"
    torch.save({"meta": {"cfg": config}, "state_dict": mmseg_state()}, path)
    with pytest.raises(CheckpointError, match=option) as caught:
        read_checkpoint(str(path))
    assert f"{path}: the training configuration in the file says {field}" in str(caught.value)
    better = Overrides(std=(0.5, 0.5, 0.5))
    assert read_checkpoint(str(path), size=(96, 128), overrides=better).input.height == 96
