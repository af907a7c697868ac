"""What a checkpoint says of its ground truth travels with the bundle."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edgeseg.bundle.manifest import CheckpointInfo, decode_manifest
from edgeseg.export.checkpoint import read_checkpoint


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"do_reduce_labels": True}, True),
        ({"do_reduce_labels": False}, False),
        ({}, False),
        ({"reduce_labels": True}, True),  # the name in old files
    ],
)
def test_do_reduce_labels_is_kept(
    checkpoint_folder: Path, tmp_path: Path, said: dict[str, bool], expected: bool
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(checkpoint_folder, folder)
    path = folder / "preprocessor_config.json"
    config = json.loads(path.read_text())
    del config["do_reduce_labels"]
    path.write_text(json.dumps(config | said))
    assert read_checkpoint(str(folder)).reduce_labels is expected


def test_a_manifest_that_does_not_say_it_is_still_read(seeded_bundle) -> None:
    path = seeded_bundle.folder / "manifest.json"
    content = json.loads(path.read_text())
    assert content["checkpoint"].pop("reduce_labels") is False
    read = decode_manifest(json.dumps(content).encode(), origin="old")
    assert isinstance(read.checkpoint, CheckpointInfo)
    assert read.checkpoint.reduce_labels is False
