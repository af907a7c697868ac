"""Each field of preprocessor_config.json is honored or refused by name, as transformers has it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from oracle import FEW, change, deployed_mask, differing, small_demo, street, transformers_mask
from PIL import Image
from torch.nn import functional

from edgeseg.errors import CheckpointError
from edgeseg.export.checkpoint import read_checkpoint


@dataclass(frozen=True, kw_only=True)
class Case:
    """`frame` and `size` are height and width; `size` is what --size would say."""

    says: dict[str, object]
    without: tuple[str, ...] = ()
    frame: tuple[int, int] = (120, 160)
    size: tuple[int, int] | None = None
    name: str = field(default="")


HONORED = [
    Case(says={"size": {"height": 128, "width": 96}}),
    Case(says={"size": 96}),
    Case(says={"size": [96, 128]}),
    Case(says={"resample": 0}),
    Case(says={"resample": 1}),
    Case(says={"resample": 3}),
    Case(says={"do_rescale": False, "image_mean": [123.7, 116.3, 103.5], "image_std": 58.0}),
    Case(says={"rescale_factor": 1 / 127.5}),
    Case(says={"do_rescale": False, "rescale_factor": 0}),
    Case(says={"do_normalize": False}),
    Case(says={"image_mean": 0.5, "image_std": 0.25}),
    Case(says={"image_mean": [0.1, 0.2, 0.3]}),
    Case(says={"image_std": [0.3, 0.2, 0.1]}),
    Case(says={}, without=("image_mean", "image_std", "do_rescale", "do_normalize")),
    Case(says={"do_convert_rgb": True}),
    Case(says={"do_reduce_labels": True}),
    Case(says={"do_normalize": False, "do_rescale": True, "image_mean": None, "image_std": None}),
    Case(says={"image_processor_type": "SegformerImageProcessorFast"}),
    Case(says={"image_processor_type": "SegformerFeatureExtractor"}),
    # SegFormer's processor neither crops nor pads, and knows no keep_ratio.
    Case(says={"do_center_crop": True, "crop_size": {"height": 64, "width": 64}}),
    Case(says={"do_pad": True, "pad_size": {"height": 256, "width": 256}}),
    Case(says={"keep_ratio": True}),
    # The user says the frames' size, by which the rule gives one size.
    Case(says={"do_resize": False}, size=(120, 160)),
    Case(says={"size": {"shortest_edge": 96}}, size=(96, 128)),
    Case(says={"size": {"shortest_edge": 96}}, frame=(90, 160), size=(96, 170)),
    Case(says={"size": 96, "default_to_square": False}, frame=(160, 90), size=(170, 96)),
]

REFUSED = [
    Case(name="do_resize", says={"do_resize": False}),
    Case(name="shortest_edge", says={"size": {"shortest_edge": 96}}),
    Case(name="shortest_edge", says={"size": 96, "default_to_square": False}),
    Case(name="longest_edge", says={"size": {"shortest_edge": 96, "longest_edge": 200}}),
    Case(name="max_height", says={"size": {"max_height": 96, "max_width": 96}}),
    Case(name="size", says={"size": "large"}),
    Case(name="size", says={"size": {"height": 96}}),
    Case(name="size", says={"size": [96, 128, 3]}),
    Case(name="size", says={"size": {"height": 96, "width": True}}),
    Case(name="do_resize None", says={"do_resize": None}),
    Case(name="do_rescale", says={"do_rescale": "no"}),
    Case(name="do_normalize", says={"do_normalize": 0}),
    Case(name="default_to_square", says={"default_to_square": None}),
    Case(name="resample", says={"resample": None}),
    Case(name="resample", says={"resample": 4}),
    Case(name="image_mean", says={"image_mean": None}),
    Case(name="resample", says={"resample": "bilinear"}),
    Case(name="rescale_factor", says={"rescale_factor": 0}),
    Case(name="rescale_factor", says={"rescale_factor": "1/255"}),
    Case(name="image_std", says={"image_std": [0.2, 0.0, 0.2]}),
    Case(name="2 values of mean", says={"image_mean": [0.5, 0.5]}),
    Case(name="image_mean", says={"image_mean": []}),
    Case(name="image_mean", says={"image_mean": [0.5, float("nan"), 0.5]}),
    Case(name="image_processor_type", says={"image_processor_type": "ViTImageProcessor"}),
    Case(name="feature_extractor_type", says={"feature_extractor_type": "BeitFeatureExtractor"}),
    Case(name="data_format", says={"data_format": "channels_last"}),
    Case(name="data_format", says={"data_format": ["channels_first"]}),
    Case(name="rescale_factor", says={"rescale_factor": 10**400}),
]


def _id(case: Case) -> str:
    return f"{case.name}{json.dumps(case.says)[:40]}{'-sized' if case.size else ''}"


def _folder(case: Case, tmp_path: Path) -> Path:
    folder = small_demo(tmp_path / "demo")
    change(folder / "preprocessor_config.json", *case.without, **case.says)
    return folder


@pytest.mark.parametrize("case", HONORED, ids=_id)
def test_the_mask_is_that_of_transformers(case: Case, tmp_path: Path) -> None:
    folder = _folder(case, tmp_path)
    frame = street(*case.frame)
    ours = deployed_mask(folder, frame, **({} if case.size is None else {"size": case.size}))
    assert differing(ours, transformers_mask(folder, frame)) < FEW


@pytest.mark.parametrize("case", REFUSED, ids=_id)
def test_what_edgeseg_does_not_do_is_refused_by_name(case: Case, tmp_path: Path) -> None:
    folder = _folder(case, tmp_path)
    with pytest.raises(CheckpointError, match=case.name) as caught:
        read_checkpoint(str(folder))
    assert "\n" not in str(caught.value)


def test_frames_of_another_size_are_said_to_be_resized(tmp_path: Path) -> None:
    folder = _folder(Case(says={"do_resize": False}), tmp_path)
    told: list[str] = []
    read_checkpoint(str(folder), size=(96, 128), say=told.append)
    assert any("do_resize false" in line and "resized to 96x128" in line for line in told)


def test_what_no_processor_reads_is_said(tmp_path: Path) -> None:
    folder = _folder(Case(says={"keep_ratio": True}), tmp_path)
    told: list[str] = []
    read_checkpoint(str(folder), say=told.append)
    assert any("keep_ratio" in line and "does not read" in line for line in told)


@pytest.mark.parametrize("asked", [True, False])
def test_a_crop_that_no_processor_makes_is_said(asked: bool, tmp_path: Path) -> None:
    crop = {"do_center_crop": asked, "crop_size": {"height": 64, "width": 64}}
    told: list[str] = []
    read_checkpoint(str(_folder(Case(says=crop), tmp_path)), say=told.append)
    assert any("do_center_crop: SegFormer" in line for line in told) is asked


@pytest.mark.parametrize(
    "case",
    [
        Case(says={}),
        Case(says={"resample": 0}),
        Case(says={"resample": 3}),
        Case(says={"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": 112}),
    ],
    ids=_id,
)
def test_on_a_photograph(case: Case, shared: Path, tmp_path: Path) -> None:
    folder = _folder(case, tmp_path)
    photograph = np.asarray(Image.open(shared / "data" / "stills" / "city_0.jpg").convert("RGB"))
    frame = np.ascontiguousarray(photograph[:, :, ::-1])
    assert differing(deployed_mask(folder, frame), transformers_mask(folder, frame)) < FEW


@pytest.mark.parametrize(
    ("says", "without"),
    [
        pytest.param(
            {
                "feature_extractor_type": "SegformerFeatureExtractor",
                "size": 112,
                "reduce_labels": 1,
            },
            ("image_processor_type", "do_reduce_labels", "do_rescale", "rescale_factor"),
            id="4.18",
        ),
        pytest.param(
            {
                "image_processor_type": "SegformerImageProcessorFast",
                "data_format": "channels_first",
                "crop_size": None,
                "default_to_square": True,
                "device": None,
                "do_center_crop": None,
                "do_convert_rgb": None,
                "input_data_format": None,
                "return_tensors": None,
            },
            (),
            id="4.53, fast",
        ),
        pytest.param(
            {"image_processor_type": "SegformerImageProcessorPil", "do_pad": None}, (), id="5"
        ),
    ],
)
def test_files_of_old_and_new_transformers(
    says: dict[str, object], without: tuple[str, ...], tmp_path: Path
) -> None:
    folder = _folder(Case(says=says, without=without), tmp_path)
    told: list[str] = []
    found = read_checkpoint(str(folder), say=told.append)
    assert found.reduce_labels == ("reduce_labels" in says)
    assert not any("does not read" in line for line in told)
    assert differing(deployed_mask(folder, street()), transformers_mask(folder, street())) < FEW


@pytest.mark.parametrize(
    ("resample", "says"),
    [
        (2, "edgeseg resizes by Pillow, whose pixels differ by rounding"),
        (0, "picks the other of two pixels that are equally near"),
        (1, "takes bicubic for lanczos"),
    ],
)
def test_the_fast_processors_own_rule_is_said(resample: int, says: str, tmp_path: Path) -> None:
    fast = {"image_processor_type": "SegformerImageProcessorFast", "resample": resample}
    told: list[str] = []
    read_checkpoint(str(_folder(Case(says=fast), tmp_path)), say=told.append)
    assert any("resizes by torchvision" in line and says in line for line in told)


@pytest.mark.parametrize(("rule", "most"), [("bilinear", 1), ("bicubic", 2)])
def test_torchvisions_pixels_differ_by_rounding(rule: str, most: int) -> None:
    """torchvision calls torch's antialiased interpolation of bytes."""
    frame = street(360, 480)
    pillow = Image.fromarray(frame).resize((128, 96), Image.Resampling[rule.upper()])
    pixels = torch.from_numpy(frame.copy()).permute(2, 0, 1)[None].contiguous()
    fast = functional.interpolate(pixels, (96, 128), mode=rule, antialias=True)
    apart = np.abs(np.asarray(pillow).astype(int) - fast[0].permute(1, 2, 0).numpy())
    assert apart.max() <= most
    assert (apart > 0).mean() < 0.01


def test_without_a_file_what_is_assumed_is_said(tmp_path: Path) -> None:
    folder = small_demo(tmp_path / "demo")
    (folder / "preprocessor_config.json").unlink()
    told: list[str] = []
    read_checkpoint(str(folder), say=told.append)
    (line,) = (line for line in told if "assumed because no file says it" in line)
    assert "size 512x512" in line
    assert "--resize" in line
