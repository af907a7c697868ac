from __future__ import annotations

import pytest
import torch
from seeded import model_spec, normalized, random_image, seeded_model

from edgeseg.export.segformer.rewrites import rewrite, sum_before_upsampling
from edgeseg.segformer.arch import VARIANTS, HeadKind
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD

SIZES = ((256, 256), (360, 480), (512, 1024), (97, 131))
# B3 and B4 differ from B2 and B5 in the number of blocks alone; test_network.py has them.
SHORT = {("b0", (256, 256))} | {(variant, (97, 131)) for variant in ("b0", "b1", "b2", "b5")}
CASES = [
    pytest.param(
        variant,
        size,
        id=f"{variant}-{size[0]}x{size[1]}",
        marks=() if (variant, size) in SHORT else (pytest.mark.long,),
    )
    for variant in VARIANTS
    for size in SIZES
]


@pytest.mark.parametrize("head", HeadKind)
@pytest.mark.parametrize(("variant", "size"), CASES)
def test_the_deployed_network_equals_the_published_one(
    variant: str, size: tuple[int, int], head: HeadKind
) -> None:
    model = seeded_model(model_spec(variant, head=head)).double()
    for parameter in model.parameters():  # so that float32 would not hold them
        parameter.mul_(1 + 1e-8)
    deployed = rewrite(model, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    image = random_image(*size)
    expected = model(normalized(image))
    assert expected.std() >= 1
    assert (deployed(image) - expected).abs().max() / expected.std() < 1e-9


@pytest.mark.parametrize("head", HeadKind)
def test_the_decoder_alone_equals_the_published_one(head: HeadKind) -> None:
    published = seeded_model(model_spec("b1", head=head)).double().head
    generator = torch.Generator().manual_seed(1)
    features = [
        torch.randn(1, width, *size, generator=generator, dtype=torch.float64)
        for width, size in zip(
            (64, 128, 320, 512), ((25, 33), (13, 17), (7, 9), (4, 5)), strict=True
        )
    ]
    expected = published(features)
    with torch.no_grad():
        found = sum_before_upsampling(published)(features)
    assert (found - expected).abs().max() / expected.std() < 1e-9


def test_rewriting_leaves_the_original_as_it_was() -> None:
    model = seeded_model(model_spec("b0"))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    rewrite(model, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert before.keys() == model.state_dict().keys()


def test_normalization_keeps_zero_padding() -> None:
    """Folding the mean into the weights would show at the border, and only there."""
    model = seeded_model(model_spec("b0")).double()
    deployed = rewrite(model, mean=(0.9, 0.1, 0.5), std=(0.3, 0.2, 0.1))
    image = random_image(64, 64)
    mean, std = (torch.tensor(v, dtype=torch.float64) for v in ((0.9, 0.1, 0.5), (0.3, 0.2, 0.1)))
    rgb = ((image.flip(3).double() / 255 - mean) / std).permute(0, 3, 1, 2)
    expected, _ = model.stages[0].patch_embed(rgb)
    centered = (image.double() - deployed.mean).permute(0, 3, 1, 2)
    found, _ = deployed.stages[0].patch_embed(centered)
    assert (found - expected).abs().max() < 1e-9
