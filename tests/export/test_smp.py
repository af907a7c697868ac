"""segmentation_models_pytorch's Segformer, judged by that package."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from oracle import FEW, change, deployed_mask, differing, street
from renamed import SMP_CONFIG, smp_folder, smp_state
from safetensors.torch import save_file
from smp_oracle import Smp, find_smp

from edgeseg.errors import CheckpointError
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.export.reference import compute_reference_mask
from edgeseg.images import read_image
from edgeseg.overrides import Overrides
from edgeseg.spec import Aspect, Resize, Upsampling

if TYPE_CHECKING:
    from outcome import Outcome

SIZE = (96, 128)


@pytest.fixture(scope="module")
def smp(common: Path) -> Iterator[Smp]:
    found = find_smp(common)
    yield found
    found.close()


def test_masks_are_those_of_the_package(smp: Smp, tmp_path: Path) -> None:
    folder = smp_folder(tmp_path / "saved")
    frames = [street(*size) for size in ((120, 160), (96, 128), (300, 250), (77, 61))]
    checkpoint = read_checkpoint(str(folder), size=SIZE)
    masks = smp.masks(folder, *frames, height=96, width=128)
    for frame, expected in zip(frames, masks, strict=True):
        assert differing(deployed_mask(folder, frame, size=SIZE), expected) <= FEW
        reference = compute_reference_mask(checkpoint.model, checkpoint.input, frame)
        assert differing(reference, expected) <= FEW
        assert len(np.unique(expected)) > 4


def test_masks_of_photographs_are_those_of_the_package(
    smp: Smp, tmp_path: Path, shared: Path
) -> None:
    """At the size that the weights were trained at, which is not the photographs'."""
    frames = [read_image(shared / "data" / "stills" / f"city_{n}.jpg") for n in (0, 3)]
    folder = smp_folder(tmp_path / "saved")
    masks = smp.masks(folder, *frames, height=512, width=512)
    for frame, expected in zip(frames, masks, strict=True):
        assert frame.shape[:2] != (512, 512)
        assert differing(deployed_mask(folder, frame, size=(512, 512)), expected) <= FEW


@pytest.mark.parametrize(
    "encoder",
    ["mit_b0", *(pytest.param(f"mit_b{n}", marks=pytest.mark.long) for n in (1, 2, 3, 4, 5))],
)
def test_what_the_package_saves_is_read(smp: Smp, tmp_path: Path, encoder: str) -> None:
    folder = smp.save_random(tmp_path / "saved", encoder)
    lines: list[str] = []
    checkpoint = read_checkpoint(str(folder), size=SIZE, say=lines.append)
    assert checkpoint.spec.name == encoder.removeprefix("mit_")
    assert checkpoint.layout == "smp"
    assert checkpoint.license == "mit"
    assert checkpoint.input.upsampling is Upsampling.ALIGN_CORNERS
    frame = street()
    (expected,) = smp.masks(folder, frame, height=96, width=128)
    assert len(np.unique(expected)) > 1
    assert differing(deployed_mask(folder, frame, size=SIZE), expected) <= FEW
    assert any("read as Segformer of segmentation_models_pytorch" in line for line in lines)


@pytest.mark.parametrize("frame_size", [(200, 140), (90, 300)], ids=str)
def test_the_references_mask_of_a_padded_frame_is_the_deployed_one(
    tmp_path: Path, frame_size: tuple[int, int]
) -> None:
    folder, frame = smp_folder(tmp_path / "saved"), street(*frame_size)
    options = Overrides(resize=Resize.OPENCV_BILINEAR, aspect=Aspect.KEEP)
    checkpoint = read_checkpoint(str(folder), size=SIZE, overrides=options)
    reference = compute_reference_mask(checkpoint.model, checkpoint.input, frame)
    deployed = deployed_mask(folder, frame, size=SIZE, overrides=options)
    assert differing(deployed, reference) <= FEW


def test_one_logit_has_the_packages_own_masks(smp: Smp, tmp_path: Path) -> None:
    """`classes=1` is the package's default: road against the mean of all classes."""
    folder = smp_folder(tmp_path / "saved", classes=1)
    state = smp_state()
    for leaf in ("weight", "bias"):
        rows = state[f"segmentation_head.0.{leaf}"]
        state[f"segmentation_head.0.{leaf}"] = (rows[3] - rows.mean(dim=0))[None]
    save_file(state, folder / "model.safetensors")
    frame = street()
    (expected,) = smp.masks(folder, frame, height=96, width=128)
    assert set(np.unique(expected)) == {0, 1}
    assert differing(deployed_mask(folder, frame, size=SIZE), expected) <= FEW


