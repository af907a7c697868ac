"""What `edgeseg verify` notes of the ground truth: on the terminal, in JSON, in every report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from outcome import Outcome
from PIL import Image
from seeded import model_spec, normalized, seeded_model

from edgeseg.demo import draw_scene
from edgeseg.export.segformer.network import SegFormer
from edgeseg.labels import Labels, parse_labels
from edgeseg.verification.opening import open_model

COUNT, SIZE = 5, (48, 64)
Verify = Callable[..., Outcome]


def names(classes: int) -> Labels:
    return parse_labels({"classes": [f"c{n}" for n in range(classes)]}, origin="test")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seeded B0s, one of two classes and one of five."""
    from edgeseg.export.segformer.huggingface import write_huggingface
    from edgeseg.spec import InputSpec

    folder = tmp_path_factory.mktemp("checkpoints")
    for classes in (2, 5):
        model = seeded_model(model_spec("b0", classes=classes))
        even_out(model)
        write_huggingface(
            folder / str(classes),
            model,
            labels=names(classes),
            spec=InputSpec(height=64, width=64),
        )
    return folder


@torch.no_grad()
def even_out(model: SegFormer) -> None:
    """Let every class win somewhere."""
    frames = torch.stack([torch.from_numpy(image(n)) for n in range(COUNT)])
    logits = model(normalized(frames, torch.float32))
    model.head.classifier.bias -= logits.mean(dim=(0, 2, 3))


@pytest.fixture(scope="module")
def predicted(checkpoints: Path) -> dict[int, list[np.ndarray]]:
    """What each gives for the images: a truth in which it is right everywhere."""
    found = {}
    for classes in (2, 5):
        model = open_model(str(checkpoints / str(classes)))
        found[classes] = [model.segment(image(n)) for n in range(COUNT)]
    return found


def image(number: int) -> np.ndarray:
    return draw_scene(number, 0, height=SIZE[0], width=SIZE[1]).image


def save(folder: Path, masks: list[np.ndarray], **said: object) -> Path:
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for number, mask in enumerate(masks):
        Image.fromarray(image(number)[:, :, ::-1]).save(folder / "images" / f"{number}.png")
        Image.fromarray(mask.astype(np.uint8)).save(folder / "masks" / f"{number}.png")
    if said:
        (folder / "dataset.json").write_text(json.dumps(said))
    return folder


def truth(predictions: list[np.ndarray]) -> list[np.ndarray]:
    """Right but for a tenth of the rows, in which every class is another one."""
    wrong = [mask.copy() for mask in predictions]
    for mask in wrong:
        mask[::10] = mask[::10][:, ::-1]
    return wrong


def measured(outcome: Outcome) -> dict[str, object]:
    assert outcome.status == 0, outcome.err
    report: dict[str, object] = json.loads(outcome.out)
    return report


def noted(report: dict[str, object]) -> str:
    notes = report["notes"]
    assert isinstance(notes, list)
    return "; ".join(notes)


FIGURES = ("images", "miou", "miou_low", "miou_high", "classes", "confusion")


def test_black_and_white_masks_give_the_figures_of_0_and_1(
    edgeseg: Verify, checkpoints: Path, predicted: dict[int, list[np.ndarray]], tmp_path: Path
) -> None:
    masks = [mask > 0 for mask in truth(predicted[2])]
    masks[0][:] = False
    plain, painted = (
        measured(edgeseg("verify", checkpoints / "2", "--data", save(folder, truths), "--json"))
        for folder, truths in (
            (tmp_path / "plain", masks),
            (tmp_path / "painted", [255 * mask for mask in masks]),
        )
    )
    assert [painted[name] for name in FIGURES] == [plain[name] for name in FIGURES]
    assert "255" not in noted(plain)
    assert "255 is read as 'c1', not as ignored" in noted(painted)


def rare(mask: np.ndarray) -> np.ndarray:
    """Painted black and white, but for a pixel of 1."""
    marked = 255 * mask
    marked[0, 0] = 1
    return marked


def test_white_beside_ones_is_told(
    edgeseg: Verify, checkpoints: Path, predicted: dict[int, list[np.ndarray]], tmp_path: Path
) -> None:
    """255 in some masks and 1 in others, or in all masks both, may be one class in two ways."""
    masks = [(mask > 0).astype(np.uint8) for mask in truth(predicted[2])]
    for mask in masks:
        mask[0], mask[-1] = 0, 1
    mixed = [(255 if number % 2 else 1) * mask for number, mask in enumerate(masks)]
    told = {}
    for name, truths, said in (
        ("plain", masks, {}),
        ("mixed", mixed, {}),
        ("rare", list(map(rare, masks)), {}),
        ("settled", mixed, {"classes": ["c0", "c1"], "ignore_index": 255}),
    ):
        data = save(tmp_path / name, truths, **said)
        told[name] = noted(measured(edgeseg("verify", checkpoints / "2", "--data", data, "--json")))
    assert "255" not in told["plain"]
    assert "masks that hold 255 and no 1: 2 of 5 (40 %); others hold the id 1" in told["mixed"]
    assert '"ignore_index": 255 in dataset.json says that it is not' in told["mixed"]
    assert "which is not counted, and only 5 are 1: if 255 is 'c1' in them" in told["rare"]
    assert "255" not in told["settled"]


