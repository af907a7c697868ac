"""The zoo of checkpoints: each kind is judged by its own framework, or refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import checkpoint_zoo
import pytest
from checkpoint_zoo import KINDS, try_kind
from zoo.kind import Kind, load_photo

# The others take minutes together.
SHORT = ("Lightning .ckpt", "student and teacher", "ONNX")


def named(name: str) -> Kind:
    (kind,) = (kind for kind in KINDS if kind.name == name)
    return kind


# What people have was written by functions that PyTorch and transformers mean to drop.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, id=kind.name, marks=() if kind.name in SHORT else (pytest.mark.long,))
        for kind in KINDS
    ],
)
def test_each_kind_is_right(kind: Kind, tmp_path: Path) -> None:
    right, told = try_kind(kind, load_photo(), tmp_path)
    assert right, told


def test_another_mask_or_another_message_is_wrong(tmp_path: Path) -> None:
    photo = load_photo()
    kind = named("Lightning .ckpt")
    assert kind.judge is not None
    mask = kind.judge(photo)
    mask[:2] += 1
    right, told = try_kind(replace(kind, judge=lambda _photo: mask), photo, tmp_path)
    assert not right
    assert told.startswith("99.1935 %")
    (tmp_path / "other").mkdir()
    right, told = try_kind(replace(named("ONNX"), refusal="TensorFlow"), photo, tmp_path / "other")
    assert not right
    assert told.startswith("refused: model.onnx is an ONNX graph")


def test_only_a_part_of_the_kinds_and_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["checkpoint_zoo.py", "--only", "lfs"])
    with pytest.raises(SystemExit) as ended:
        checkpoint_zoo.main()
    said = capsys.readouterr()
    assert ended.value.code == 0
    assert "kind 1 of 1: a pointer of Git LFS" in said.err
    assert "git lfs pull" in said.out
    monkeypatch.setattr("sys.argv", ["checkpoint_zoo.py", "--only", "no such"])
    with pytest.raises(SystemExit) as ended:
        checkpoint_zoo.main()
    assert ended.value.code == 2
    assert "no kind has 'no such' in its name" in capsys.readouterr().err


def test_a_row_is_skipped_without_what_it_needs(tmp_path: Path) -> None:
    kind = replace(named("LoRA adapter written by peft"), needs="no_such_package")
    assert try_kind(kind, load_photo(), tmp_path) == (
        True,
        "skipped: no_such_package is not installed",
    )


@pytest.mark.long
def test_another_miou_than_the_judges_is_wrong(tmp_path: Path) -> None:
    kind = named("num_labels=1")
    assert kind.judge is not None
    assert kind.truth is not None
    photo = load_photo()
    mask = kind.judge(photo)
    masks = {photo.tobytes(): mask}
    unlike = replace(kind, judge=lambda one: masks.get(one.tobytes(), 0 * one[:, :, 0].astype(int)))
    right, told = try_kind(unlike, photo, tmp_path)
    assert not right
    assert told.startswith("100.0000 %")


def test_every_kind_has_a_name_of_its_own_and_one_outcome() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert all((kind.judge is None) == bool(kind.refusal) for kind in checkpoint_zoo.KINDS)
