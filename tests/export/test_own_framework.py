"""The check of an export against the framework that trained the checkpoint."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from bands import band_demo, band_frame, mix_bands, statistics
from oracle import change, small_demo
from PIL import Image
from renamed import smp_folder, smp_state
from safetensors.torch import load_file, save_file
from smp_oracle import Smp, find_smp

from edgeseg.bundle.manifest import FrameworkCheck
from edgeseg.bundle.store import open_bundle

if TYPE_CHECKING:
    from outcome import Outcome

Edgeseg = Callable[..., "Outcome"]


def export(edgeseg: Edgeseg, weights: Path, *options: object) -> Outcome:
    return edgeseg("export", "--weights", weights, "--precision", "fp32", "-o", "b", *options)


def test_the_manifest_says_what_it_was_checked_with(edgeseg: Edgeseg, tmp_path: Path) -> None:
    outcome = export(edgeseg, small_demo(tmp_path / "demo"))
    assert outcome.status == 0, outcome.err
    assert "% of the pixels as in transformers 5" in outcome.err
    assert "torchvision" not in outcome.err
    check = open_bundle(Path("b")).manifest.framework
    assert check is not None
    assert (check.name, check.images) == ("transformers", 4)
    assert check.agreement > 99.99


def test_a_reading_of_our_own_is_found_out(
    edgeseg: Edgeseg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parity with our own network holds all the while: both sides share the mistake."""
    import edgeseg.export.architecture as architecture

    folder = small_demo(tmp_path / "demo")
    change(folder / "config.json", num_attention_heads=[2, 4, 10, 4])
    usual = architecture.VARIANTS["b0"].encoder
    monkeypatch.setattr(
        "edgeseg.export.metadata.read_unseen",
        lambda *_config, **_more: architecture.Unseen(heads=usual.heads, strides=usual.strides),
    )
    outcome = export(edgeseg, folder)
    assert outcome.status == 1
    assert "parity with PyTorch" in outcome.err
    assert "of the pixels as in transformers" in outcome.err
    assert "nothing was written" in outcome.err
    assert not Path("b").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--size", "80x112"],
        ["--mean", "0.5,0.4,0.3", "--std", "0.2,0.3,0.25"],
        ["--channel-order", "bgr"],
        ["--resize", "pillow-nearest"],
    ],
    ids=lambda options: options[0],
)
def test_what_the_user_says_of_the_input_is_said_to_the_framework_too(
    edgeseg: Edgeseg, tmp_path: Path, options: list[str]
) -> None:
    outcome = export(edgeseg, small_demo(tmp_path / "demo"), *options)
    assert outcome.status == 0, outcome.err
    check = open_bundle(Path("b")).manifest.framework
    assert check is not None
    assert check.agreement > 99.99


def test_a_rule_that_the_framework_lacks_is_said(edgeseg: Edgeseg, tmp_path: Path) -> None:
    outcome = export(edgeseg, small_demo(tmp_path / "demo"), "--resize", "opencv-bilinear,keep")
    assert outcome.status == 0, outcome.err
    assert "not checked with transformers: it has no opencv-bilinear, aspect keep" in outcome.err
    assert open_bundle(Path("b")).manifest.framework is None


def test_a_bare_file_is_checked_with_the_tensors_that_it_holds(
    edgeseg: Edgeseg, tmp_path: Path
) -> None:
    weights = load_file(small_demo(tmp_path / "demo") / "model.safetensors")
    torch.save({"state_dict": weights, "epoch": 3}, tmp_path / "last.pth")
    outcome = export(edgeseg, tmp_path / "last.pth", "--size", "96x128")
    assert outcome.status == 0, outcome.err
    check = open_bundle(Path("b")).manifest.framework
    assert check is not None
    assert check.agreement > 99.99


@pytest.mark.parametrize("name", ["last.ckpt", "pytorch_model.bin", "model.safetensors"])
def test_a_folder_of_another_form_is_checked_too(
    edgeseg: Edgeseg, tmp_path: Path, name: str
) -> None:
    """transformers itself could not open it, or would take random weights."""
    folder = small_demo(tmp_path / "demo")
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    wrapped = {f"model.{key}": value for key, value in weights.items()}
    if name.endswith(".safetensors"):
        save_file(wrapped, folder / name)
    else:
        torch.save({"state_dict": wrapped, "epoch": 3}, folder / name)
    outcome = export(edgeseg, folder)
    assert outcome.status == 0, outcome.err
    check = open_bundle(Path("b")).manifest.framework
    assert check is not None
    assert check.agreement > 99.99


def test_weights_that_the_framework_would_invent_end_the_export(
    edgeseg: Edgeseg, tmp_path: Path
) -> None:
    folder = small_demo(tmp_path / "demo")
    import edgeseg.export.frameworks.own as module
    from edgeseg.errors import CheckpointError
    from edgeseg.export.checkpoint import read_checkpoint

    checkpoint = read_checkpoint(str(folder))
    weights = load_file(folder / "model.safetensors")
    del weights["decode_head.classifier.bias"]
    (folder / "model.safetensors").unlink()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"does not take decode_head.classifier.bias from it"):
        module.open_framework(str(folder), checkpoint, asked=None)