def test_lightnings_checkpoint_around_the_model_is_read(tmp_path: Path) -> None:
    wrapped = {f"model.{name}": value for name, value in smp_state().items()}
    torch.save({"state_dict": wrapped, "epoch": 3, "hyper_parameters": {}}, tmp_path / "last.ckpt")
    folder = smp_folder(tmp_path / "saved")
    masks = [deployed_mask(one, street(), size=SIZE) for one in (tmp_path / "last.ckpt", folder)]
    np.testing.assert_array_equal(*masks)


def test_a_bare_state_dict_is_read_and_says_what_it_assumes(tmp_path: Path) -> None:
    path = tmp_path / "best.pth"
    torch.save(smp_state(), path)
    lines: list[str] = []
    checkpoint = read_checkpoint(str(path), say=lines.append)
    told = "\n".join(lines)
    assert "no config.json beside the weights: no activation and upsampling=4 are assumed" in told
    assert "align_corners=True" in told
    assert re.search(
        r"assumed because no file says it: size 512x512.*opencv-bilinear.*squash", told
    )
    assert "mean 0.485,0.456,0.406" in told
    assert checkpoint.input.resize is Resize.OPENCV_BILINEAR
    assert checkpoint.input.aspect is Aspect.SQUASH


def test_an_auxiliary_head_and_an_activation_are_left_out(smp: Smp, tmp_path: Path) -> None:
    """The activation keeps the order of a pixel's classes. At the input's own size nothing else
    follows it.
    """
    folder = smp_folder(
        tmp_path / "saved", aux_params={"classes": 4, "dropout": 0.5}, activation="softmax2d"
    )
    extra = {"weight": torch.ones(4, 256), "bias": torch.zeros(4)}
    head = {f"classification_head.3.{leaf}": value for leaf, value in extra.items()}
    save_file(smp_state() | head, folder / "model.safetensors")
    lines: list[str] = []
    read_checkpoint(str(folder), size=SIZE, say=lines.append)
    assert any("passed over" in one and "classification_head.3.weight" in one for one in lines)
    assert any("activation softmax2d is left out" in line for line in lines)
    frame = street(*SIZE)
    (expected,) = smp.masks(folder, frame, height=96, width=128)
    assert differing(deployed_mask(folder, frame, size=SIZE), expected) <= FEW


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("_model_class", "Unet", "says _model_class 'Unet'.*Segformer"),
        ("encoder_depth", 4, "says encoder_depth 4"),
        ("upsampling", 2, "says upsampling 2"),
        ("activation", "clamp", "says activation 'clamp'"),
        ("activation", ["sigmoid"], "says activation"),
        ("encoder_name", "mit_b3", "says encoder_name 'mit_b3', but the weights have 'mit_b0'"),
        ("encoder_name", "resnet34", "says encoder_name 'resnet34'"),
        ("in_channels", 4, "says in_channels 4, but the weights have 3"),
        ("classes", 5, "says classes 5, but the weights have 11"),
        ("decoder_segmentation_channels", 512, "says decoder_segmentation_channels 512"),
    ],
)
def test_a_config_that_says_otherwise_is_refused_by_the_fields_name(
    tmp_path: Path, field: str, value: object, told: str
) -> None:
    folder = smp_folder(tmp_path / "saved")
    change(folder / "config.json", **{field: value})
    with pytest.raises(CheckpointError, match=told):
        read_checkpoint(str(folder), size=SIZE)


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("encoder.layer1.0.conv1.weight", "behind a ResNet"),
        ("encoder.model.conv_stem.weight", "behind an encoder from timm"),
        ("encoder._blocks.0._bn0.weight", "behind an EfficientNet"),
        ("encoder.features.0.weight", "behind a VGG, DenseNet or MobileNet"),
        ("encoder.stem.weight", "behind another encoder"),
    ],
)
def test_other_encoders_are_refused_by_name(tmp_path: Path, key: str, told: str) -> None:
    state = {name: v for name, v in smp_state().items() if not name.startswith("encoder.")}
    torch.save(state | {key: torch.zeros(3)}, tmp_path / "best.pth")
    with pytest.raises(CheckpointError, match=f"{told}.*mit_b0 to mit_b5"):
        read_checkpoint(str(tmp_path / "best.pth"))


@pytest.mark.parametrize(
    ("decoder", "key"),
    [
        ("Unet", "decoder.blocks.0.conv1.0.weight"),
        ("UnetPlusPlus", "decoder.blocks.x_0_0.conv1.0.weight"),
        ("FPN", "decoder.p5.weight"),
        ("MAnet", "decoder.center.top_conv.weight"),
        ("Linknet", "decoder.blocks.0.block.0.0.weight"),
        ("PAN", "decoder.fpa.mid.0.conv.weight"),
        ("UPerNet", "decoder.fpn_lateral_blocks.0.conv_norm_relu.0.weight"),
        ("PSPNet", "decoder.psp.blocks.0.pool.1.0.weight"),
        ("DeepLabV3Plus", "decoder.aspp.0.convs.0.0.weight"),
        ("DeepLabV3", "decoder.0.convs.0.0.weight"),
        ("model with another decoder", "decoder.own.weight"),
    ],
)
def test_other_decoders_are_refused_by_name(tmp_path: Path, decoder: str, key: str) -> None:
    state = {name: v for name, v in smp_state().items() if not name.startswith("decoder.")}
    torch.save(state | {key: torch.zeros(3)}, tmp_path / "best.pth")
    with pytest.raises(CheckpointError, match=f"is a {decoder} of segmentation_models_pytorch"):
        read_checkpoint(str(tmp_path / "best.pth"))


