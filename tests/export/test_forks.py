"""Programs with NVlabs' names and other values: what the weights cannot show, their masks do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from literal import nvlabs_logits
from oracle import street
from PIL import Image
from renamed import nvlabs_state
from torch.nn import functional

from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.pixels import ClassMap
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD

if TYPE_CHECKING:
    from outcome import Outcome

SIZE = (96, 128)


def fork_state() -> dict[str, torch.Tensor]:
    """The variances are so small that BatchNorm's eps counts."""
    state = nvlabs_state()
    norm = "decode_head.linear_fuse.bn"
    for name, power in (("linear_fuse.conv.weight", 1), ("linear_fuse.bn.running_mean", 1)):
        state[f"decode_head.{name}"] = state[f"decode_head.{name}"] * 0.03**power
    state[f"{norm}.running_var"] = state[f"{norm}.running_var"] * 0.03**2
    return state


def own_mask(seed: int, *, fork: bool) -> ClassMap:
    """What the program that trained the weights says: bubbliiiing's, or NVlabs'."""
    rgb = torch.from_numpy(street(*SIZE, seed=seed)[:, :, ::-1] / 255.0)
    image = ((rgb - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)).permute(2, 0, 1)
    logits = nvlabs_logits(fork_state(), image[None].float(), batch_eps=1e-3 if fork else 1e-5)
    full = functional.interpolate(logits, SIZE, mode="bilinear", align_corners=fork)
    mask: ClassMap = full.argmax(dim=1)[0].numpy().astype("uint8")
    return mask


@pytest.mark.parametrize("fork", [False, True], ids=["NVlabs", "a fork"])
def test_a_programs_own_masks_tell_whether_its_checkpoint_was_read_rightly(
    edgeseg: Callable[..., Outcome], tmp_path: Path, fork: bool
) -> None:
    """As the line that the export prints proposes it."""
    torch.save(fork_state(), tmp_path / "best.pth")
    words = ("--size", "96x128", "--precision", "fp32", "-o", "street")
    exported = edgeseg("export", "--weights", tmp_path / "best.pth", *words)
    assert exported.status == 0, exported.err
    for part in ("images", "masks"):
        (tmp_path / "own" / part).mkdir(parents=True)
    for seed in range(3):
        rgb = street(*SIZE, seed=seed)[:, :, ::-1]
        Image.fromarray(rgb.copy()).save(tmp_path / "own" / "images" / f"{seed}.png")
        Image.fromarray(own_mask(seed, fork=fork)).save(tmp_path / "own" / "masks" / f"{seed}.png")
    verified = edgeseg("verify", "street", "--data", tmp_path / "own", "--json")
    miou = json.loads(verified.out)["miou"]
    assert miou < 95 if fork else miou > 99.9


def test_the_line_says_how_to_compare(tmp_path: Path) -> None:
    torch.save(nvlabs_state(), tmp_path / "best.pth")
    lines: list[str] = []
    read_checkpoint(str(tmp_path / "best.pth"), say=lines.append)
    (line,) = [line for line in lines if "read as the layout of NVlabs" in line]
    assert "BatchNorm eps 1e-05, align_corners false" in line
    assert "--check-with has none of these programs" in line
    assert "edgeseg verify BUNDLE --data FOLDER then gives an mIoU near 100" in line
