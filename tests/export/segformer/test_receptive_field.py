"""Receptive fields, by finite differences, by transformers, and where arithmetic tells them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from plain_forms import plain_logits
from seeded import normalized, random_image, slim_model, transformers_model, twin_of

from edgeseg.errors import CheckpointError
from edgeseg.export.segformer.network import SegFormer
from edgeseg.export.segformer.receptive_field import compute_gradients, measure_receptive_fields
from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.progress import Progress
from edgeseg.segformer.form import EXACT, FORMS, Form
from edgeseg.segformer.receptive_field import HEAD, PARTS
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD, InputSpec

SIZE = (96, 128)
# Maps of 23x30, 12x15, 6x8 and 3x4.
ODD = (90, 120)
# A central difference of step e is off by a share of e squared, and by rounding of 1e-16 / e.
STEP = 1e-3
PIXELS = [(48, 64), (45, 61), (10, 100)]


@pytest.fixture(scope="module")
def model() -> SegFormer:
    return slim_model(classes=7).double()


@pytest.mark.parametrize("form", [EXACT, FORMS["merge-queries-keys12"]], ids=lambda one: one.name)
def test_the_gradients_are_finite_differences(model: SegFormer, form: Form) -> None:
    network = rewrite(model, mean=IMAGENET_MEAN, std=IMAGENET_STD, form=form)
    image = random_image(*SIZE)
    found = compute_gradients(network, image)

    def compute(values: torch.Tensor) -> torch.Tensor:
        """The sums at the central positions: the stages', and the logits' in plain spelling."""
        maps, x = [], (values - network.mean).permute(0, 3, 1, 2)
        for stage in network.stages:
            x = stage(x)
            maps.append(x)
        maps.append(plain_logits(model, normalized(values), form))
        return torch.stack([_sum_center(one) for one in maps])

    for row, column in PIXELS:
        expected = _differentiate(compute, image.double(), row, column)
        for part, value in zip(PARTS, expected.tolist(), strict=True):
            assert found[part][row, column] == pytest.approx(value, rel=1e-5, abs=1e-9), part


def _differentiate(
    compute: Callable[[torch.Tensor], torch.Tensor], image: torch.Tensor, row: int, column: int
) -> torch.Tensor:
    total = torch.zeros(len(PARTS), dtype=torch.float64)
    for channel in range(3):
        step = torch.zeros_like(image)
        step[0, row, column, channel] = STEP
        total += ((compute(image + step) - compute(image - step)) / (2 * STEP)).abs()
    return total


def _sum_center(image: torch.Tensor) -> torch.Tensor:
    return image[0, :, image.shape[2] // 2, image.shape[3] // 2].sum()


@pytest.mark.parametrize("size", [SIZE, ODD], ids=str)
def test_the_exact_form_has_the_gradients_of_transformers(size: tuple[int, int]) -> None:
    oracle = transformers_model("b0").double()
    network = rewrite(twin_of(oracle).double(), mean=IMAGENET_MEAN, std=IMAGENET_STD)
    image = random_image(*size)
    pixels = normalized(image).requires_grad_()
    outputs = oracle(pixels, output_hidden_states=True)
    found = compute_gradients(network, image)
    for part, feature in zip(PARTS, (*outputs.hidden_states, outputs.logits), strict=True):
        (gradient,) = torch.autograd.grad(_sum_center(feature), pixels, retain_graph=True)
        # By values in 0..255, of which a normalized value is 1 / (255 std).
        std = torch.tensor(IMAGENET_STD, dtype=torch.float64).reshape(1, 3, 1, 1)
        expected = (gradient / (255 * std)).abs().sum(dim=1)[0].numpy()
        assert np.abs(found[part] - expected).max() < 1e-9 * expected.max(), part


def test_without_attention_the_first_stage_sees_what_its_convolutions_see() -> None:
    """7x7 with stride 4, and one 3x3 behind it: 4 + 3 pixels to each side of the center."""
    model = slim_model(classes=7).double()
    form = FORMS["merge-queries"]
    spec = InputSpec(height=SIZE[0], width=SIZE[1])
    frames = [lambda: random_image(*SIZE).numpy()]
    whole = measure_receptive_fields(model, spec, form, frames)["stage1"]
    for block in model.stages[0].blocks:
        block.attention.out.weight.zero_()
    field = measure_receptive_fields(model, spec, form, frames)["stage1"]
    assert field.center == (48, 64)
    assert field.find_side(1.0) == 15
    assert (field.mass > 0).sum() == 15**2
    assert whole.find_side(1.0) > 100


def test_the_field_is_the_mean_over_the_images_and_the_count_is_told(model: SegFormer) -> None:
    images = [random_image(*ODD, seed=seed) for seed in range(2)]
    network = rewrite(model, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    told: list[tuple[object, ...]] = []
    fields = measure_receptive_fields(
        model,
        InputSpec(height=ODD[0], width=ODD[1]),
        EXACT,
        [image.numpy for image in images],
        progress=Progress(phase=lambda *what: told.append(what)),
    )
    assert list(fields) == list(PARTS)
    single = [compute_gradients(network, image)[HEAD] for image in images]
    np.testing.assert_allclose(fields[HEAD].mass, (single[0] + single[1]) / 2)
    centers = {part: field.center for part, field in fields.items()}
    assert centers == {
        "stage1": (44, 60), "stage2": (48, 56), "stage3": (48, 64), "stage4": (32, 64),
        "head": (44, 60),
    }  # fmt: skip
    assert told == [("differentiating exact", done, 2, "image") for done in range(3)]


@pytest.mark.parametrize(("value", "says"), [(0.0, "stage1 is 0"), (float("nan"), "is nan")])
def test_weights_without_a_field_are_refused(value: float, says: str) -> None:
    model = slim_model(classes=7)
    model.stages[0].norm.weight.fill_(value)
    spec = InputSpec(height=SIZE[0], width=SIZE[1])
    with pytest.raises(CheckpointError, match=says):
        measure_receptive_fields(model, spec, EXACT, [random_image(*SIZE).numpy])
