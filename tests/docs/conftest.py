from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ci_kit import KIT, _blocks
from clips import write_clip
from conftest import ROOT
from made_once import made_once
from PIL import Image
from small import write_street

import edgeseg
from edgeseg.accuracy.bootstrap import MIN_IMAGES
from edgeseg.bundle.store import open_bundle
from edgeseg.datasets import open_dataset
from edgeseg.demo import draw_scene
from edgeseg.demo.assets import find_demo_checkpoint
from edgeseg.deploy.export import export_bundle
from edgeseg.deploy.request import ExportRequest
from edgeseg.images import read_image, write_mask
from edgeseg.labels import get_known_labels
from edgeseg.quantize.recipes import RECIPES

HEIGHT, WIDTH = 96, 128
SPLITS = {"train": range(12), "test": range(100, 124)}
# Of the repository, by the paths that a reader in a checkout has.
CHECKOUT = ("benchmarks", "constraints.txt", "edgeseg", "tools")


def write_checkpoint(folder: Path) -> Path:
    """The demo's weights, which know a street, at a small input size."""
    shutil.copytree(find_demo_checkpoint(), folder)
    path = folder / "preprocessor_config.json"
    content = json.loads(path.read_text()) | {"size": {"height": HEIGHT, "width": WIDTH}}
    path.unlink()
    path.write_text(json.dumps(content))
    return folder


def write_data(root: Path) -> Path:
    """Drawn streets with their ground truth, in splits."""
    for split, seeds in SPLITS.items():
        for part in ("images", "masks"):
            (root / split / part).mkdir(parents=True)
        for seed in seeds:
            drawn = draw_scene(seed, 0, height=HEIGHT, width=WIDTH)
            image = Image.fromarray(np.ascontiguousarray(drawn.image[:, :, ::-1]))
            image.save(root / split / "images" / f"{seed}.png")
            write_mask(drawn.mask, root / split / "masks" / f"{seed}.png")
    (root / "dataset.json").write_text(json.dumps({"classes": get_known_labels("camvid").classes}))
    return root


@pytest.fixture(scope="session")
def at_hand(common: Path) -> Path:
    """A folder with everything that the pages name, small and drawn, in the forms they tell of."""
    return made_once(common / "at_hand", write_at_hand)


def write_at_hand(folder: Path) -> None:
    data = write_data(folder / "camvid")
    test = data / "test"
    checkpoint = write_checkpoint(folder / "CHECKPOINT")
    request = ExportRequest(
        weights=str(checkpoint),
        target="onnxruntime",
        precision="int8",
        folder=folder / "street",
        calibration=str(data),
        recipes=(RECIPES["int8-linear"],),
        dataset=open_dataset(data, split="test"),
    )
    export_bundle(request)
    edgeseg.verify(folder / "street", data=data, split="test", report=folder / "old")
    shutil.copytree(checkpoint, folder / "segformer_b0")
    for copy in ("BUNDLE", "models/street", "releases/2026-11-28"):
        shutil.copytree(folder / "street", folder / copy)
    for copy in ("DATASET", "data/street"):
        shutil.copytree(data, folder / copy)
    for ours, theirs in {"images": "test", "masks": "testannot"}.items():
        shutil.copytree(test / ours, folder / "CamVid" / theirs)
    shutil.copytree(test / "images", folder / "IMAGES")
    shutil.copytree(data / "train" / "images", folder / "calibration")
    shutil.copy(folder / "old" / "report.json", folder / "REPORT.json")
    images = [read_image(path) for path in sorted((test / "images").iterdir())]
    write_clip(folder / "drive.mp4", list(np.arange(len(images)) / 10), images=images)
    picture = Image.fromarray(np.ascontiguousarray(images[0][:, :, ::-1]))
    for name in ("frame.png", "survey.tif"):
        picture.save(folder / name)
    for name in CHECKOUT:
        (folder / name).symlink_to(ROOT / name)


@pytest.fixture
def reader(at_hand: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A folder of its own with what a text names of all that is at hand.

    Files are links: whoever changes one has to write a new file in its place.
    """

    def gather(text: str) -> Path:
        folder = tmp_path / "reader"
        folder.mkdir()
        for entry in at_hand.iterdir():
            if not re.search(rf"(?<![\w.]){re.escape(entry.name)}(?!\w)", text):
                continue
            if entry.is_symlink():
                (folder / entry.name).symlink_to(entry.readlink())
            elif entry.is_dir():
                shutil.copytree(entry, folder / entry.name, copy_function=os.link)
            else:
                os.link(entry, folder / entry.name)
        return folder

    return gather


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository as a runner fetches it: a commit, and nothing that is built beside it."""
    folder = tmp_path_factory.mktemp("source") / "edgeseg"
    ignored = shutil.ignore_patterns(".*", "out", "build", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, folder, symlinks=True, ignore=ignored)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-C", str(folder)]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], check=True)
    return folder


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment that has everything but edgeseg, so that pip installs it alone.

    The other packages are this environment's, through links that lie outside the new one: pip
    uninstalls nothing there.
    """
    folder = tmp_path_factory.mktemp("fresh")
    command = [sys.executable, "-m", "venv", "--without-pip", str(folder / "env")]
    subprocess.run(command, check=True)
    packages = folder / "packages"
    packages.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "edgeseg" not in entry.name:
            (packages / entry.name).symlink_to(entry)
    (site,) = folder.glob("env/lib/python*/site-packages")
    (site / "others.pth").write_text(f"{packages}\n")
    return folder / "env" / "bin"


@pytest.fixture(scope="session")
def prepared(common: Path, at_hand: Path) -> Path:
    """A repository with a bundle, a data set, limits, and a baseline as the guide has it.

    The bundle is in INT8 and brings its own reference.
    """
    return made_once(common / "prepared", lambda folder: write_repository(folder, at_hand))


def write_repository(folder: Path, at_hand: Path) -> None:
    shutil.copytree(at_hand / "street", folder / "models" / "street")
    bundle = open_bundle(folder / "models" / "street")
    write_street(folder / "data" / "street", bundle, train=0, test=MIN_IMAGES)
    (told,) = re.findall(r"(?m)^edgeseg verify .*\ncp .*$", _blocks("sh"))
    shell = subprocess.run(
        ["bash", "-ec", told],
        cwd=folder,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shell.returncode == 0, shell.stderr
    shutil.rmtree(folder / "edgeseg-report")
    shutil.copy(KIT / "edgeseg.toml", folder)


@pytest.fixture
def workspace(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared, tmp_path / "workspace"))