@pytest.mark.parametrize("rows", [4, 24])
def test_a_large_part_that_is_not_counted_is_told(
    edgeseg: Verify,
    checkpoints: Path,
    predicted: dict[int, list[np.ndarray]],
    tmp_path: Path,
    rows: int,
) -> None:
    masks = truth(predicted[5])
    for mask in masks:
        mask[:rows] = 255
    data = save(tmp_path / "d", masks)
    told = noted(measured(edgeseg("verify", checkpoints / "5", "--data", data, "--json")))
    large = "50.0 % of the ground truth's pixels are not counted"
    assert (large in told) == (rows == SIZE[0] / 2)
    assert rows == SIZE[0] / 2 or "not counted" not in told


def test_a_mask_that_contradicts_ends_it_and_is_named(
    edgeseg: Verify, checkpoints: Path, tmp_path: Path
) -> None:
    """Names are in the order 0, 1, 10 ... 19, 2 ... 9: its place is not looked at before."""
    masks = [np.kron([[0, 255]], np.ones((48, 32)))] * 20
    masks[9] = masks[9] / 255
    outcome = edgeseg("verify", checkpoints / "2", "--data", save(tmp_path / "d", masks))
    assert outcome.status == 1
    assert f"{tmp_path}/d/masks/9.png holds the id 1, but other masks" in outcome.err
    assert len([line for line in outcome.err.splitlines() if "9.png" in line]) == 1


def test_a_checkpoint_that_reduces_labels_is_measured_on_reduced_ones(
    edgeseg: Verify, checkpoints: Path, predicted: dict[int, list[np.ndarray]], tmp_path: Path
) -> None:
    masks = truth(predicted[5])
    for mask in masks:
        mask[:4] = 255
    raised = [np.where(mask == 255, 0, mask + 1) for mask in masks]
    reducing = tmp_path / "reducing"
    shutil.copytree(checkpoints / "5", reducing)
    path = reducing / "preprocessor_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "do_reduce_labels": True}))
    plain, reduced = (
        measured(edgeseg("verify", model, "--data", save(folder, truths), "--json"))
        for model, folder, truths in (
            (checkpoints / "5", tmp_path / "plain", masks),
            (reducing, tmp_path / "raised", raised),
        )
    )
    assert [reduced[name] for name in FIGURES] == [plain[name] for name in FIGURES]
    assert "0 is ignored and 1 is 'c0'" in noted(reduced)


def test_a_slip_in_dataset_json_is_told_where_it_makes_the_masks_refused(
    edgeseg: Verify, checkpoints: Path, predicted: dict[int, list[np.ndarray]], tmp_path: Path
) -> None:
    masks = [np.where(mask == 0, 77, mask) for mask in predicted[5]]
    said = {"classes": list(names(5).classes), "ignore_label": 77}
    data = save(tmp_path / "d", masks, **said)
    outcome = edgeseg("verify", checkpoints / "5", "--data", data)
    assert outcome.status == 1
    told, refused = outcome.err.splitlines()[-2:]
    assert "holds the id 77" in refused
    assert told.startswith("note: ")
    assert told.endswith("did you mean 'ignore_index'?")
    measured(edgeseg("verify", checkpoints / "5", "--data", data, "--ignore-index", 77, "--json"))


@pytest.mark.parametrize(("step", "how"), [(1, "lower"), (-1, "higher")])
def test_ids_that_are_off_by_one_are_told_in_every_report(
    step: int,
    how: str,
    edgeseg: Verify,
    checkpoints: Path,
    predicted: dict[int, list[np.ndarray]],
    tmp_path: Path,
) -> None:
    """Ids that leave the classes are ignored here, so that the masks can be measured at all."""
    raised = [mask.astype(int) + step for mask in truth(predicted[5])]
    masks = [np.where((mask < 0) | (mask > 4), 255, mask) for mask in raised]
    data = save(tmp_path / "d", masks)
    outcome = edgeseg("verify", checkpoints / "5", "--data", data, "--report", "report")
    assert outcome.status == 0
    (said,) = [line for line in outcome.err.splitlines() if "id in the masks were one" in line]
    assert said.startswith("note: ")
    assert f"were one {how}" in said
    for name in ("report.json", "report.md", "report.xml", "report.html"):
        text = (tmp_path / "report" / name).read_text("utf-8")
        assert f"every id in the masks were one {how}" in text, name


def test_palettes_that_differ_or_contradict_are_told(
    edgeseg: Verify, checkpoints: Path, predicted: dict[int, list[np.ndarray]], tmp_path: Path
) -> None:
    red, green = [255, 0, 0], [0, 255, 0]
    folder = save(tmp_path / "d", predicted[2], classes=["c0", "c1"], palette=[red, green])
    for number in range(COUNT):
        path = folder / "masks" / f"{number}.png"
        replaced = Image.fromarray(predicted[2][number]).convert("P")
        replaced.putpalette([*red, *green] if number else [*green, *red])
        replaced.save(path)
    notes = noted(measured(edgeseg("verify", checkpoints / "2", "--data", folder, "--json")))
    assert "index 0 is #00ff00 in 0 and #ff0000 in 1" in notes
    assert "index 0 of 0 is #00ff00, the color of 'c1', but id 0 is 'c0'" in notes


def test_classes_that_never_occur_are_told(
    edgeseg: Verify, checkpoints: Path, predicted: dict[int, list[np.ndarray]], tmp_path: Path
) -> None:
    masks = [np.minimum(mask, 2) for mask in predicted[5]]
    found = measured(
        edgeseg("verify", checkpoints / "5", "--data", save(tmp_path / "d", masks), "--json")
    )
    told = "classes of the model that occur in no mask and are not in the mIoU: 2 of 5: c3, c4"
    assert told in noted(found)
