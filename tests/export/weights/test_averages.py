"""Of two sets of weights the averaged one is read, where the file says which it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from literal import nvlabs_state

from edgeseg.errors import CheckpointError
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.export.contents import read_contents
from edgeseg.files.whole import compute_sha256
from edgeseg.overrides import Overrides

State = dict[str, torch.Tensor]

BIAS = "decode_head.linear_pred.bias"
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
BY_ITERATION = "runner = dict(type='IterBasedRunner', max_iters=160000)"
BY_EPOCH = "runner = dict(type='EpochBasedRunner', max_epochs=40)"


@pytest.fixture(scope="module")
def last() -> State:
    return nvlabs_state(classes=3)


@pytest.fixture(scope="module")
def average(last: State) -> State:
    return {name: tensor * 1.01 for name, tensor in last.items()}


def read(content: object, folder: Path, key: str | None = None) -> tuple[State, list[str]]:
    torch.save(content, folder / "w.pth")
    found = read_contents(folder / "w.pth", key=key)
    return found.state, list(found.notes)


def prefix(state: State, word: str) -> State:
    return {word + name: tensor for name, tensor in state.items()}


def parameters(state: State) -> State:
    return {name: tensor for name, tensor in state.items() if not name.endswith(BUFFERS)}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda last, average: {"state_dict": last, "state_dict_ema": average},
        lambda last, average: {"state_dict": last, "ema_state_dict": average},
        lambda last, average: {"model": last, "ema": {"module": average, "decay": 0.999}},
        lambda last, average: {"model": last, "model_ema": prefix(average, "module.")},
        lambda last, average: {
            "state_dict": prefix(last, "net.") | prefix(average, "ema_net.ema.")
        },
        lambda last, average: {"state_dict": last, "callbacks": {"EMACallback": {"w": average}}},
        lambda last, average: {"net": last, "swa_model": average},
    ],
)
def test_a_name_tells_the_average(wrap: Any, last: State, average: State, tmp_path: Path) -> None:
    state, notes = read(wrap(last, average), tmp_path)
    assert torch.equal(state[BIAS], average[BIAS])
    (note,) = [note for note in notes if "two sets of weights" in note]
    assert "the averaged one, " in note
    assert "as its name says; the file does not say which one was validated; --weights-key" in note


def test_each_set_has_a_hash_of_its_own(last: State, average: State, tmp_path: Path) -> None:
    """By the hash, an export knows whether it replaces a bundle of the same weights."""
    path = tmp_path / "w.pth"
    torch.save({"state_dict": last, "state_dict_ema": average}, path)
    chosen, wanted = (
        read_checkpoint(str(path), overrides=Overrides(weights_key=key)).sha256
        for key in (None, "state_dict")
    )
    assert chosen != wanted
    torch.save({"state_dict": last}, path)
    assert read_checkpoint(str(path)).sha256 == compute_sha256(path)


def test_the_other_set_can_be_asked_for(last: State, average: State, tmp_path: Path) -> None:
    torch.save({"state_dict": last, "state_dict_ema": average}, tmp_path / "w.pth")
    told: list[str] = []
    wanted = Overrides(weights_key="state_dict")
    found = read_checkpoint(str(tmp_path / "w.pth"), overrides=wanted, say=told.append)
    assert torch.equal(found.model.head.classifier.bias, last[BIAS])
    assert any("as --weights-key says, not `state_dict_ema`" in line for line in told)


@pytest.mark.parametrize(
    "mark", [{"message_hub": {}}, {"meta": {"mmengine_version": "0.10.4"}}], ids=["hub", "meta"]
)
def test_mmengine_exchanges_the_two(
    mark: dict[str, object], last: State, average: State, tmp_path: Path
) -> None:
    """Its hook saves the average as state_dict, and the last weights as ema_state_dict."""
    kept = {"steps": torch.tensor(3)} | prefix(last, "module.")
    state, notes = read(mark | {"state_dict": average, "ema_state_dict": kept}, tmp_path)
    assert torch.equal(state[BIAS], average[BIAS])
    assert any("one, `state_dict`, is used, as its trainer validates it" in note for note in notes)


def test_lightning_exchanges_the_two(last: State, average: State, tmp_path: Path) -> None:
    content = {
        "pytorch-lightning_version": "2.6",
        "state_dict": prefix(average, "model."),
        "current_model_state": prefix(last, "model."),
        "averaging_state": {"n_averaged": torch.tensor(7)},
    }
    state, notes = read(content, tmp_path)
    assert torch.equal(state[BIAS], average[BIAS])
    assert any("the averaged one, `state_dict.model`, is used" in note for note in notes)


def of_mmcv(last: State, average: State, config: str | None) -> dict[str, object]:
    """As mmcv's hook leaves it: averaged parameters, under names without dots."""
    copies = {f"ema_{name.replace('.', '_')}": t for name, t in parameters(average).items()}
    meta = {} if config is None else {"config": config}
    return {"meta": meta, "state_dict": last | copies}


def test_mmcv_by_iterations(last: State, average: State, tmp_path: Path) -> None:
    state, notes = read(of_mmcv(last, average, BY_ITERATION), tmp_path)
    assert any("the averaged one, `state_dict.ema_*`, is used" in note for note in notes)
    assert state.keys() == last.keys()
    for name, tensor in state.items():
        expected = last if name.endswith(BUFFERS) else average
        assert torch.equal(tensor, expected[name])


@pytest.mark.parametrize("config", [None, BY_EPOCH])
def test_mmcv_by_epochs_does_not_tell(
    config: str | None, last: State, average: State, tmp_path: Path
) -> None:
    """Its hook exchanges the two after an epoch, before or after the file is written."""
    content = of_mmcv(last, average, config)
    with pytest.raises(CheckpointError, match=r"`state_dict` and `state_dict.ema_\*`, .* name it"):
        read(content, tmp_path)
    assert torch.equal(read(content, tmp_path, "ema_*")[0][BIAS], average[BIAS])
    assert torch.equal(read(content, tmp_path, "state_dict")[0][BIAS], last[BIAS])


def test_an_average_of_parameters_keeps_the_statistics(
    last: State, average: State, tmp_path: Path
) -> None:
    """As trainers do that average parameters only: they validate with the network's own."""
    state, _ = read({"model": last, "ema": parameters(average)}, tmp_path)
    assert state.keys() == last.keys()
    assert torch.equal(state[BIAS], average[BIAS])
    mean = "decode_head.linear_fuse.bn.running_mean"
    assert torch.equal(state[mean], last[mean])


def test_an_average_of_another_network_is_not_taken(
    last: State, average: State, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="--weights-key"):
        read({"model": last, "ema": nvlabs_state(classes=4)}, tmp_path)
    with pytest.raises(CheckpointError, match="holds 3 networks"):
        read({"model": last, "ema": average, "teacher": nvlabs_state(seed=3)}, tmp_path)