EXPORT = """
import sys
import torch
library = torch.library.Library("torchvision", "DEF")  # see smp_program.py
for operator in ("nms", "qnms"):
    library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from edgeseg.cli.main import main
sys.argv[0] = "edgeseg"
main()
"""


@pytest.mark.parametrize(
    ("threshold", "options"),
    [
        pytest.param(None, (), marks=pytest.mark.long),
        pytest.param(0.5, (), marks=pytest.mark.long),
        (0.3, ("--threshold", "0.3", "--channel-order", "bgr")),
    ],
    ids=str,
)
def test_segmentation_models_pytorch_judges_its_own(
    common: Path, tmp_path: Path, threshold: float | None, options: tuple[str, ...]
) -> None:
    smp = find_smp(common)
    folder = smp_folder(tmp_path / "saved")
    if threshold is not None:  # road, or not
        state = smp_state()
        for leaf in ("weight", "bias"):
            rows = state[f"segmentation_head.0.{leaf}"]
            state[f"segmentation_head.0.{leaf}"] = rows[3:4] - rows.mean(0, keepdim=True)
        (folder / "model.safetensors").unlink()
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        change(folder / "config.json", classes=1)
    check = _judge_by_smp(smp, folder, tmp_path, *options)
    assert check.agreement > 99.99


@pytest.mark.long
def test_segmentation_models_pytorch_judges_bands(common: Path, tmp_path: Path) -> None:
    smp = find_smp(common)
    folder = smp_folder(tmp_path / "saved", in_channels=4)
    state = smp_state()
    first = "encoder.patch_embed1.proj.weight"
    state[first] = mix_bands(state[first], 4)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    for part in ("images", "masks"):
        (tmp_path / "data" / part).mkdir(parents=True)
    for seed in range(3):
        np.save(tmp_path / "data" / "images" / f"{seed}.npy", band_frame(4, seed=seed))
        Image.fromarray(np.zeros((120, 160), np.uint8)).save(
            tmp_path / "data" / "masks" / f"{seed}.png"
        )
    mean, std = (",".join(map(str, values)) for values in statistics(4))
    options = ("--data", "data", "--mean", mean, "--std", std)
    assert _judge_by_smp(smp, folder, tmp_path, *options).agreement > 99.99


def _judge_by_smp(smp: Smp, folder: Path, here: Path, *options: str) -> FrameworkCheck:
    words = ["export", "--weights", str(folder), "--size", "96x128", "--precision", "fp32"]
    done = subprocess.run(
        [sys.executable, "-c", EXPORT, *words, "-o", "b", "--check-with", "smp", *options],
        cwd=here,
        env=os.environ | {"PYTHONPATH": str(smp.packages), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "% of the pixels as in smp 0" in done.stderr
    check = open_bundle(here / "b").manifest.framework
    assert check is not None
    return check


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["smp"], "has the layout of huggingface, which smp does not load"),
        (
            ["transformers", "--resize", "opencv-bilinear,keep"],
            "cannot be checked with transformers: it has no opencv-bilinear, aspect keep",
        ),
    ],
    ids=["layout", "rule"],
)
def test_a_check_that_was_asked_for_is_made_or_refused_before_the_graph(
    edgeseg: Edgeseg, tmp_path: Path, options: list[str], says: str
) -> None:
    outcome = export(edgeseg, small_demo(tmp_path / "demo"), "--check-with", *options)
    assert outcome.status == 1
    assert f"{says}; leave --check-with out" in outcome.err
    assert "graph" not in outcome.err
    assert not Path("b").exists()


def test_bands_that_the_framework_does_not_take_end_an_export_that_asks_for_it(
    tmp_path: Path,
) -> None:
    from edgeseg.errors import CheckpointError
    from edgeseg.export.checkpoint import read_checkpoint
    from edgeseg.export.frameworks.own import demand_framework

    folder = band_demo(tmp_path / "demo", 4)
    with pytest.raises(CheckpointError, match="network takes 4 channels; leave --check-with out"):
        demand_framework("transformers", str(folder), read_checkpoint(str(folder)))


def test_a_framework_that_is_not_installed_is_named_only_if_it_was_asked_for(
    edgeseg: Edgeseg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "transformers" else find(name)
    )
    monkeypatch.setitem(sys.modules, "transformers", None)
    folder = small_demo(tmp_path / "demo")
    outcome = export(edgeseg, folder)
    assert outcome.status == 0, outcome.err
    assert open_bundle(Path("b")).manifest.framework is None
    assert json.loads((Path("b") / "manifest.json").read_text())["framework"] is None
    outcome = export(edgeseg, folder, "--check-with", "transformers")
    assert outcome.status == 1
    assert "--check-with transformers needs transformers" in outcome.err
    assert "graph" not in outcome.err
