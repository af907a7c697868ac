"""Weights in several files are read as one, by the index beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file, save_file

from edgeseg.demo.assets import find_demo_checkpoint
from edgeseg.errors import CheckpointError
from edgeseg.export.checkpoint import read_checkpoint


def write_shards(folder: Path, ending: str = "safetensors") -> Path:
    """The demo's weights in three parts, as save_pretrained(max_shard_size=...) writes them."""
    folder.mkdir()
    source = find_demo_checkpoint()
    for name in ("config.json", "preprocessor_config.json"):
        (folder / name).write_bytes((source / name).read_bytes())
    state = load_file(source / "model.safetensors")
    stem = "model" if ending == "safetensors" else "pytorch_model"
    places = {name: f"{stem}-{1 + i % 3:05}-of-00003.{ending}" for i, name in enumerate(state)}
    for part in set(places.values()):
        inside = {name: state[name] for name, place in places.items() if place == part}
        write = save_file if ending == "safetensors" else torch.save
        write(inside, folder / part)
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (folder / f"{stem}.{ending}.index.json").write_text(json.dumps(index))
    return folder


def assert_is_the_demo(source: str, say: Callable[[str], None] = print) -> None:
    found = read_checkpoint(source, say=say).model.state_dict()
    plain = read_checkpoint("demo").model.state_dict()
    assert all(torch.equal(found[name], plain[name]) for name in plain)


@pytest.mark.parametrize("ending", ["safetensors", "bin"])
def test_a_folder_of_parts(ending: str, tmp_path: Path) -> None:
    told: list[str] = []
    assert_is_the_demo(str(write_shards(tmp_path / "w", ending)), told.append)
    assert any(line.startswith("weights read from 3 parts, as ") for line in told)


def test_what_transformers_writes_in_parts(tmp_path: Path) -> None:
    from transformers import SegformerForSemanticSegmentation

    model = SegformerForSemanticSegmentation.from_pretrained(find_demo_checkpoint())
    model.save_pretrained(tmp_path, max_shard_size="4MB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    assert_is_the_demo(str(tmp_path))


def test_one_part_brings_the_others(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "w")
    told: list[str] = []
    assert_is_the_demo(str(folder / "model-00002-of-00003.safetensors"), told.append)
    assert any("is one of 3 parts; all of model.safetensors.index.json" in line for line in told)


def test_the_hash_is_of_every_part(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "w")
    before = read_checkpoint(str(folder)).sha256
    part = folder / "model-00003-of-00003.safetensors"
    save_file({name: tensor * 1.5 for name, tensor in load_file(part).items()}, part)
    assert read_checkpoint(str(folder)).sha256 != before


def test_a_part_that_is_missing_is_named(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "w")
    (folder / "model-00003-of-00003.safetensors").unlink()
    with pytest.raises(CheckpointError, match="lists model-00003-of-00003.safetensors, which is"):
        read_checkpoint(str(folder))


def test_a_part_that_lacks_weights_is_named(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "w")
    part = folder / "model-00003-of-00003.safetensors"
    save_file({"other": torch.ones(1)}, part)
    with pytest.raises(CheckpointError, match="00003-of-00003.safetensors lacks .* which model"):
        read_checkpoint(str(folder))


@pytest.mark.parametrize(
    "listed", ["../secret.bin", "/etc/passwd", "model.safetensors", 3, "a/model-00001-of-00002.bin"]
)
def test_an_index_leads_to_its_own_parts_only(listed: object, tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "w")
    index = {"weight_map": {"a.weight": listed}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="is no part of a model"):
        read_checkpoint(str(folder))


def test_from_the_hub_only_what_the_index_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_shards(tmp_path / "w")
    asked: list[list[str]] = []

    def fetch(_hub_id: str, *, allow_patterns: list[str]) -> str:
        asked.append(allow_patterns)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    monkeypatch.chdir(tmp_path)
    assert_is_the_demo("somebody/sharded")
    first, second = asked
    assert not any("-of-" in pattern for pattern in first)
    parts = {pattern for pattern in second if pattern not in first}
    assert parts == {path.name for path in folder.glob("model-*.safetensors")}
