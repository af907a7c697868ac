"""Every shell block of README and docs runs, or says what it needs that a test does not have.

The README's first commands, whose output it shows, run in test_readme.py.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from blocks import PAGES, Block, blocks
from conftest import ROOT

# `long` takes minutes and runs by `make check-long`; the others cannot be had here.
NEEDS = {
    "long", "hours", "network", "camera", "stream", "device", "Jetson", "GPU", "cluster", "Docker",
    "MQTT broker", "ADE20K", "Cityscapes", "COCO-Stuff", "CamVid", "clips", "other networks",
    "own checkout",
}  # fmt: skip
BLOCKS = blocks()
# A page that calls its data set by the name that the others give a bundle.
DATA_IS_STREET = "datasets.md"


def _cases() -> list[object]:
    able = [block for block in BLOCKS if not (block.shown or block.needs - {"long"})]
    slow = pytest.mark.long
    return [
        pytest.param(block, id=block.name, marks=[slow] if block.needs else []) for block in able
    ]


@pytest.mark.parametrize("block", _cases())
def test_the_block_runs(block: Block, reader: Callable[[str], Path], at_hand: Path) -> None:
    folder = reader(block.script)
    packaged = list_packaged()
    if block.page.name == DATA_IS_STREET and (folder / "street").is_dir():
        shutil.rmtree(folder / "street")
        shutil.copytree(at_hand / "DATASET", folder / "street")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.script],
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=3600,
    )
    assert done.returncode == 0, done.stderr
    assert list_packaged() == packaged, "this block changes the repository: it needs `own checkout`"


def list_packaged() -> dict[Path, float]:
    """The files of the package, and when each was written."""
    files = (ROOT / "edgeseg" / "data").rglob("*")
    return {path: path.stat().st_mtime for path in files if path.is_file()}


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_what_a_block_needs_is_a_known_need(block: Block) -> None:
    assert block.needs <= NEEDS
    assert block.script.strip()


def test_every_marker_stands_before_a_block() -> None:
    marked = [block for block in BLOCKS if block.needs]
    assert sum(page.read_text("utf-8").count("<!-- needs:") for page in PAGES) == len(marked)
