from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT
from PIL import Image
from safetensors.torch import load_file

from edgeseg.demo import draw_scene
from edgeseg.images import write_mask
from edgeseg.labels import get_known_labels


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder data set of a few small scenes, with ignored pixels."""
    root = tmp_path_factory.mktemp("data") / "street"
    for split, first in (("train", 0), ("test", 100)):
        for part in ("images", "masks"):
            (root / split / part).mkdir(parents=True)
        for seed in range(first, first + 4):
            drawn = draw_scene(seed, 0, height=96, width=128)
            image = Image.fromarray(drawn.image[:, :, ::-1].copy())
            image.save(root / split / "images" / f"{seed}.png")
            mask = drawn.mask.copy()
            mask[:4] = 255
            write_mask(mask, root / split / "masks" / f"{seed}.png")
    names = get_known_labels("camvid").classes
    listed = ", ".join(f'"{name}"' for name in names)
    (root / "dataset.json").write_text(f'{{"classes": [{listed}]}}')
    return root


# The script itself, which keeps its state and tells its loss more often: runs here are short.
OFTEN = f"""
import sys
sys.path.insert(0, {str(ROOT / "tools")!r})
import train
from edgeseg.cli.scripts import run_script
train.SAVE_EVERY, train.SHOW_EVERY = 120, 20
run_script(train.main)
"""


def command(*args: object) -> list[str]:
    small = ["--crop", "64", "--batch", "2", "--size", "96x128"]
    return [sys.executable, "-c", OFTEN, *small, *map(str, args)]


def train(*args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*args),
        capture_output=True,
        text=True,
        check=False,
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


@pytest.mark.long  # it trains three times; the test below trains a step
def test_it_learns_resumes_and_writes_what_transformers_loads(street: Path, tmp_path: Path) -> None:
    """Stopped at step 120 of 140 and resumed, a run ends where an uninterrupted one does."""
    from transformers import SegformerForSemanticSegmentation

    args = ["--data", street, "--steps", "140", "--rate", "6e-4"]
    whole = train(*args, "-o", tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    assert "step 120/140" in whole.stdout
    losses = [float(line.split()[3]) for line in whole.stdout.splitlines() if "loss" in line]
    assert losses[-1] < 0.6 * losses[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["whole"]

    stopped = subprocess.Popen(
        command(*args, "-o", tmp_path / "parts"),
        stdout=subprocess.DEVNULL,
    )
    resume_file = tmp_path / "parts.resume.pth"
    while not resume_file.exists() and stopped.poll() is None:
        time.sleep(0.01)
    stopped.kill()
    stopped.wait()
    resumed = train(*args, "--resume", "-o", tmp_path / "parts")
    assert "going on from step 120" in resumed.stdout
    for name, value in weights(tmp_path / "whole").items():
        torch.testing.assert_close(weights(tmp_path / "parts")[name], value, rtol=1e-2, atol=1e-3)

    model, info = SegformerForSemanticSegmentation.from_pretrained(
        tmp_path / "whole", output_loading_info=True
    )
    assert not any(info.values())
    assert model.config.id2label[3] == "Road"
    card = (tmp_path / "whole" / "README.md").read_text()
    assert "license" not in card  # the data are somebody else's
    assert "--steps 140" in card
    assert "on 4 images" in card


def test_half_weights_and_a_start_from_other_weights(
    street: Path, b0_checkpoint: Path, tmp_path: Path
) -> None:
    args = ["--data", street, "--steps", "1", "--rate", "1e-12", "--weights", b0_checkpoint]
    result = train(*args, "--half", "-o", tmp_path / "o")
    assert result.returncode == 0, result.stderr
    began = weights(b0_checkpoint)
    for name, value in weights(tmp_path / "o").items():
        if name.endswith("num_batches_tracked"):
            continue
        assert value.dtype == torch.float16
        if "running" not in name:
            np.testing.assert_allclose(value.float(), began[name], rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["-o", "."], "exists; remove it"),
        (["--data", "nowhere", "-o", "o"], "is no folder; give a folder"),
    ],
)
def test_what_cannot_be_is_said(args: list[str], says: str, tmp_path: Path) -> None:
    result = train(*args)
    assert result.returncode == 1
    assert says in result.stderr
