"""A hub is asked only for what looks like its id, and not before it was said."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
import pytest

from edgeseg.errors import CheckpointError
from edgeseg.export.checkpoint import read_checkpoint


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What was asked of the hub, which has nothing; the working folder is empty."""
    ids: list[str] = []

    def refuse(hub_id: str, **_options: object) -> str:
        ids.append(hub_id)
        raise OSError("not there")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    monkeypatch.chdir(tmp_path)
    return ids


def test_it_is_said_before_the_network_is_used(asked: list[str]) -> None:
    told: list[tuple[str, int]] = []
    with pytest.raises(CheckpointError, match="could not be fetched"):
        read_checkpoint("nobody/nothing-b0", say=lambda line: told.append((line, len(asked))))
    assert asked == ["nobody/nothing-b0"]
    ((line, before),) = told
    assert before == 0
    assert "no file or folder nobody/nothing-b0 here: asking the Hugging Face hub" in line


@pytest.mark.parametrize("name", ["best.pth", "best.safetensors", "best.ckpt", "model.onnx"])
def test_a_mistyped_file_is_no_hub_id(asked: list[str], name: str) -> None:
    with pytest.raises(CheckpointError, match="there is no such file"):
        read_checkpoint(f"runs/{name}")
    assert asked == []


def test_a_mistyped_name_in_a_folder_is_no_hub_id(asked: list[str], tmp_path: Path) -> None:
    (tmp_path / "weights" / "segformer_b0").mkdir(parents=True)
    with pytest.raises(CheckpointError, match=r"did you mean weights/segformer_b0\?"):
        read_checkpoint("weights/segfromer_b0")
    with pytest.raises(CheckpointError, match="weights has no best; it has segformer_b0"):
        read_checkpoint("weights/best")
    assert asked == []