def test_fewer_stages_are_refused_by_the_fields_name(tmp_path: Path) -> None:
    state = {name: v for name, v in smp_state().items() if "mlp_stage.3" not in name}
    torch.save(state, tmp_path / "best.pth")
    with pytest.raises(CheckpointError, match="encoder_depth below 5"):
        read_checkpoint(str(tmp_path / "best.pth"))


# As albumentations 2.0.8 saves Compose([Resize(96, 128), Normalize()]).
TRANSFORMS = {
    "__version__": "2.0.8",
    "transform": {
        "__class_fullname__": "Compose",
        "p": 1.0,
        "transforms": [
            {
                "__class_fullname__": "Resize",
                "p": 1.0,
                "area_for_downscale": None,
                "height": 96,
                "interpolation": 1,
                "mask_interpolation": 0,
                "width": 128,
            },
            {
                "__class_fullname__": "Normalize",
                "p": 1.0,
                "max_pixel_value": 255.0,
                "mean": [0.485, 0.456, 0.406],
                "normalization": "standard",
                "std": [0.229, 0.224, 0.225],
            },
        ],
        "bbox_params": None,
        "keypoint_params": None,
        "additional_targets": {},
        "is_check_shapes": True,
    },
}


def test_transforms_of_albumentations_are_read(tmp_path: Path) -> None:
    folder = smp_folder(tmp_path / "saved")
    content = json.loads(json.dumps(TRANSFORMS))
    resize, normalize = content["transform"]["transforms"]
    normalize |= {"mean": [0.5, 0.25, 0.75], "max_pixel_value": 510}
    resize["__class_fullname__"] = "albumentations.augmentations.geometric.resize.Resize"
    (folder / "albumentations_config_eval.json").write_text(json.dumps(content))
    lines: list[str] = []
    spec = read_checkpoint(str(folder), say=lines.append).input
    assert (spec.height, spec.width) == (96, 128)
    assert (spec.resize, spec.aspect) == (Resize.OPENCV_BILINEAR, Aspect.SQUASH)
    assert spec.mean == (1.0, 0.5, 1.5)
    assert spec.std == (0.458, 0.448, 0.45)
    assert any("albumentations_config_eval.json: size 96x128" in line for line in lines)


@pytest.mark.parametrize(
    ("step", "fields"),
    [
        (0, {"interpolation": 2}),
        (0, {"area_for_downscale": "image"}),
        (0, {"p": 0.5}),
        (0, {"__class_fullname__": "LongestMaxSize"}),
        (1, {"normalization": "image"}),
        (1, {"mean": [0.5, "a", 0.5]}),
    ],
)
def test_transforms_that_edgeseg_lacks_are_named(
    tmp_path: Path, step: int, fields: dict[str, object]
) -> None:
    folder = smp_folder(tmp_path / "saved")
    content = json.loads(json.dumps(TRANSFORMS))
    content["transform"]["transforms"][step] |= fields
    (folder / "albumentations_config_eval.json").write_text(json.dumps(content))
    lines: list[str] = []
    spec = read_checkpoint(str(folder), say=lines.append).input
    name = fields.get("__class_fullname__", ("Resize", "Normalize")[step])
    assert any(f"has {name}, which edgeseg does not have" in line for line in lines)
    assert (spec.height, spec.width) == (512, 512)


def test_a_size_that_the_package_refuses_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"multiples of 32.* is 90x130.*give --size 96x160"):
        read_checkpoint(str(smp_folder(tmp_path / "saved")), size=(90, 130))


def test_the_bundle_keeps_the_upsampling(edgeseg: Callable[..., Outcome], tmp_path: Path) -> None:
    folder = smp_folder(tmp_path / "saved")
    assert json.loads((folder / "config.json").read_text()) == SMP_CONFIG
    words = ("--size", "96x128", "--precision", "fp32", "-o", "street")
    outcome = edgeseg("export", "--weights", folder, *words)
    assert outcome.status == 0, outcome.err
    manifest = json.loads(Path("street/manifest.json").read_text())
    assert manifest["input"]["upsampling"] == "align-corners"
    assert manifest["checkpoint"]["layout"] == "smp"
    assert "upsampling align-corners" in edgeseg("inspect", "street").err
    told = edgeseg("inspect", folder, "--json")
    assert "upsampling align-corners" in edgeseg("inspect", folder).err
    assert json.loads(told.out)["input"]["upsampling"] == "align-corners"
